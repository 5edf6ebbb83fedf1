//! Jobs and reports that a contributor tries out: nobody is told, and own results are kept.

use std::process::Output;

use serde_json::json;

use super::super::{ends, stderr};
use super::scene::{HEAD, Scene, comparison, pull_request, push, run_text, usual};
use super::{of_pull_request, on_main};

#[test]
fn a_job_that_is_tried_elsewhere_tells_nobody() {
    let scene = on_main(2.0)
        .history("main", usual())
        .with("GITHUB_ACTIONS", "");
    ends(&scene.run("report"), 0, "PASS");
    let output = scene.run("publish");
    ends(&output, 0, "nothing was sent or pushed");
    assert!(
        stderr(&output).contains("would run: cargo xtask metrics publish"),
        "{}",
        stderr(&output)
    );
    assert_eq!(scene.pushed().len(), 30);
    assert!(scene.calls().is_empty());
    let scene = of_pull_request("a/gate")
        .left("metrics-compare", "compare.json", &comparison())
        .with("GITHUB_ACTIONS", "");
    ends(&scene.run("report"), 1, "BLOCK");
    assert!(scene.github.asked().is_empty());
}

#[test]
fn a_release_that_is_tried_elsewhere_keeps_the_results_of_its_own_runs() {
    let scene = Scene::of(push("refs/tags/v1.2.0"))
        .left("report", "run.json", &run_text(9_000, 2.0, HEAD))
        .left("binaries-amd64", "thoughtgate-v1.2.0-linux-amd64", "abc")
        .history("main", usual())
        .with("GITHUB_ACTIONS", "");
    let results = scene.path("target/metrics");
    std::fs::create_dir_all(results.join("badges")).unwrap();
    let own = [
        "index.html",
        "notes.md",
        "SHA256SUMS",
        "badges/binary-size.svg",
    ];
    for file in own {
        std::fs::write(results.join(file), "mine").unwrap();
    }
    let output = scene.run("release");
    ends(&output, 0, "would release v1.2.0 with 8 files, see `");
    ends(&output, 0, "target/metrics/trial` (--really does it)");
    for file in own {
        let kept = std::fs::read_to_string(results.join(file)).unwrap();
        assert_eq!(kept, "mine", "{file}");
        assert!(results.join("trial").join(file).exists(), "{file}");
    }
}

#[test]
fn what_is_tried_out_archives_nothing() {
    let mut closed = pull_request("a/gate");
    closed["action"] = json!("closed");
    for event in [closed, json!({"schedule": "0 3 * * *"})] {
        let scene = Scene::of(event).with("GITHUB_ACTIONS", "");
        for job in ["report", "archive"] {
            ends(&scene.run(job), 0, "");
        }
        let dry = scene.xtask(&["metrics", "report", "--dry-run"]);
        ends(&dry, 0, "would archive");
        assert!(scene.calls().is_empty(), "{:?}", scene.calls());
    }
}

#[test]
fn a_report_that_is_tried_elsewhere_stays_apart_from_the_results() {
    let scene = Scene::of(pull_request("a/gate")).with("GITHUB_ACTIONS", "");
    let results = scene.path("target/metrics");
    std::fs::create_dir_all(&results).unwrap();
    let inputs = [
        ("run.json", run_text(9_000, 2.0, HEAD)),
        ("compare.json", comparison()),
    ];
    for (name, text) in &inputs {
        std::fs::write(results.join(name), text).unwrap();
    }
    // Without an event, and for one without sending anything.
    let local = || scene.without_event(&["metrics", "report"]);
    let dry = || scene.xtask(&["metrics", "report", "--dry-run"]);
    for report in [&local as &dyn Fn() -> Output, &dry] {
        let output = report();
        let told = stderr(&output);
        assert!(told.contains("nothing is sent; see `"), "{told}");
        assert!(told.contains("target/metrics/trial`"), "{told}");
        for name in ["comment.md", "bencher.json"] {
            assert!(!results.join(name).exists(), "{name}");
            let trial = results.join("trial").join(name);
            assert!(trial.exists(), "{name}: {told}");
            std::fs::remove_file(trial).unwrap();
        }
    }
    assert!(scene.calls().is_empty() && scene.github.asked().is_empty());
}
