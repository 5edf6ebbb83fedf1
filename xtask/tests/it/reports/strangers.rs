//! Hostile input that strangers can give a job: events, artifacts of a fork's jobs, and names in them.

use serde_json::{Value as Json, json};

use super::super::{ends, stderr};
use super::of_pull_request;
use super::scene::{self, HEAD, Scene, comparison, pull_request, push, run_text, workflow_run};

#[test]
fn a_fork_tells_nothing_itself_and_the_job_after_it_tells_its_verdict() {
    let fork = of_pull_request("mallory/gate")
        .left("metrics-compare", "compare.json", &comparison())
        .with("BENCHER_API_KEY", "")
        .with("GITHUB_TOKEN", "");
    ends(&fork.run("report"), 1, "BLOCK");
    assert!(fork.github.asked().is_empty());
    let number = std::fs::read_to_string(fork.path("target/metrics/pull_request")).unwrap();
    assert_eq!(number, "7\n");
    let told = after("7\n", HEAD);
    ends(&told.run("fork-report"), 1, "BLOCK");
    let comments = told.github.comments();
    assert_eq!(comments.len(), 1);
    assert!(
        comments[0].contains("Measured by the jobs of the fork."),
        "{comments:?}"
    );
    assert_eq!(told.reported("--branch").as_deref(), Some("pr-7"));
    let own = Scene::of(own_workflow_run());
    ends(
        &own.run("fork-report"),
        0,
        "was not for a fork's pull request",
    );
}

#[test]
fn the_number_that_a_fork_left_counts_as_far_as_github_confirms_it() {
    // A number that GitHub does not know, or a pull request with newer commits: nothing is sent.
    for (number, head, code, why) in [
        (
            "8\n",
            HEAD,
            1,
            "no comment and no report to Bencher: GitHub answered",
        ),
        ("7\n", scene::BASE, 0, "does not end with the commit"),
    ] {
        let scene = after(number, head);
        let output = scene.run("fork-report");
        ends(&output, code, "");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(printed.contains(why), "{number}: {printed}");
        assert!(scene.github.comments().is_empty(), "{number}");
        assert!(scene.calls().is_empty(), "{number}");
    }
    let down = after("7\n", HEAD);
    down.github.fail(502, "<html>", 9);
    ends(&down.run("fork-report"), 1, "BLOCK");
    assert!(
        down.summary().starts_with("### BLOCK"),
        "{}",
        down.summary()
    );
    for (number, head, why) in [
        ("7; echo x", HEAD, "does not contain a pull request number"),
        ("../../7", HEAD, "does not contain a pull request number"),
        ("-7", HEAD, "does not contain a pull request number"),
        ("0", HEAD, "does not contain a pull request number"),
        (&"7".repeat(100), HEAD, "is too long: 100 bytes"),
    ] {
        let scene = after(number, head);
        ends(&scene.run("fork-report"), 2, why);
        assert!(scene.github.comments().is_empty(), "{number}");
        assert!(scene.calls().is_empty(), "{number}");
    }
}

#[test]
fn files_of_a_fork_are_neither_followed_nor_obeyed() {
    let linked = after("7\n", HEAD);
    let run = linked.path("target/metrics/run.json");
    std::fs::remove_file(&run).unwrap();
    std::os::unix::fs::symlink("/proc/self/environ", &run).unwrap();
    ends(&linked.run("fork-report"), 2, "run.json` is a symlink");
    let foreign = after("7\n", HEAD);
    let other = comparison().replace(HEAD, scene::BASE);
    std::fs::write(foreign.path("target/metrics/compare.json"), other).unwrap();
    ends(
        &foreign.run("fork-report"),
        0,
        "the comparison is of another commit",
    );
    // A metric whose name is a workflow command.
    let orders = after("7\n", HEAD);
    let run = run_text(9_000, 2.0, HEAD).replace("latency/p50", "x\\n::stop-commands::t");
    std::fs::write(orders.path("target/metrics/run.json"), run).unwrap();
    let output = orders.run("fork-report");
    ends(&output, 1, "BLOCK");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        printed.contains("::warning title=metrics::no metrics: "),
        "{printed}"
    );
    for text in [printed, stderr(&output)] {
        let mut lines = text.lines();
        assert!(
            !lines.any(|line| line.trim_start().starts_with("::stop")),
            "{text}"
        );
    }
    // Links, to read a secret or to write a file.
    for name in ["not_compared.txt", "comment.md"] {
        let linked = after("7\n", HEAD);
        let link = linked.path("target/metrics").join(name);
        std::os::unix::fs::symlink("/proc/self/environ", &link).unwrap();
        ends(&linked.run("fork-report"), 2, "is a symlink");
        assert!(linked.github.comments().is_empty());
    }
}

/// The job after those of a fork, with their artifacts: `number` is the pull request that they name, and
/// `head` the commit with which it ends at GitHub.
fn after(number: &str, head: &str) -> Scene {
    let scene = Scene::of(workflow_run());
    let results = scene.path("target/metrics");
    std::fs::create_dir_all(&results).unwrap();
    std::fs::write(results.join("compare.json"), comparison()).unwrap();
    std::fs::write(results.join("run.json"), run_text(9_000, 2.0, HEAD)).unwrap();
    std::fs::write(results.join("pull_request"), number).unwrap();
    scene.github.pull(7, head);
    scene
}

/// The end of the workflow of a pull request of this repository.
fn own_workflow_run() -> Json {
    let mut event = workflow_run();
    event["workflow_run"]["head_repository"]["full_name"] = json!("a/gate");
    event
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
        "`after` is not a full commit id",
    );
    let broken = of_pull_request("a/gate").left("metrics-compare", "compare.json", "{\"schema\":2");
    let output = broken.run("report");
    ends(&output, 0, "no verdict: failed to read");
    assert!(
        broken.summary().contains("compare.json"),
        "{}",
        broken.summary()
    );
    let name = "x".repeat(10_000_000);
    let long = run_text(9_000, 2.0, HEAD).replace("latency/p50", &name);
    let scene = of_pull_request("a/gate").left("metrics-load", "run.json", &long);
    let output = scene.run("report");
    ends(&output, 0, "no verdict");
    assert!(
        output.stdout.len() + output.stderr.len() < 500_000,
        "it is not repeated whole"
    );
    let markup = comparison().replace("AMD EPYC", "<img src=x>@all |[x](http://e)");
    assert_ne!(markup, comparison(), "the file names its CPU");
    let scene = of_pull_request("a/gate").left("metrics-compare", "compare.json", &markup);
    scene.run("report");
    let comment = &scene.github.comments()[0];
    assert!(
        comment.contains("`<img src=x>@all ¦[x](http://e)`"),
        "{comment}"
    );
}
