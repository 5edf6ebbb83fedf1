//! The jobs of CI that report and publish, for each event of the requirement's §12.1, with doubles of
//! Bencher and of GitHub.

mod bencher;
mod comments;
mod github;
mod history;
mod scene;
mod strangers;
mod trials;

use serde_json::json;

use super::{ends, stderr};
use scene::{HEAD, Scene, comparison, pull_request, push, run_text, usual};

const MARKER: &str = "<!-- thoughtgate-metrics -->";

/// A job of pull request 7, whose last commit is the measured one.
fn of_pull_request(from: &str) -> Scene {
    let scene = Scene::of(pull_request(from));
    scene.github.pull(7, HEAD);
    scene
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
    ends(&scene.run("publish"), 0, "pushed to the branch");
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
    ends(&scene.run("publish"), 0, "has this run already");
    assert_eq!(scene.pushed().len(), 31);
}

#[test]
fn tc_obs_002_a_regression_on_main_alerts_at_the_commit_and_its_pull_request() {
    // The job before was worse, too: one alone would only be SUSPECT.
    let scene = on_main(2.3).history("main", usual().chain([2.3]));
    scene.github.pull(12, &scene::past(30)).pull(13, HEAD);
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
    assert!(
        comments[0].contains(&format!(
            "`main` is worse since this pull request was merged: `latency/p50`. This was measured at commit \
             `{HEAD}`; when a later commit mends it, this comment stays as it is."
        )),
        "{comments:?}"
    );
    assert!(
        comments[0].contains("publish --accept METRIC"),
        "{comments:?}"
    );
    let posted = scene.github.asked();
    let mut posted = posted.iter().filter(|asked| asked.method == "POST");
    assert!(
        posted.all(|asked| asked.path.ends_with("issues/12/comments")),
        "the previous commit made it worse"
    );
    scene.run("publish");
    assert_eq!(scene.pushed().len(), 32, "it is part of the history");
    // So much worse that the build fails.
    let scene = on_main(3.0).history("main", usual().chain([3.0]));
    ends(&scene.run("report"), 1, "BLOCK");
    scene.run("publish");
    // An intended change is accepted on the branch.
    let since = scene::past(30);
    let accept = [
        "metrics",
        "publish",
        "--accept",
        "latency/p50",
        "--commit",
        &since,
    ];
    let remote = scene.path("server").display().to_string();
    let more = ["--reason", "a new check", "--remote", &remote];
    let output = super::xtask(&[&accept[..], &more].concat());
    ends(&output, 0, "pushed to the branch");
    let pushed = scene.pushed();
    assert_eq!(pushed[32]["reason"], "a new check", "{pushed:?}");
    ends(&scene.run("report"), 0, "INCONCLUSIVE");
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
    scene.run("publish");
    let page = scene.published("index.html");
    assert!(page.contains("Last comparison"), "{page}");
    let pushed = scene.pushed();
    assert_eq!(
        (pushed.len(), &pushed[0]["branch"]),
        (1, &json!("releases"))
    );
}

#[test]
fn tc_obs_004_a_pull_request_is_compared_with_its_base_and_told() {
    let scene = of_pull_request("a/gate")
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
    ends(
        &scene.run("publish"),
        0,
        "nothing to publish for this event",
    );
    assert!(scene.pushed().is_empty(), "it is no part of the history");
    // The next push updates the comment of the first report.
    scene.run("report");
    let comments = scene.github.comments();
    assert_eq!(comments.len(), 2, "{comments:?}");
    assert_eq!(comments[0], format!("{MARKER} mine"), "a stranger's stays");
}

#[test]
fn tc_obs_005_a_pull_request_with_a_regression_fails_with_a_comment() {
    let scene = of_pull_request("a/gate").left("metrics-compare", "compare.json", &comparison());
    let output = scene.run("report");
    ends(&output, 1, "BLOCK");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        printed.contains("::error title=BLOCK::worse: binary/size"),
        "{printed}"
    );
    let comments = scene.github.comments();
    assert!(comments[0].starts_with(&format!("{MARKER}\n### BLOCK: much worse: `binary/size`")));
    assert!(
        comments[0].contains("How to reproduce this verdict"),
        "{comments:?}"
    );
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
    // The report when no job left anything.
    let scene = Scene::of(push("refs/heads/main"));
    let output = scene.run("report");
    ends(&output, 0, "no verdict");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        printed.contains("::warning title=metrics::no job has left any metrics"),
        "{printed}"
    );
    assert!(
        printed.contains("::warning title=metrics::no verdict: no metrics were measured"),
        "{printed}"
    );
    assert!(scene.calls().is_empty(), "nothing is sent");
    // If a job lacks a metric that the job before measured, the verdict is not PASS.
    let scene = on_main(2.0).history("main", usual());
    let run = run_text(9_000, 2.0, HEAD).replace("latency/p50", "latency/p95");
    let scene = scene.left("metrics-load", "run.json", &run);
    let output = scene.run("report");
    ends(&output, 0, "INCONCLUSIVE");
    let summary = scene.summary();
    assert!(
        summary.contains("`latency/p50`: not measured, unlike in the job before"),
        "{summary}"
    );
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        printed.contains("::warning title=metrics::not measured: "),
        "{printed}"
    );
    // A broken artifact does not cost the others.
    let scene = on_main(2.004).history("main", usual());
    let scene = scene
        .left("metrics-bench", "run.json", "{\"schema\":2")
        .left(
            "metrics-build",
            "run.json",
            &run.replace("\"complete\":true", "\"complete\":false"),
        );
    let output = scene.run("report");
    ends(&output, 0, "PASS");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    for said in ["this run is left out", "is left out: the run was cut off"] {
        assert!(printed.contains(said), "{said}: {printed}");
    }
    // Misuse is an error also with --soft.
    ends(
        &super::xtask(&["metrics", "--soft", "--only", "nosuch"]),
        2,
        "unknown metric or category `nosuch`",
    );
}

#[test]
fn what_could_not_be_compared_stops_nothing_and_is_told_with_its_reason() {
    let mut event = pull_request("a/gate");
    event["pull_request"]["base"]["sha"] = json!(scene::BASE);
    // Neither commit exists in this checkout.
    let scene = Scene::of(event.clone());
    let output = scene.run("compare");
    ends(&output, 2, "have no merge base in this checkout");
    let why = "base (v0.1.0) does not build";
    let scene = Scene::of(event).left("metrics-compare", "not_compared.txt", why);
    let output = scene.run("report");
    ends(&output, 0, &format!("no verdict: {why}"));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        printed.contains("::warning title=metrics::no verdict: "),
        "{printed}"
    );
    assert!(scene.summary().contains(why), "{}", scene.summary());
}
