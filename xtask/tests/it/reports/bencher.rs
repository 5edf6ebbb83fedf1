//! Jobs and Bencher, also when Bencher is down, rejects a report or returns nonsense.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::super::ends;
use super::scene::{HEAD, Scene, comparison, pull_request, push, run_text, usual};
use super::{of_pull_request, on_main};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn tc_obs_007_without_bencher_the_job_goes_on_and_keeps_its_files() {
    for (mode, why) in [
        ("down", "Bencher cannot be reached"),
        ("500", "Bencher cannot be reached"),
        ("429", "Bencher cannot be reached"),
        ("html", "Bencher cannot be reached"),
        ("drops", "Bencher cannot be reached"),
        ("nonsense", "Bencher returned an invalid report"),
        ("unauthorized", "Bencher does not accept the key"),
    ] {
        let scene = on_main(2.0)
            .history("main", usual())
            .with("DOUBLE_MODE", mode);
        let output = scene.run("report");
        ends(&output, 0, "PASS");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            printed.contains("::warning title=metrics::"),
            "{mode}: {printed}"
        );
        assert!(printed.contains(why), "{mode}: {printed}");
        for kept in [
            "bench_metrics.json",
            "run.json",
            "bencher.json",
            "comment.md",
        ] {
            assert!(
                scene.path("target/metrics").join(kept).exists(),
                "{mode}: {kept}"
            );
        }
    }
}

#[test]
fn a_server_that_never_answers_holds_the_job_no_longer_than_its_deadline() {
    let scene = of_pull_request("a/gate").with("DOUBLE_MODE", "hang");
    let folder = scene.path("target/metrics");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("run.json"), run_text(9_000, 2.0, HEAD)).unwrap();
    std::fs::write(folder.join("compare.json"), comparison()).unwrap();
    // A BLOCK still fails the job.
    let output = scene.xtask(&["metrics", "report", "--patience", "2"]);
    ends(&output, 1, "BLOCK");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.contains("Bencher cannot be reached"), "{printed}");
    assert_eq!(scene.github.comments().len(), 1);
}

#[test]
fn an_interrupted_report_ends_as_other_commands_do() {
    let scene = of_pull_request("a/gate").with("DOUBLE_MODE", "hang");
    let folder = scene.path("target/metrics");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("run.json"), run_text(9_000, 2.0, HEAD)).unwrap();
    let mut report = scene.command(&["metrics", "report"]);
    report.stdout(Stdio::piped()).stderr(Stdio::piped());
    let report = report.spawn().unwrap();
    let started = Instant::now();
    while scene.calls().is_empty() {
        assert!(started.elapsed() < PATIENCE, "Bencher was not called");
        std::thread::sleep(Duration::from_millis(20));
    }
    let stop = ["-INT", &report.id().to_string()];
    assert!(Command::new("kill").args(stop).status().unwrap().success());
    let output = report.wait_with_output().unwrap();
    assert!(started.elapsed() < PATIENCE, "it hung");
    ends(
        &output,
        130,
        "interrupted by SIGINT; the command did not finish",
    );
    let told = super::stderr(&output);
    let lines: Vec<&str> = told.lines().rev().take(2).collect();
    assert_eq!(lines[1], "stopping", "{told}");
    assert!(
        folder.join("comment.md").exists(),
        "it is saved all the same"
    );
}

#[test]
fn what_bencher_finds_besides_is_shown() {
    let scene = on_main(2.0)
        .history("main", usual())
        .with("DOUBLE_MODE", "alert");
    let output = scene.run("report");
    ends(&output, 0, "PASS");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        printed.contains("Bencher alerts on binary/size (upper limit)"),
        "{printed}"
    );
    let stored = on_main(2.0)
        .history("main", usual())
        .with("DOUBLE_MODE", "comment");
    let output = stored.run("report");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        printed.contains("Bencher stored the report, but: "),
        "{printed}"
    );
}

#[test]
fn without_a_key_bencher_is_not_called_and_the_older_token_is_taken_too() {
    let scene = on_main(2.0)
        .history("main", usual())
        .with("BENCHER_API_KEY", "");
    ends(&scene.run("report"), 0, "PASS");
    assert!(scene.calls().is_empty());
    let older = on_main(2.0)
        .history("main", usual())
        .with("BENCHER_API_KEY", "")
        .with("BENCHER_API_TOKEN", "a.secret123.c");
    ends(&older.run("report"), 0, "PASS");
    assert_eq!(older.calls()[0]["secrets"], json!(["BENCHER_API_TOKEN"]));
    let both = on_main(2.0)
        .history("main", usual())
        .with("BENCHER_API_TOKEN", "a.secret123.c");
    ends(&both.run("report"), 0, "PASS");
    assert_eq!(
        both.calls()[0]["secrets"],
        json!(["BENCHER_API_KEY"]),
        "the CLI takes one alone"
    );
    let malformed = on_main(2.0)
        .history("main", usual())
        .with("BENCHER_API_KEY", "not-a-secret123");
    let output = malformed.run("report");
    ends(&output, 0, "PASS");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        printed.contains("Bencher does not accept the key"),
        "{printed}"
    );
}

#[test]
fn bencher_is_set_up_once() {
    let scene =
        Scene::of(push("refs/heads/main")).with("BENCHER_API_KEY", "bencher_user_secret123");
    let bin = format!("{}:/usr/bin:/bin", scene.path("bin").display());
    let setup = || {
        std::process::Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["metrics", "report", "--setup"])
            .env("PATH", &bin)
            .env("BENCHER_API_KEY", "bencher_user_secret123")
            .env("DOUBLE_LOG", scene.path("bencher.log"))
            .env("DOUBLE_MADE", scene.path("bencher.made"))
            .output()
            .unwrap()
    };
    // A report came first: the measure that it created has no unit.
    std::fs::write(scene.path("bencher.made"), "measure latency-p50\n").unwrap();
    ends(&setup(), 0, "29 measures");
    let made = std::fs::read_to_string(scene.path("bencher.made")).unwrap();
    for line in [
        "project thoughtgate",
        "branch main",
        "testbed ci-ubuntu-latest",
        "measure latency-p95",
        "units latency-p50 milliseconds (ms)",
    ] {
        assert!(made.lines().any(|made| made == line), "{line} in {made}");
    }
    ends(&setup(), 0, "created or updated: 0");
}

#[test]
fn branches_of_closed_and_of_old_pull_requests_are_archived() {
    let mut closed = pull_request("a/gate");
    closed["action"] = json!("closed");
    let scene = Scene::of(closed);
    ends(&scene.run("archive"), 0, "`pr-7` was archived");
    let unknown = scene.with("DOUBLE_MODE", "404");
    ends(&unknown.run("archive"), 0, "Bencher has no branch `pr-7`");
    let down = Scene::of(json!({"schedule": "0 3 * * *"})).with("DOUBLE_MODE", "down");
    ends(&down.run("archive"), 0, "nothing was archived");
    let branch = |name: &str, created: &str| json!({"name": name, "head": {"created": created}});
    let branches = json!([
        branch("main", "2020-01-01T00:00:00Z"),
        branch("pr-1", "2020-01-01T00:00:00Z"),
        branch("pr-2", "2999-01-01T00:00:00Z"),
        branch("pr-x", "2020-01-01T00:00:00Z"),
    ]);
    let old =
        Scene::of(json!({"schedule": "0 3 * * *"})).with("DOUBLE_BRANCHES", &branches.to_string());
    ends(&old.run("archive"), 0, "1 of 1 old branches archived");
}
