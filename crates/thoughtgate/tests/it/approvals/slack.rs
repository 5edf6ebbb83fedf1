//! Slack with rate limits, failures and lost answers; and approval by buttons.

use serde_json::json;
use thoughtgate_test::client;
use thoughtgate_test::process::Output;

use super::{APPROVER, STRANGER, Scene, answer, held_call};
use crate::support::{PATIENCE, is_permitted, refusal};

const POST: &str = "chat.postMessage";

#[tokio::test]
async fn a_limit_is_waited_for_and_the_message_comes_once() {
    let scene = Scene::new();
    scene.slack.turn(|knobs| {
        knobs.only_method = Some(POST.to_owned());
        knobs.next_too_many_requests = 1;
        knobs.retry_after_s = 1;
    });
    let proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    scene.approve().await;
    assert!(is_permitted(&answer(&mut held).await));
    assert_eq!(
        (scene.slack.calls(POST), scene.slack.messages().len()),
        (2, 1)
    );
    assert_eq!(
        proxy
            .metric("thoughtgate_approvals_call_limited_total")
            .await,
        Some(1.0)
    );
}

#[tokio::test]
async fn a_lost_answer_is_looked_for_before_anything_is_posted_again() {
    let scene = Scene::new();
    scene.slack.turn(|knobs| {
        knobs.only_method = Some(POST.to_owned());
        knobs.next_lost = 1;
    });
    let proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    scene.approve().await;
    assert!(is_permitted(&answer(&mut held).await));
    assert_eq!(scene.slack.messages().len(), 1);
    assert_eq!(
        proxy
            .metric("thoughtgate_approvals_found_posted_total")
            .await,
        Some(1.0)
    );
    // The question was asked: that fault is over.
    let ready = proxy.ready_is(200).await;
    let check = &ready["checks"]["approvals"];
    assert!(check["approvers"].is_null(), "{ready}");
}

#[tokio::test]
async fn errors_of_the_server_are_tried_again() {
    let scene = Scene::new();
    scene.slack.turn(|knobs| knobs.next_server_errors = 2);
    let proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    scene.approve().await;
    assert!(is_permitted(&answer(&mut held).await));
    assert_eq!(scene.slack.messages().len(), 1);
}

#[tokio::test]
async fn where_nobody_can_be_asked_the_agent_is_told_and_other_calls_go_on() {
    let scene = Scene::new();
    scene.slack.turn(|knobs| {
        knobs.only_method = Some(POST.to_owned());
        knobs.next_refused = 1;
        knobs.refusal = "channel_not_found".to_owned();
    });
    let proxy = scene.start();
    let end = held_call().end(&proxy).await;
    assert_eq!(refusal(&end)["code"], 50301, "{end}");
    let ready = proxy.ready_is(200).await;
    assert_eq!(ready["checks"]["approvals"]["ok"], true, "{ready}");
    let why = ready["checks"]["approvals"]["approvers"].as_str().unwrap();
    assert_eq!(why, "approvers cannot be asked; see the log for the reason");
    let log = "WARN thoughtgate: approvers cannot be asked: ";
    let line = proxy.process.wait_line(Output::Stderr, log, PATIENCE);
    assert!(line.unwrap().contains("channel_not_found"));
    assert_eq!(scene.calls(), 0);
}

#[tokio::test]
async fn buttons_decide_where_their_signature_is_right() {
    let scene = Scene::new()
        .with("APPROVAL_SLACK_SIGNING_SECRET", "signing")
        .with("APPROVAL_SLACK_POLL_INTERVAL", "1h");
    let proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    let messages = scene.slack.wait_for_messages(1).await;
    let posted = serde_json::to_value(&messages[0].posted).unwrap();
    let button = button(&posted).expect("a button in the message");
    while proxy.metric("thoughtgate_approvals_posted_total").await != Some(1.0) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let press = |user: &str| {
        let payload = json!({
            "type": "block_actions",
            "user": {"id": user},
            "container": {"channel_id": messages[0].channel, "message_ts": messages[0].ts},
            "actions": [{"action_id": button["action_id"], "value": button["value"]}],
        });
        format!(
            "payload={}",
            payload.to_string().replace('%', "%25").replace('+', "%2B")
        )
    };
    let url = proxy.at("/approval/press");
    let send = async |body: String, secret: &str| {
        let (time, signature) = signed(&body, secret);
        let headers = [
            ("x-slack-request-timestamp", time.as_str()),
            ("x-slack-signature", signature.as_str()),
        ];
        client::request(http::Method::POST, &url, &headers, body)
            .await
            .unwrap()
            .status
    };
    assert_eq!(send(press(APPROVER), "forged").await, 401);
    assert_eq!(send(press(STRANGER), "signing").await, 200);
    assert_eq!(send("payload=%7B%7D".to_owned(), "signing").await, 200);
    assert_eq!(scene.calls(), 0);
    assert_eq!(send(press(APPROVER), "signing").await, 200);
    assert!(is_permitted(&answer(&mut held).await));
    assert_eq!(scene.calls(), 1);
}

#[tokio::test]
async fn without_a_signing_secret_there_is_no_such_path() {
    let scene = Scene::new();
    let proxy = scene.start();
    let url = proxy.at("/approval/press");
    let answer = client::request(http::Method::POST, &url, &[], "payload=%7B%7D")
        .await
        .unwrap();
    assert_eq!(answer.status, 404);
    assert_eq!(scene.upstream.stats().requests, 0);
}

/// The approve button of a message.
fn button(value: &serde_json::Value) -> Option<&serde_json::Value> {
    match value {
        serde_json::Value::Object(fields) if value["action_id"] == "thoughtgate_approve" => {
            fields.contains_key("value").then_some(value)
        }
        serde_json::Value::Object(fields) => fields.values().find_map(button),
        serde_json::Value::Array(items) => items.iter().find_map(button),
        _ => None,
    }
}

fn signed(body: &str, secret: &str) -> (String, String) {
    use std::fmt::Write as _;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let time = now.as_secs().to_string();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    let tag = ring::hmac::sign(&key, format!("v0:{time}:{body}").as_bytes());
    let mut signature = "v0=".to_owned();
    for byte in tag.as_ref() {
        write!(signature, "{byte:02x}").unwrap();
    }
    (time, signature)
}
