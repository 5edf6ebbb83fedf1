//! What jobs of CI do with what was measured, for each event of the requirement's §12.1, with doubles of
//! Bencher and of GitHub.

mod github;
mod scene;

use serde_json::json;

use super::{data, ends, stderr};
use scene::{HEAD, Scene, pull_request, push, run_text, usual, workflow_run};

const MARKER: &str = "<!-- thoughtgate-metrics -->";

fn comparison() -> String {
    std::fs::read_to_string(data("comparisons/larger_binary.json")).unwrap()
}

fn on_main(p50_ms: f64) -> Scene {
    let run = run_text(9_000, p50_ms, HEAD);
    Scene::of(push("refs/heads/main")).left("metrics-load", "run.json", &run)
}

#[test]
fn tc_obs_001_a_normal_commit_to_main_is_tracked_and_nobody_is_alerted() {
    let scene = on_main(2.004).history("main", usual());
    let output = scene.run("report");
    ends(&output, 0, "PASS");
    assert_eq!(scene.reported("--branch").as_deref(), Some("main"));
    assert_eq!(scene.reported("--hash").as_deref(), Some(HEAD));
    assert_eq!(scene.reported("--start-point-reset"), None);
    assert!(
        scene.github.asked().is_empty(),
        "{:?}",
        scene.github.asked()
    );
    let pushed = scene.pushed();
    assert_eq!(pushed.len(), 31);
    assert_eq!(pushed[30]["revision"], HEAD);
    assert!(
        scene.summary().starts_with("### PASS"),
        "{}",
        scene.summary()
    );
    let page = scene.published("index.html");
    assert!(page.contains("latency/p50"), "{page}");
    assert!(
        scene
            .published("badges/binary-size.svg")
            .contains("9.00 MB")
    );
    // The same job again adds nothing.
    ends(&scene.run("report"), 0, "PASS");
    assert_eq!(scene.pushed().len(), 31);
}

#[test]
fn tc_obs_002_a_regression_on_main_alerts_at_the_commit_and_its_pull_request() {
    // The job before was worse too: one alone would be suspect.
    let scene = on_main(2.3).history("main", usual().chain([2.3]));
    scene.github.pull(12, HEAD);
    let output = scene.run("report");
    ends(&output, 0, "ALERT");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        printed.contains("::warning title=ALERT::worse: latency/p50"),
        "{printed}"
    );
    let comments = scene.github.comments();
    assert_eq!(comments.len(), 1);
    assert!(
        comments[0]
            .starts_with("<!-- thoughtgate-metrics on main -->\n### ALERT: worse: `latency/p50`"),
        "{comments:?}"
    );
    assert_eq!(scene.pushed().len(), 32, "it is part of the history");
    // As much worse as ends a build.
    let scene = on_main(3.0).history("main", usual().chain([3.0]));
    ends(&scene.run("report"), 1, "BLOCK");
}

#[test]
fn tc_obs_003_a_tagged_release_is_tracked_on_releases_with_a_new_baseline() {
    let run = run_text(9_000, 2.0, HEAD);
    let scene = Scene::of(push("refs/tags/v1.2.0"))
        .left("metrics-load", "run.json", &run)
        .left("metrics-compare", "compare.json", &comparison());
    ends(&scene.run("report"), 1, "BLOCK");
    assert_eq!(scene.reported("--branch").as_deref(), Some("releases"));
    assert!(scene.reported("--start-point-reset").is_some());
    assert_eq!(scene.reported("--start-point"), None);
    let pushed = scene.pushed();
    assert_eq!(
        (pushed.len(), &pushed[0]["branch"]),
        (1, &json!("releases"))
    );
}

#[test]
fn tc_obs_004_a_pull_request_is_compared_with_its_base_and_told() {
    let scene = Scene::of(pull_request("a/gate"))
        .left("metrics-load", "run.json", &run_text(9_000, 2.0, HEAD))
        .left("metrics-compare", "compare.json", &comparison());
    scene.github.comment("User", &format!("{MARKER} mine"));
    let output = scene.run("report");
    assert!(
        scene.github.comments()[1].contains("| `binary/size` | "),
        "{}",
        stderr(&output)
    );
    assert_eq!(scene.reported("--branch").as_deref(), Some("pr-7"));
    assert_eq!(scene.reported("--start-point").as_deref(), Some("main"));
    assert_eq!(
        scene.reported("--start-point-hash").as_deref(),
        Some(scene::BASE)
    );
    assert!(scene.reported("--start-point-reset").is_some());
    assert!(scene.pushed().is_empty(), "it is no part of the history");
    // The next push updates the one comment that is ours.
    scene.run("report");
    let comments = scene.github.comments();
    assert_eq!(comments.len(), 2, "{comments:?}");
    assert_eq!(comments[0], format!("{MARKER} mine"), "a stranger's stays");
}

#[test]
fn tc_obs_005_a_pull_request_with_a_regression_fails_with_a_comment() {
    let scene =
        Scene::of(pull_request("a/gate")).left("metrics-compare", "compare.json", &comparison());
    let output = scene.run("report");
    ends(&output, 1, "BLOCK");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        printed.contains("::error title=BLOCK::worse: binary/size"),
        "{printed}"
    );
    let comments = scene.github.comments();
    assert!(comments[0].starts_with(&format!("{MARKER}\n### BLOCK: much worse: `binary/size`")));
    assert!(comments[0].contains("How to repeat it"), "{comments:?}");
}

#[test]
fn tc_obs_006_metrics_that_could_not_be_had_are_a_warning() {
    // A measuring job without the tools to build anything.
    let scene = Scene::of(push("refs/heads/main"));
    let output = scene
        .with("CARGO", "/nowhere/cargo")
        .with("PATH", "/nowhere")
        .run("build");
    ends(&output, 0, "nothing could be measured");
    assert!(stderr(&output).contains("warning: "), "{}", stderr(&output));
    // The report of jobs that left nothing.
    let scene = Scene::of(push("refs/heads/main"));
    let output = scene.run("report");
    ends(&output, 0, "no verdict");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        printed.contains("::warning title=metrics::no job has left any metrics"),
        "{printed}"
    );
    assert!(scene.calls().is_empty(), "nothing is sent");
    // Misuse stays one.
    ends(
        &super::xtask(&["metrics", "--soft", "--only", "nosuch"]),
        2,
        "no category `nosuch`",
    );
}

#[test]
fn tc_obs_007_without_bencher_the_job_goes_on_and_keeps_its_files() {
    for (mode, why) in [
        ("down", "Bencher cannot be reached"),
        ("500", "Bencher cannot be reached"),
        ("429", "Bencher cannot be reached"),
        ("html", "Bencher cannot be reached"),
        ("nonsense", "answered something that is no report"),
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
    let scene = Scene::of(pull_request("a/gate")).with("DOUBLE_MODE", "hang");
    let folder = scene.path("target/metrics");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("run.json"), run_text(9_000, 2.0, HEAD)).unwrap();
    std::fs::write(folder.join("compare.json"), comparison()).unwrap();
    // A regression by our own verdict fails the job all the same.
    let output = scene.xtask(&["metrics", "report", "--patience", "2"]);
    ends(&output, 1, "BLOCK");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.contains("Bencher cannot be reached"), "{printed}");
    assert_eq!(scene.github.comments().len(), 1);
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
fn github_that_refuses_or_fails_is_a_warning() {
    for (status, body, times) in [
        (
            403,
            "{\"message\":\"Resource not accessible by integration\"}",
            9,
        ),
        (404, "{\"message\":\"Not Found\"}", 9),
        (500, "<html>", 9),
        (429, "{\"message\":\"API rate limit exceeded\"}", 9),
        (200, "<html>", 9),
        (200, github::CUT_OFF, 9),
    ] {
        let scene = Scene::of(pull_request("a/gate")).left(
            "metrics-compare",
            "compare.json",
            &comparison(),
        );
        scene.github.fail(status, body, times);
        let output = scene.run("report");
        ends(&output, 1, "BLOCK");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            printed.contains("::warning title=metrics::the comment: "),
            "{status}: {printed}"
        );
        assert!(scene.path("target/metrics/comment.md").exists());
    }
    // One that fails once is asked again.
    let scene =
        Scene::of(pull_request("a/gate")).left("metrics-compare", "compare.json", &comparison());
    scene.github.fail(502, "", 1);
    scene.run("report");
    assert_eq!(scene.github.comments().len(), 1);
    let asked = scene.github.asked();
    assert!(
        asked
            .iter()
            .all(|asked| asked.authorization == format!("Bearer {}", scene::TOKEN))
    );
}

#[test]
fn a_fork_tells_nothing_itself_and_the_job_after_it_trusts_none_of_its_files() {
    let fork = Scene::of(pull_request("mallory/gate"))
        .left("metrics-compare", "compare.json", &comparison())
        .with("BENCHER_API_KEY", "")
        .with("GITHUB_TOKEN", "");
    ends(&fork.run("report"), 1, "BLOCK");
    assert!(fork.github.asked().is_empty());
    let number = std::fs::read_to_string(fork.path("target/metrics/pull_request")).unwrap();
    assert_eq!(number, "7\n");

    let after = |number: &str, head: &str| {
        let scene = Scene::of(workflow_run());
        let results = scene.path("target/metrics");
        std::fs::create_dir_all(&results).unwrap();
        std::fs::write(results.join("compare.json"), comparison()).unwrap();
        std::fs::write(results.join("run.json"), run_text(9_000, 2.0, HEAD)).unwrap();
        std::fs::write(results.join("pull_request"), number).unwrap();
        scene.github.pull(7, head);
        scene
    };
    let linked = after("7\n", HEAD);
    let run = linked.path("target/metrics/run.json");
    std::fs::remove_file(&run).unwrap();
    std::os::unix::fs::symlink("/proc/self/environ", &run).unwrap();
    ends(&linked.run("fork-report"), 2, "run.json` is a link");
    let told = after("7\n", HEAD);
    ends(&told.run("fork-report"), 1, "BLOCK");
    assert_eq!(told.github.comments().len(), 1);
    assert_eq!(told.reported("--branch").as_deref(), Some("pr-7"));
    for (number, head, why) in [
        ("8\n", HEAD, "status 404"),
        ("7\n", scene::BASE, "does not end with the commit"),
        ("7; echo x", HEAD, "is not the number of a pull request"),
        ("../../7", HEAD, "is not the number of a pull request"),
        ("-7", HEAD, "is not the number of a pull request"),
        ("0", HEAD, "is not the number of a pull request"),
        (&"7".repeat(100), HEAD, "is not a number"),
    ] {
        let scene = after(number, head);
        ends(&scene.run("fork-report"), 2, why);
        assert!(scene.github.comments().is_empty(), "{number}");
        assert!(scene.calls().is_empty(), "{number}");
    }
}

#[test]
fn a_hostile_event_or_artifact_is_refused_by_name_or_shown_as_text() {
    let mut event = pull_request("a/gate");
    event["number"] = json!("7 && echo");
    ends(
        &Scene::of(event).run("report"),
        2,
        "failed to read the event",
    );
    let mut event = push("refs/heads/main");
    event["after"] = json!("--upload-pack=touch");
    ends(
        &Scene::of(event).run("report"),
        2,
        "`after` is not the name of a commit",
    );
    let broken =
        Scene::of(pull_request("a/gate")).left("metrics-compare", "compare.json", "{\"schema\":2");
    ends(&broken.run("report"), 2, "compare.json");
    let name = "x".repeat(10_000_000);
    let long = run_text(9_000, 2.0, HEAD).replace("latency/p50", &name);
    let scene = Scene::of(pull_request("a/gate")).left("metrics-load", "run.json", &long);
    let output = scene.run("report");
    ends(&output, 0, "no verdict");
    assert!(
        output.stdout.len() + output.stderr.len() < 500_000,
        "it is not repeated whole"
    );
    let markup = comparison().replace("AMD EPYC", "<img src=x>@all |[x](http://e)");
    assert_ne!(markup, comparison(), "the file names its CPU");
    let scene = Scene::of(pull_request("a/gate")).left("metrics-compare", "compare.json", &markup);
    scene.run("report");
    let comment = &scene.github.comments()[0];
    assert!(
        comment.contains("`<img src=x>@all ¦[x](http://e)`"),
        "{comment}"
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
    ends(&setup(), 0, "29 measures");
    let made = std::fs::read_to_string(scene.path("bencher.made")).unwrap();
    for line in [
        "project thoughtgate",
        "branch main",
        "testbed ci-ubuntu-latest",
        "measure latency-p50",
    ] {
        assert!(made.lines().any(|made| made == line), "{line} in {made}");
    }
    ends(&setup(), 0, "0 things were made");
}

#[test]
fn branches_of_closed_and_of_old_pull_requests_are_archived() {
    let mut closed = pull_request("a/gate");
    closed["action"] = json!("closed");
    let scene = Scene::of(closed);
    ends(&scene.run("archive"), 0, "`pr-7` was archived");
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
