//! Approvals in the audit and in `/metrics`, and configurations of approvals that are refused.

use std::process::Command;

use thoughtgate_test::client;

use super::{APPROVER, POLICY, Scene, answer, held_call, legacy_task_call};
use crate::support::{before, check, is_permitted, outcome, refusal};

#[tokio::test]
async fn a_call_about_which_nobody_can_be_asked_is_audited_as_refused() {
    let scene = Scene::new().audited();
    let mut proxy = scene.start();
    for (arguments, told) in [
        (
            r#"{"v":1,"v":2}"#,
            "an object in its arguments has a duplicate key",
        ),
        (r#"{"v":1e999}"#, "a number or an escape"),
        (r#"{"v":"\ud800"}"#, "a number or an escape"),
    ] {
        let call = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"deploy","arguments":{arguments}}}}}"#
        );
        let headers = [("x-agent", "alice")];
        let answer = client::post_json(&proxy.url(), &headers, call)
            .await
            .unwrap();
        assert!(answer.text().contains(told), "{}", answer.text());
    }
    let lines = scene.audit(&mut proxy);
    assert_eq!(lines.len(), 3);
    for line in lines {
        assert_eq!(line["decision"], "error");
        let error = line["error"].as_str().unwrap();
        assert!(
            error.contains("the call cannot be approved: invalid parameters"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_audit_has_a_line_for_the_call_and_for_each_step_of_its_approval() {
    let scene = Scene::new().audited();
    let mut proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    scene.approve().await;
    answer(&mut held).await;
    let lines = scene.audit(&mut proxy);
    let id = lines
        .iter()
        .find_map(|line| line["approval"].as_str())
        .unwrap();
    let steps: Vec<&str> = lines
        .iter()
        .filter(|line| line["approval"] == id)
        .map(|line| line["decision"].as_str().unwrap())
        .collect();
    for step in ["approve", "pending", "approved", "executing", "done"] {
        assert!(steps.contains(&step), "{step} is not in {steps:?}");
    }
    assert_eq!(steps.len(), 5);
    let approved = lines
        .iter()
        .find(|line| line["decision"] == "approved")
        .unwrap();
    assert_eq!(approved["decided_by"], APPROVER);
    assert_eq!(
        (&approved["agent"], &approved["subject"]),
        (&"alice".into(), &"deploy".into())
    );
    let asked = lines
        .iter()
        .find(|line| line["decision"] == "approve")
        .unwrap();
    assert!(asked["arguments_sha256"].is_string(), "{asked}");
    for line in lines.iter().filter(|line| line["approval"] == id) {
        assert_eq!(line["arguments_sha256"], asked["arguments_sha256"]);
        assert_eq!(line["upstream"], asked["upstream"]);
    }
    assert_eq!(approved["policies"][0], "risky");
    assert!(approved["latency_us"].as_u64().unwrap() > 0);
    assert!(lines.iter().all(|line| !line.to_string().contains("prod")));
}

#[tokio::test]
async fn figures_and_readiness_tell_of_approvals() {
    let scene = Scene::new();
    let proxy = scene.start();
    let ready = proxy.ready_is(200).await;
    assert_eq!(ready["checks"]["approvals"]["ok"], true);
    let mut held = held_call().open(&proxy).await;
    assert_eq!(
        proxy.metric("thoughtgate_approvals_pending").await,
        Some(1.0)
    );
    scene.approve().await;
    answer(&mut held).await;
    let entered = |state: &str| format!("thoughtgate_approvals_entered_total{{state=\"{state}\"}}");
    assert_eq!(proxy.metric(&entered("done")).await, Some(1.0));
    assert_eq!(
        proxy.metric("thoughtgate_approvals_pending").await,
        Some(0.0)
    );
    assert_eq!(
        proxy
            .metric("thoughtgate_decisions_total{outcome=\"approve\"}")
            .await,
        Some(1.0)
    );
}

#[test]
fn configurations_that_make_no_sense_are_named() {
    let token = ("THOUGHTGATE_APPROVAL_SLACK_TOKEN", "xoxb-secret");
    let channel = ("THOUGHTGATE_APPROVAL_SLACK_CHANNEL", "C0");
    let approvers = ("THOUGHTGATE_APPROVAL_SLACK_APPROVERS", "U0");
    for (environment, expected) in [
        (&[][..], "set `approval.slack` or remove @approve"),
        (
            &[channel, approvers],
            "`approval` needs `slack.token` or `slack.token_file`",
        ),
        (&[token, approvers], "`approval.slack` needs `channel`"),
        (&[token, channel], "nobody may approve"),
        (
            &[
                token,
                channel,
                ("THOUGHTGATE_APPROVAL_SLACK_APPROVERS", "alice"),
            ],
            "approver 1 of 1 is not a valid id",
        ),
        (
            &[
                token,
                channel,
                approvers,
                ("THOUGHTGATE_APPROVAL_SLACK_TOKEN_FILE", "x"),
            ],
            "`approval.slack.token` and `approval.slack.token_file` are mutually exclusive",
        ),
        (
            &[
                ("THOUGHTGATE_APPROVAL_SLACK_TOKEN_FILE", "/nowhere/token"),
                channel,
                approvers,
            ],
            "the file named by `approval.slack.token_file`",
        ),
        (
            &[
                token,
                channel,
                approvers,
                ("THOUGHTGATE_APPROVAL_TIMEOUT", "0s"),
            ],
            "`approval.timeout` is 0",
        ),
    ] {
        let (code, error) = check(POLICY, environment);
        assert_eq!(code, Some(2), "{error}");
        assert!(!error.contains("xoxb-secret"), "{error}");
        assert!(error.contains(expected), "{expected} is not in {error}");
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_used_stops_the_start() {
    let scene = Scene::new().with("APPROVAL_STORE", "/dev/null/approvals.redb");
    let (url, policy) = (scene.upstream.url(), scene.policy());
    let mut command = Command::new(env!("CARGO_BIN_EXE_thoughtgate"));
    command
        .args(before(&url, &policy))
        .args(["--listen", "127.0.0.1:0"])
        .envs(scene.environment.iter().cloned());
    let (code, _, error) = outcome(&mut command);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("`/dev/null/approvals.redb`"), "{error}");
}

#[tokio::test]
async fn a_store_that_cannot_be_written_stops_no_other_call() {
    let scene = Scene::new().kept();
    let proxy = scene.start();
    let store = scene.folder.path().join("approvals.redb");
    // Another file in its place is not written to, as it is not the one that is locked.
    std::fs::write(scene.folder.path().join("other"), "").unwrap();
    std::fs::rename(scene.folder.path().join("other"), &store).unwrap();
    let end = held_call().send(&proxy).await.json();
    assert_eq!(refusal(&end)["code"], 50301, "{end}");
    let ready = proxy.ready_is(200).await;
    assert!(ready["checks"]["approvals"]["store"].is_string(), "{ready}");
    let echo = super::Message::legacy("tools/call", &serde_json::json!({"name": "echo"}));
    assert!(is_permitted(&echo.send(&proxy).await.json()));

    std::fs::remove_file(&store).unwrap();
    loop {
        let task = legacy_task_call().send(&proxy).await.json();
        if task["result"].is_object() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let ready = proxy.ready_is(200).await;
    assert!(ready["checks"]["approvals"]["store"].is_null(), "{ready}");
    assert!(std::fs::metadata(&store).unwrap().len() > 0);
}
