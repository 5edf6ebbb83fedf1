//! Approvals that end without a call: denied, expired, withdrawn, or not permitted any more.

use serde_json::json;
use thoughtgate_test::mock_mcp::Canned;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    APPROVER, Message, STRANGER, Scene, answer, come_back, held_call, retried_call, task_call,
    task_end,
};
use crate::support::{PATIENCE, is_permitted, refusal, told};
use crate::upstream::scripted::{self, Request, Scripted};

#[tokio::test]
async fn a_no_is_told_with_who_said_it() {
    let scene = Scene::new();
    let proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    scene.react(1, APPROVER, "x").await;
    let end = answer(&mut held).await;
    assert_eq!(
        (&end["id"], &refusal(&end)["code"]),
        (&json!(7), &json!(40303)),
        "{end}"
    );
    let text = told(&end);
    assert!(
        text.contains("rejected") && text.contains(APPROVER),
        "{text}"
    );
    assert_eq!(refusal(&end)["state"], "rejected");

    let task = task_call().send(&proxy).await.json();
    scene.react(2, APPROVER, "-1").await;
    let task = task_end(&proxy, task["result"]["taskId"].as_str().unwrap()).await;
    assert_eq!(
        (&task["status"], &refusal(&task)["code"]),
        (&json!("completed"), &json!(40303))
    );

    let call = retried_call();
    let first = call.send(&proxy).await.json();
    scene.react(3, APPROVER, "x").await;
    let end = come_back(&proxy, &call, first).await;
    assert_eq!(refusal(&end)["code"], 40303, "{end}");
    assert_eq!(scene.calls(), 0);
}

#[tokio::test]
async fn a_no_outweighs_a_yes_and_a_later_yes_changes_nothing() {
    let scene = Scene::new().with("APPROVAL_SLACK_POLL_INTERVAL", "300ms");
    let proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    scene.react(1, APPROVER, "white_check_mark").await;
    scene.react(1, APPROVER, "x").await;
    let end = answer(&mut held).await;
    assert_eq!(refusal(&end)["code"], 40303, "{end}");
    let ts = scene.slack.messages()[0].ts.clone();
    scene.slack.unreact(&ts, APPROVER, "x");
    scene.message_says("Rejected").await;
    assert_eq!(scene.calls(), 0);
}

#[tokio::test]
async fn a_yes_of_somebody_else_does_not_count_and_the_agent_is_told() {
    let scene = Scene::new().with("APPROVAL_TIMEOUT", "700ms");
    let proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    scene.react(1, STRANGER, "white_check_mark").await;
    let end = answer(&mut held).await;
    let facts = refusal(&end);
    assert_eq!(
        (&facts["code"], &facts["retry"]),
        (&json!(40801), &json!(true))
    );
    let text = told(&end);
    assert!(
        text.contains("votes of 1 person who is not an approver were ignored"),
        "{text}"
    );
    assert_eq!(scene.calls(), 0);
    scene.message_says("xpired").await;
}

#[tokio::test]
async fn an_approval_that_expires_names_nobody() {
    let scene = Scene::new().with("APPROVAL_APPROVED_FOR", "50ms").audited();
    let mut proxy = scene.start();
    let call = retried_call();
    let first = call.send(&proxy).await.json();
    scene.approve().await;
    scene
        .message_says("Approved, but the call was not made in time")
        .await;
    let end = come_back(&proxy, &call, first).await;
    assert_eq!(refusal(&end)["code"], 40801, "{end}");
    let lines = scene.audit(&mut proxy);
    let expired = lines.iter().find(|line| line["decision"] == "expired");
    let message = scene.slack.messages()[0].content().blocks.to_string();
    for told in [end, expired.unwrap().clone(), message.into()] {
        let told = told.to_string();
        assert!(!told.contains(APPROVER), "{told}");
    }
}

#[tokio::test]
async fn policies_that_changed_meanwhile_have_the_last_word() {
    let scene = Scene::new();
    let proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    let task = task_call().send(&proxy).await.json();
    let call = retried_call();
    let mut state = call.clone();
    state.body["params"]["arguments"] = json!({"to": "elsewhere"});
    let first = state.send(&proxy).await.json();
    scene.slack.wait_for_messages(2).await;
    let freeze = r#"@id("freeze") forbid (principal, action, resource == Tool::"deploy");"#;
    scene.write_policy(&format!("{}{freeze}", super::POLICY));
    while proxy.metric("thoughtgate_policy_generation").await != Some(2.0) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    scene.approve().await;
    let end = answer(&mut held).await;
    assert_eq!(refusal(&end)["code"], 40303, "{end}");
    assert!(
        told(&end).contains("policies no longer permit the call"),
        "{end}"
    );
    assert_eq!(refusal(&end)["policies"], json!(["freeze"]));
    let task = task_end(&proxy, task["result"]["taskId"].as_str().unwrap()).await;
    assert_eq!(task["status"], "completed", "{task}");
    assert!(
        told(&task).contains("policies no longer permit the call"),
        "{task}"
    );
    // A client that retries is refused by the policies, and its approval ends with that.
    let end = come_back(&proxy, &state, first).await;
    assert_eq!(refusal(&end)["code"], 40301, "{end}");
    assert_eq!(proxy.metric("thoughtgate_approvals_open").await, Some(0.0));
    assert_eq!(scene.calls(), 0);
}

#[tokio::test]
async fn policies_that_permit_it_meanwhile_let_it_through_without_the_state() {
    let scene = Scene::new();
    let proxy = scene.start();
    let call = retried_call();
    let first = call.send(&proxy).await.json();
    scene.write_policy(&super::POLICY.replace("@approve", ""));
    while proxy.metric("thoughtgate_policy_generation").await != Some(2.0) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let answer = come_back(&proxy, &call, first).await;
    assert!(is_permitted(&answer), "{answer}");
    let seen = scene.upstream.requests().last().unwrap().json();
    assert!(seen["params"]["requestState"].is_null(), "{seen}");
}

#[tokio::test]
async fn an_upstream_that_fails_uses_the_approval_up() {
    let scene = Scene::new();
    scene
        .upstream
        .turn(|knobs| knobs.fault = thoughtgate_test::mock_mcp::Fault::CloseBeforeAnswer);
    let proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    scene.approve().await;
    let end = answer(&mut held).await;
    assert_eq!(end["error"]["code"], 50201, "{end}");
    // The outcome is unknown, so the call is not repeated without a new approval.
    let _again = held_call().open(&proxy).await;
    scene.slack.wait_for_messages(2).await;
}

#[tokio::test]
async fn an_approved_call_follows_a_redirect_that_the_upstream_has_just_begun() {
    let moved = Arc::new(AtomicBool::new(false));
    let has_moved = Arc::clone(&moved);
    let upstream = Scripted::start(move |request: &Request| {
        if request.path == "/mcp" && has_moved.load(Ordering::SeqCst) {
            return "HTTP/1.1 307 x\r\nlocation: /new\r\ncontent-length: 0\r\n\r\n".to_owned();
        }
        let id = &request.json()["id"];
        let result = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#);
        scripted::json(200, &result)
    })
    .await;
    let scene = Scene::new().with("WORKERS", "1");
    let proxy = scene.start_before(&upstream.url("/mcp"));
    // The proxy keeps no copies of requests by now.
    let echo = Message::legacy("tools/call", &json!({"name": "echo"}));
    for _ in 0..40 {
        assert_eq!(echo.send(&proxy).await.status, 200);
    }
    moved.store(true, Ordering::SeqCst);
    let mut held = held_call().open(&proxy).await;
    scene.approve().await;
    let end = answer(&mut held).await;
    assert_eq!(end["result"], json!({}), "{end}");
    let paths = upstream.calls().into_iter().map(|call| call.path);
    assert_eq!(paths.filter(|path| path == "/new").count(), 1);
}

#[tokio::test]
async fn a_stop_ends_the_wait_at_once_and_says_so() {
    let scene = Scene::new();
    let mut proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    scene.slack.wait_for_messages(1).await;
    proxy.process.terminate().unwrap();
    let end = answer(&mut held).await;
    assert_eq!(end["error"]["code"], 50302, "{end}");
    assert_eq!(proxy.process.wait(PATIENCE).unwrap().code(), Some(0));
    let cut_off = proxy
        .process
        .output(thoughtgate_test::process::Output::Stderr);
    assert!(
        !cut_off.iter().any(|line| line.contains("cut off")),
        "{cut_off:?}"
    );
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_says_that_the_call_was_made() {
    let encoded = Canned {
        status: 200,
        headers: vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("content-encoding".to_owned(), "gzip".to_owned()),
        ],
        body: "not JSON".to_owned(),
    };
    let says_so = |end: &serde_json::Value, scene: &Scene| {
        let text = end["error"]["message"].as_str().unwrap();
        assert!(text.contains("the call was made"), "{end}");
        let asked = scene.upstream.requests();
        assert_eq!(asked[0].header("accept-encoding"), Some("identity"));
        assert_eq!(asked.len(), 1);
    };
    let scene = Scene::new();
    scene
        .upstream
        .turn(|knobs| knobs.canned = Some(encoded.clone()));
    let proxy = scene.start();
    let held = held_call().header("accept-encoding", "gzip");
    let mut held = held.open(&proxy).await;
    scene.approve().await;
    says_so(&answer(&mut held).await, &scene);

    let scene = Scene::new();
    scene.upstream.turn(|knobs| knobs.canned = Some(encoded));
    let proxy = scene.start();
    let task = task_call().header("accept-encoding", "gzip");
    let task = task.send(&proxy).await.json();
    scene.approve().await;
    let end = task_end(&proxy, task["result"]["taskId"].as_str().unwrap()).await;
    says_so(&end, &scene);
}
