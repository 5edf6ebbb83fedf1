//! Comments on pull requests: which of them get one, and what becomes of a GitHub that takes none.

use serde_json::{Value as Json, json};

use super::super::{ends, stderr};
use super::github;
use super::of_pull_request;
use super::scene::{self, HEAD, Scene, comparison, pull_request, push, run_text, usual};

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
        let scene =
            of_pull_request("a/gate").left("metrics-compare", "compare.json", &comparison());
        scene.github.fail(status, body, times);
        let output = scene.run("report");
        ends(&output, 1, "BLOCK");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            printed.contains("::warning title=metrics::commenting failed: "),
            "{status}: {printed}"
        );
        assert!(scene.path("target/metrics/comment.md").exists());
    }
    // A request that fails once is repeated.
    let scene = of_pull_request("a/gate").left("metrics-compare", "compare.json", &comparison());
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
fn a_comment_is_not_made_on_a_pull_request_that_has_moved_on() {
    let scene =
        Scene::of(pull_request("a/gate")).left("metrics-compare", "compare.json", &comparison());
    scene.github.pull(7, scene::BASE);
    let output = scene.run("report");
    ends(&output, 1, "BLOCK");
    assert!(
        stderr(&output).contains("has another last commit by now"),
        "{}",
        stderr(&output)
    );
    assert!(scene.github.comments().is_empty());
}

#[test]
fn an_image_that_is_not_as_required_is_an_alert_on_the_pull_request() {
    let mut run: Json = serde_json::from_str(&run_text(9_000, 2.0, HEAD)).unwrap();
    run["metrics"][1] = json!({"name": "binary/docker_base", "unit": "string",
                     "outcome": {"measured": {"value": "debian", "interval": null}}});
    let scene = of_pull_request("a/gate").left("metrics-container", "run.json", &run.to_string());
    let same = scene::session("same_program");
    let scene = scene.left("metrics-compare", "compare.json", &same);
    let output = scene.run("report");
    ends(&output, 0, "ALERT");
    let comments = scene.github.comments();
    assert!(
        comments[0].contains("### ALERT: worse: `binary/docker_base`"),
        "{comments:?}"
    );
}

#[test]
fn a_pull_request_that_takes_no_comment_keeps_no_other_from_its_own() {
    // Both became worse, with two commits.
    let scene = Scene::of(push("refs/heads/main")).history("main", usual().chain([2.3]));
    let mut run: Json = serde_json::from_str(&run_text(9_000, 2.3, HEAD)).unwrap();
    run["metrics"][0]["outcome"]["measured"]["value"] = json!(12_000_000);
    let scene = scene.left("metrics-load", "run.json", &run.to_string());
    scene.github.pull(12, &scene::past(30)).pull(13, HEAD);
    scene.github.lock(12);
    let output = scene.run("report");
    ends(&output, 1, "BLOCK");
    let asked = scene.github.asked();
    let told = |number: &str| {
        let mut posts = asked.iter().filter(|asked| asked.method == "POST");
        posts.any(|asked| asked.path.ends_with(&format!("issues/{number}/comments")))
    };
    assert!(told("12") && told("13"));
    assert_eq!(scene.github.comments().len(), 1);
    assert!(scene.github.comments()[0].contains("merged: `binary/size`"));
}
