//! Refusals that come while no client waits: the same call, sent again, is told once, and nobody is asked
//! again for that.

use serde_json::{Value, json};

use super::leaving::{go_away, patient};
use super::{APPROVER, Message, Scene, held_call, repeated_call, retried_call};
use crate::support::{PATIENCE, Proxy, refusal, told};

async fn send(proxy: &Proxy, call: &Message) -> Value {
    call.send(proxy).await.json()
}

/// Checks that `call` is told `code` once, of the first approval, and that approvers are asked anew after that.
async fn is_told_once(scene: &Scene, proxy: &Proxy, call: &Message, code: i64) {
    let end = send(proxy, call).await;
    assert_eq!(refusal(&end)["code"], code, "{end}");
    assert_eq!(scene.slack.messages().len(), 1);
    let next = send(proxy, call).await;
    assert_eq!(refusal(&next)["state"], "pending", "{next}");
    scene.slack.wait_for_messages(2).await;
    assert_eq!(scene.calls(), 0);
}

#[tokio::test]
async fn a_legacy_client_that_was_told_to_come_back_hears_the_no() {
    let scene = Scene::new();
    let proxy = scene.start();
    let first = send(&proxy, &repeated_call()).await;
    assert_eq!(refusal(&first)["state"], "pending", "{first}");
    scene.react(1, APPROVER, "x").await;
    scene.message_says("Rejected").await;
    is_told_once(&scene, &proxy, &repeated_call(), 40303).await;
}

#[tokio::test]
async fn a_client_that_left_hears_the_no() {
    for call in [retried_call(), repeated_call()] {
        let scene = patient();
        let proxy = scene.start();
        go_away(&scene, &proxy, call.clone()).await;
        scene.react(1, APPROVER, "x").await;
        scene.message_says("Rejected").await;
        let end = send(&proxy, &call).await;
        assert_eq!(refusal(&end)["code"], 40303, "{end}");
        assert!(told(&end).contains("rejected by"), "{end}");
        assert_eq!((scene.calls(), scene.slack.messages().len()), (0, 1));
    }
}

#[tokio::test]
async fn so_does_the_client_that_nobody_answered_in_time() {
    let scene = Scene::new().with("APPROVAL_TIMEOUT", "300ms");
    let proxy = scene.start();
    let first = send(&proxy, &repeated_call()).await;
    assert_eq!(refusal(&first)["state"], "pending", "{first}");
    scene.message_says("xpired").await;
    is_told_once(&scene, &proxy, &repeated_call(), 40801).await;
}

#[tokio::test]
async fn one_that_waited_is_not_told_twice() {
    let scene = patient();
    let proxy = scene.start();
    let call = held_call();
    let (end, ()) = tokio::join!(call.end(&proxy), scene.react(1, APPROVER, "x"));
    assert_eq!(refusal(&end)["code"], 40303, "{end}");
    let _next = held_call().open(&proxy).await;
    scene.slack.wait_for_messages(2).await;
}

#[tokio::test]
async fn another_user_of_the_agent_asks_for_an_approval_of_its_own() {
    let scene = Scene::new();
    let proxy = scene.start();
    let by = |user| repeated_call().header("authorization", user);
    let first = send(&proxy, &by("Bearer ann")).await;
    scene.react(1, APPROVER, "x").await;
    scene.message_says("Rejected").await;
    let other = send(&proxy, &by("Bearer ben")).await;
    assert_eq!(refusal(&other)["state"], "pending", "{other}");
    assert_ne!(refusal(&other)["approval"], refusal(&first)["approval"]);
    // Now that one is open, it is joined first; its end tells both.
    scene.react(2, APPROVER, "x").await;
    let mut end = json!(null);
    while end.is_null() || refusal(&end)["code"] == 42501 {
        end = send(&proxy, &by("Bearer ann")).await;
    }
    assert_eq!(refusal(&end)["code"], 40303, "{end}");
}

#[tokio::test]
async fn the_next_process_tells_it() {
    let scene = Scene::new().kept();
    let mut proxy = scene.start();
    let first = send(&proxy, &repeated_call()).await;
    assert_eq!(refusal(&first)["state"], "pending", "{first}");
    scene.react(1, APPROVER, "x").await;
    scene.message_says("Rejected").await;
    proxy.process.terminate().unwrap();
    proxy.process.wait(PATIENCE).unwrap();
    let proxy = scene.start();
    is_told_once(&scene, &proxy, &repeated_call(), 40303).await;
}
