//! Clients that go away or cancel while their call is held, and come back or not.

use serde_json::json;
use thoughtgate_test::client;
use tokio::task::JoinHandle;

use super::{APPROVER, Message, POLICY, Scene, answer, held_call, retried_call};
use crate::support::{Proxy, is_permitted, refusal, told};

/// A client that waits for the answer to `call`.
pub(super) fn asking(proxy: &Proxy, call: Message) -> JoinHandle<()> {
    let url = proxy.url();
    tokio::spawn(async move {
        let answer = client::post_json(&url, &call.borrowed(), call.body.to_string()).await;
        panic!("the client was to go away before its answer: {answer:?}");
    })
}

/// Waits until no call is held, as the proxy notices a departure a little later.
async fn nobody_waits(proxy: &Proxy) {
    proxy.metric_is("thoughtgate_approvals_held", 0.0).await;
}

/// Sends `call` and goes away once it is held.
pub(super) async fn go_away(scene: &Scene, proxy: &Proxy, call: Message) {
    let asking = asking(proxy, call);
    scene.slack.wait_for_messages(1).await;
    proxy.metric_is("thoughtgate_approvals_held", 1.0).await;
    asking.abort();
    nobody_waits(proxy).await;
}

pub(super) fn patient() -> Scene {
    Scene::new().with("APPROVAL_HOLD", "60s")
}

#[tokio::test]
async fn a_modern_client_that_does_not_come_back_takes_its_request_back() {
    let scene = patient().with("APPROVAL_GRACE", "50ms");
    let proxy = scene.start();
    go_away(&scene, &proxy, retried_call()).await;
    scene.message_says("Withdrawn").await;
    assert_eq!(proxy.metric("thoughtgate_approvals_open").await, Some(0.0));
}

#[tokio::test]
async fn a_modern_client_with_little_patience_gets_its_approval() {
    let scene = patient();
    let proxy = scene.start();
    for _ in 0..3 {
        go_away(&scene, &proxy, retried_call()).await;
    }
    let (url, call) = (proxy.url(), retried_call());
    let asking = tokio::spawn(async move {
        client::post_json(&url, &call.borrowed(), call.body.to_string()).await
    });
    proxy.metric_is("thoughtgate_approvals_held", 1.0).await;
    scene.approve().await;
    let answer = asking.await.unwrap().unwrap().json();
    assert!(is_permitted(&answer), "{answer}");
    assert_eq!((scene.calls(), scene.slack.messages().len()), (1, 1));
}

#[tokio::test]
async fn a_call_that_is_approved_while_nobody_waits_is_made_for_the_client_that_comes_back() {
    let scene = patient();
    let proxy = scene.start();
    let with_token = |token| retried_call().header("authorization", token);
    go_away(&scene, &proxy, with_token("Bearer first")).await;
    scene.approve().await;
    scene.message_says("Approved").await;
    assert_eq!(scene.calls(), 0);
    let answer = with_token("Bearer second").send(&proxy).await.json();
    assert!(is_permitted(&answer), "{answer}");
    assert_eq!((scene.calls(), scene.slack.messages().len()), (1, 1));
    let seen = scene.upstream.requests();
    let credentials = seen.last().unwrap().header("authorization");
    assert_eq!(credentials, Some("Bearer second"));
}

#[tokio::test]
async fn policies_that_changed_while_nobody_waits_have_the_last_word() {
    let scene = patient();
    let proxy = scene.start();
    go_away(&scene, &proxy, retried_call()).await;
    scene.approve().await;
    scene.message_says("Approved").await;
    let freeze = r#"@id("freeze") forbid (principal, action, resource == Tool::"deploy");"#;
    scene.write_policy(&format!("{POLICY}{freeze}"));
    proxy.metric_is("thoughtgate_policy_generation", 2.0).await;
    let answer = retried_call().send(&proxy).await.json();
    assert_eq!(refusal(&answer)["code"], 40301, "{answer}");
    assert_eq!(scene.calls(), 0);
}

#[tokio::test]
async fn a_modern_client_that_cancels_takes_its_request_back_at_once() {
    let scene = patient();
    let proxy = scene.start();
    let (url, call) = (proxy.url(), retried_call());
    let asking = tokio::spawn(async move {
        client::post_json(&url, &call.borrowed(), call.body.to_string()).await
    });
    scene.slack.wait_for_messages(1).await;
    // A client of the session era may use the same id for another call.
    cancellation(&json!(7)).send(&proxy).await;
    let params = json!({"requestId": 7});
    let mut cancel = Message::modern("notifications/cancelled", &params, &json!({}));
    cancel.body.as_object_mut().unwrap().remove("id");
    cancel.headers.retain(|(name, _)| *name != "mcp-name");
    assert_eq!(proxy.metric("thoughtgate_approvals_open").await, Some(1.0));
    cancel.send(&proxy).await;
    let end = asking.await.unwrap().unwrap().json();
    assert_eq!(refusal(&end)["code"], 40304, "{end}");
    scene.message_says("Cancelled by the agent").await;
    assert_eq!(proxy.metric("thoughtgate_approvals_open").await, Some(0.0));
}

#[tokio::test]
async fn a_legacy_client_that_goes_away_can_come_back_for_its_approval() {
    let scene = Scene::new().with("APPROVAL_GRACE", "0s");
    let proxy = scene.start();
    let held = held_call().open(&proxy).await;
    scene.slack.wait_for_messages(1).await;
    drop(held);
    nobody_waits(&proxy).await;
    scene.approve().await;
    scene.message_says("Approved").await;
    // No client was waiting, so the call was not made.
    assert_eq!(scene.calls(), 0);
    let message = held_call().end(&proxy).await;
    assert!(is_permitted(&message), "{message}");
    assert_eq!((scene.calls(), scene.slack.messages().len()), (1, 1));
}

/// The cancellation of a request by a legacy client.
fn cancellation(id: &serde_json::Value) -> Message {
    let params = json!({"requestId": id, "reason": "it takes too long"});
    let mut cancel = Message::legacy("notifications/cancelled", &params);
    cancel.body.as_object_mut().unwrap().remove("id");
    cancel
}

#[tokio::test]
async fn a_call_that_is_cancelled_while_it_is_held_is_not_made() {
    let scene = Scene::new();
    let proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    scene.slack.wait_for_messages(1).await;
    // Neither the id of another call nor a cancellation by another agent counts.
    for other in [cancellation(&json!("7")), cancellation(&json!(7)).of("bob")] {
        assert_eq!(other.send(&proxy).await.status, 202);
    }
    let still = held.next_data().await.unwrap().json();
    assert_eq!(still["method"], "notifications/progress");
    cancellation(&json!(7)).send(&proxy).await;
    let end = answer(&mut held).await;
    assert_eq!(refusal(&end)["code"], 40304, "{end}");
    let text = told(&end);
    assert!(
        text.contains("approval remains open") && text.contains("to get its result"),
        "{text}"
    );
    assert!(!text.contains("new approval"), "{text}");
    // The upstream, which may know a call of that id, got each cancellation.
    assert_eq!(scene.upstream.stats().requests, 3);

    scene.approve().await;
    scene.message_says("Approved").await;
    assert_eq!(scene.calls(), 0);
    let again = held_call().end(&proxy).await;
    assert!(is_permitted(&again), "{again}");
    assert_eq!((scene.calls(), scene.slack.messages().len()), (1, 1));
}

#[tokio::test]
async fn clients_without_a_session_do_not_cancel_each_others_calls() {
    // One agent id for all clients.
    let mut scene = Scene::new().with("AGENT_ID", "agent");
    scene
        .environment
        .retain(|(name, _)| name != "THOUGHTGATE_AGENT_HEADER");
    let proxy = scene.start();
    let with = |to: &str, session: Option<&str>| {
        let mut call = held_call();
        call.body["params"]["arguments"]["to"] = json!(to);
        match session {
            Some(session) => call.header("mcp-session-id", session),
            None => call,
        }
    };
    let mut one = with("one", None).open(&proxy).await;
    let mut other = with("other", None).open(&proxy).await;
    let mut session = with("session", Some("s1")).open(&proxy).await;
    scene.slack.wait_for_messages(3).await;
    let mut cancel = Message::legacy("notifications/cancelled", &json!({"requestId": 7}));
    cancel.body.as_object_mut().unwrap().remove("id");
    cancel.send(&proxy).await;
    cancel
        .clone()
        .header("mcp-session-id", "s2")
        .send(&proxy)
        .await;
    for count in 1..=3 {
        scene.react(count, APPROVER, "white_check_mark").await;
    }
    for held in [&mut one, &mut other, &mut session] {
        let end = answer(held).await;
        assert!(is_permitted(&end), "{end}");
    }
    assert_eq!(scene.calls(), 3);
}
