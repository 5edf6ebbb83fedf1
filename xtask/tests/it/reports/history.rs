//! The history that reports are judged by: what is added, accepted and published.

use super::super::{ends, stderr, xtask};
use super::on_main;
use super::scene::{self, HEAD, run_text, usual};

#[test]
fn to_accept_what_the_last_job_is_not_compared_with_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let history = |arguments: &[&str]| {
        let file = path("history.jsonl");
        xtask(&[&["metrics", "history", "--file", &file][..], arguments].concat())
    };
    let add = |run: &str| {
        std::fs::write(path("run.json"), run).unwrap();
        let run = path("run.json");
        let output = history(&["add", "--run", &run, "--branch", "main"]);
        ends(&output, 0, "2 metrics of `main` added");
        stderr(&output)
    };
    let accept = |commit: &str| {
        let flags = [
            "--metric",
            "latency/p50",
            "--commit",
            commit,
            "--reason",
            "meant",
        ];
        let output = history(&[&["accept"][..], &flags].concat());
        ends(&output, 0, "has a new baseline");
        stderr(&output)
    };
    let (here, there) = (scene::past(1), scene::past(2));
    add(&run_text(1_000, 2.0, &here));
    add(&run_text(2_000, 2.0, &there).replace("x86_64", "aarch64"));
    add(&run_text(3_000, 2.0, HEAD));
    let told = accept(&there);
    assert!(
        told.contains(
            "warning: the last job of `main` is not compared with the job of 000000000000, which ran on \
             another kind of machine or with other settings: the baseline of `latency/p50` stays as it was"
        ),
        "{told}"
    );
    let told = accept(&here);
    assert!(!told.contains("warning"), "{told}");
    // A job of a machine whose clock was wrong.
    let told = add(&run_text(9_000_000_000, 2.0, scene::BASE));
    assert!(
        told.contains("began in the future, by the clock of this machine"),
        "{told}"
    );
    let output = history(&["show"]);
    ends(&output, 0, "3 jobs");
    let told = stderr(&output);
    assert!(
        told.contains("the job of 89abcdef0123 is left out: it began in the future"),
        "{told}"
    );
    let run = path("run.json");
    let again = history(&["add", "--run", &run, "--branch", "main"]);
    ends(&again, 0, "has this run already");
}

#[test]
fn a_branch_of_sources_is_not_published_to() {
    let scene = on_main(2.0).history("main", usual());
    let clone = scene.path("sources");
    std::fs::create_dir(&clone).unwrap();
    std::fs::write(clone.join("index.html"), "mine").unwrap();
    scene::git(&clone, &["init", "--quiet"]);
    scene::git(&clone, &["add", "."]);
    scene::git(&clone, &["commit", "--quiet", "--message", "sources"]);
    let remote = scene.path("server").display().to_string();
    scene::git(
        &clone,
        &["push", "--quiet", &remote, "HEAD:refs/heads/main"],
    );
    let publish = ["metrics", "publish", "--branch", "main", "--refresh"];
    let output = xtask(&[&publish[..], &["--remote", &remote]].concat());
    ends(&output, 2, "has files, but no valid history.jsonl");
}
