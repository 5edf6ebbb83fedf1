//! Clients of the session era that are not held with progress: told after a while that the approval is
//! pending, and that the same call collects its result.

use serde_json::{Value, json};

use super::{Message, Scene, held_call, repeated_call, retried_call};
use crate::support::{Proxy, is_permitted, refusal, told};

const PENDING: i64 = 42501;

async fn pending(proxy: &Proxy, call: &Message) -> Value {
    let answer = call.send(proxy).await.json();
    assert_eq!(refusal(&answer)["code"], PENDING, "{answer}");
    answer
}

#[tokio::test]
async fn it_is_told_to_send_the_call_again_and_gets_its_result_then() {
    let scene = Scene::new();
    let proxy = scene.start();
    let first = pending(&proxy, &repeated_call()).await;
    let text = told(&first);
    for part in [
        "not executed: approval is pending",
        "policy `risky`",
        "Send the same call again, with the same arguments",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let facts = refusal(&first);
    assert_eq!(
        (&facts["state"], &facts["retry"]),
        (&json!("pending"), &json!(true))
    );
    assert!(facts["expires"].as_str().unwrap().ends_with('Z'), "{facts}");
    let again = pending(&proxy, &repeated_call()).await;
    assert_eq!(refusal(&again)["approval"], facts["approval"]);

    // Nobody waits while it is decided.
    scene.approve().await;
    scene.message_says("Approved").await;
    assert_eq!(scene.calls(), 0);
    let call = repeated_call().header("authorization", "Bearer latest");
    let end = call.send(&proxy).await.json();
    assert!(is_permitted(&end), "{end}");
    assert_eq!((scene.calls(), scene.slack.messages().len()), (1, 1));
    let seen = scene.upstream.requests();
    assert_eq!(
        seen.last().unwrap().header("authorization"),
        Some("Bearer latest")
    );
}

#[tokio::test]
async fn it_gets_its_result_at_once_if_somebody_decides_in_time() {
    let scene = Scene::new().with("APPROVAL_HOLD", "60s");
    let proxy = scene.start();
    let call = repeated_call();
    let (end, ()) = tokio::join!(call.send(&proxy), scene.approve());
    assert_eq!(end.header("content-type"), Some("application/json"));
    assert!(is_permitted(&end.json()), "{}", end.text());
}

#[tokio::test]
async fn one_that_leaves_after_that_can_still_come_back() {
    let scene = Scene::new().with("APPROVAL_GRACE", "0s");
    let proxy = scene.start();
    pending(&proxy, &repeated_call()).await;
    let held = held_call().open(&proxy).await;
    drop(held);
    proxy.metric_is("thoughtgate_approvals_held", 0.0).await;
    scene.approve().await;
    scene.message_says("Approved").await;
    let end = repeated_call().send(&proxy).await.json();
    assert!(is_permitted(&end), "{end}");
    assert_eq!((scene.calls(), scene.slack.messages().len()), (1, 1));
}

#[tokio::test]
async fn a_no_is_the_answer_to_the_call_that_is_held() {
    let scene = Scene::new();
    let proxy = scene.start();
    let mut call = pending(&proxy, &repeated_call()).await;
    scene.react(1, super::APPROVER, "x").await;
    while refusal(&call)["code"] == PENDING {
        call = repeated_call().send(&proxy).await.json();
    }
    assert_eq!(refusal(&call)["code"], 40303, "{call}");
    assert_eq!(scene.calls(), 0);
}

#[tokio::test]
async fn it_is_an_error_where_errors_are_asked_for() {
    let scene = Scene::new().with("REFUSALS", "error");
    let proxy = scene.start();
    let end = repeated_call().send(&proxy).await.json();
    assert_eq!(end["error"]["code"], PENDING, "{end}");
    let text = end["error"]["message"].as_str().unwrap();
    assert!(
        text.contains("was not executed; send the same call again"),
        "{text}"
    );
    assert_eq!(end["error"]["data"]["state"], "pending");
    assert!(end["error"]["data"]["expires"].is_string(), "{end}");
}

#[tokio::test]
async fn a_large_result_arrives_as_the_upstream_sent_it() {
    let scene = Scene::new()
        .with("APPROVAL_HOLD", "60s")
        .with("APPROVAL_KEEP_ALIVE", "60s");
    scene
        .upstream
        .turn(|knobs| knobs.response_bytes = 2_000_000);
    let proxy = scene.start();
    // With a progress token, too, before the first sign of life is due.
    for (count, call) in [repeated_call(), held_call(), retried_call()]
        .iter()
        .enumerate()
    {
        let approve = scene.react(count + 1, super::APPROVER, "white_check_mark");
        let (end, ()) = tokio::join!(call.send(&proxy), approve);
        assert_eq!(end.header("content-type"), Some("application/json"));
        assert!(end.body.len() > 2_000_000);
        assert!(is_permitted(&end.json()));
    }
}
