//! Events of all kinds, as GitHub sends them and as a stranger may write them.

use serde_json::{Value as Json, json};

use super::*;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
const OTHER: &str = "89abcdef0123456789abcdef0123456789abcdef";

fn place(event: &Json) -> anyhow::Result<Place> {
    Place::parse(&event.to_string(), None)
}

fn refused(event: &Json) -> String {
    format!("{:#}", place(event).unwrap_err())
}

fn request(from: &str) -> Json {
    json!({
        "action": "synchronize",
        "number": 7,
        "pull_request": {
            "title": "`; rm -rf /",
            "head": {"sha": SHA, "ref": "main", "repo": {"full_name": from}},
            "base": {"sha": OTHER, "ref": "main", "repo": {"full_name": "a/gate"}},
        },
    })
}

#[test]
fn a_push_is_of_main_or_of_a_release() {
    let push = |reference: &str| json!({"ref": reference, "after": SHA});
    let main = place(&push("refs/heads/main")).unwrap();
    assert_eq!(main.branch().as_deref(), Some("main"));
    assert_eq!(main.revision(), Some(SHA));
    let release = place(&push("refs/tags/v1.2.0-rc.1")).unwrap();
    assert_eq!(release.branch().as_deref(), Some("releases"));
    assert_eq!(release.describe(), "the release v1.2.0-rc.1");
    for other in [
        "refs/heads/feature",
        "refs/heads/main2",
        "refs/tags/nightly",
    ] {
        assert_eq!(place(&push(other)).unwrap(), Place::Local);
    }
    let deleted = json!({"ref": "refs/heads/main", "after": "0".repeat(40), "deleted": true});
    assert_eq!(place(&deleted).unwrap(), Place::Local);
}

#[test]
fn a_pull_request_has_a_branch_of_its_number_whatever_its_own_is_called() {
    let own = place(&request("a/gate")).unwrap();
    assert_eq!(own.branch().as_deref(), Some("pr-7"));
    assert!(matches!(&own, Place::PullRequest(request) if !request.is_fork));
    let fork = place(&request("mallory/gate")).unwrap();
    assert_eq!(fork.branch().as_deref(), Some("pr-7"));
    assert!(matches!(&fork, Place::PullRequest(request) if request.is_fork));
    let mut deleted = request("mallory/gate");
    deleted["pull_request"]["head"]["repo"] = Json::Null;
    let deleted = place(&deleted).unwrap();
    assert!(matches!(&deleted, Place::PullRequest(request) if request.is_fork));
    let mut closed = request("a/gate");
    closed["action"] = "closed".into();
    assert_eq!(place(&closed).unwrap(), Place::Closed { number: 7 });
}

#[test]
fn the_end_of_a_workflow_matters_for_forks_alone() {
    let done = |from: &str, event: &str| {
        json!({
            "action": "completed",
            "repository": {"full_name": "a/gate"},
            "workflow_run": {
                "head_sha": SHA, "head_branch": "main", "event": event,
                "head_repository": {"full_name": from},
            },
        })
    };
    let fork = place(&done("mallory/gate", "pull_request")).unwrap();
    assert_eq!(
        fork,
        Place::ForkDone {
            revision: SHA.to_owned()
        }
    );
    assert_eq!(fork.branch(), None, "only the API knows the pull request");
    for (from, event) in [("a/gate", "pull_request"), ("mallory/gate", "push")] {
        assert_eq!(place(&done(from, event)).unwrap(), Place::Local);
    }
}

#[test]
fn a_hostile_or_broken_event_is_refused_by_its_field() {
    let mut numberless = request("a/gate");
    numberless["number"] = "7; echo".into();
    assert!(refused(&numberless).contains("invalid type: string"));
    let mut zero = request("a/gate");
    zero["number"] = 0.into();
    assert!(refused(&zero).contains("the number 0"));
    let mut commit = request("a/gate");
    commit["pull_request"]["head"]["sha"] = "--upload-pack=x".into();
    assert!(refused(&commit).contains("`pull_request.head.sha` is not a full commit id"));
    let tag = json!({"ref": "refs/tags/v1\n| x |", "after": SHA});
    assert!(refused(&tag).contains("is not a valid release tag"));
    assert!(Place::parse("{\"ref\":", None).is_err());
    assert!(Place::parse("[]", Some("push")).is_err());
}

#[test]
fn without_an_event_it_is_this_machine() {
    assert_eq!(Place::of(&Job::default()).unwrap(), Place::Local);
    let missing = Job {
        file: Some("/nowhere/event.json".into()),
        ..Job::default()
    };
    let error = format!("{:#}", Place::of(&missing).unwrap_err());
    assert!(
        error.contains("failed to read the event `/nowhere/event.json`"),
        "{error}"
    );
}
