//! Delivery to clients without tasks: the call is held open, or the client is asked to retry.

use serde_json::json;
use thoughtgate_test::mock_mcp::Hold;

use super::{APPROVER, Message, Scene, answer, come_back, held_call, retried_call};
use crate::support::{is_permitted, refusal, told};

#[tokio::test]
async fn a_legacy_client_with_progress_is_held_until_a_human_says_yes() {
    let scene = Scene::new();
    let proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    assert_eq!(held.status, 200);
    assert_eq!(held.headers["content-type"], "text/event-stream");
    for _ in 0..2 {
        let comment = held.next_event().await.unwrap().unwrap();
        assert_eq!(comment.comments, ["waiting for approval"]);
        let progress = held.next_event().await.unwrap().unwrap().json();
        assert_eq!(progress["method"], "notifications/progress");
    }
    assert_eq!(scene.calls(), 0);
    scene.approve().await;
    let message = answer(&mut held).await;
    assert_eq!(message["id"], 7);
    assert!(is_permitted(&message), "{message}");
    assert_eq!(held.next_event().await.unwrap(), None);
    assert_eq!(scene.calls(), 1);
    scene.message_says("Approved").await;
}

#[tokio::test]
async fn a_client_that_asks_for_progress_hears_that_it_waits() {
    let scene = Scene::new();
    let proxy = scene.start();
    let mut answer = held_call().open(&proxy).await;
    let mut last = 0.0;
    for _ in 0..3 {
        let event = answer.next_data().await.unwrap().json();
        assert_eq!(event["method"], "notifications/progress");
        assert_eq!(event["params"]["progressToken"], "p");
        let progress = event["params"]["progress"].as_f64().unwrap();
        assert!(progress > last);
        last = progress;
    }
}

#[tokio::test]
async fn a_client_hears_when_it_waits_for_the_result_and_no_longer_for_a_human() {
    let scene = Scene::new();
    scene.upstream.hold(Hold::Answer);
    let proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    let mut words = async || {
        let event = held.next_data().await.unwrap().json();
        event["params"]["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(words().await, "waiting for approval");
    scene.approve().await;
    scene.upstream.wait_for(|stats| stats.tool_calls == 1).await;
    while words().await != "waiting for the result" {}
    // The same call waits for the same.
    let mut again = held_call().open(&proxy).await;
    let event = again.next_data().await.unwrap().json();
    assert_eq!(event["params"]["message"], "waiting for the result");
    scene.upstream.release();
    assert!(is_permitted(&answer(&mut held).await));
}

#[tokio::test]
async fn an_upstream_that_streams_is_passed_on_event_by_event() {
    let scene = Scene::new();
    scene.upstream.turn(|knobs| {
        knobs.sse = true;
        knobs.sse_events = 2;
    });
    let proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    scene.approve().await;
    let mut notifications = 0;
    let last = loop {
        let event = held.next_data().await.unwrap().json();
        if event["method"].is_null() {
            break event;
        }
        // Those of the upstream, among the signs of life.
        let words = event["params"]["message"].as_str().unwrap_or_default();
        let is_own = words.starts_with("waiting for ");
        notifications += usize::from(!is_own);
    };
    assert_eq!(notifications, 2);
    assert!(is_permitted(&last), "{last}");
}

#[tokio::test]
async fn a_client_that_takes_no_stream_is_held_without_a_word() {
    let scene = Scene::new().with("APPROVAL_HOLD", "60s");
    let proxy = scene.start();
    let call = held_call().header("accept", "application/json");
    let (answer, ()) = tokio::join!(call.send(&proxy), scene.approve());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(is_permitted(&answer.json()));
    assert_eq!(scene.calls(), 1);
}

#[tokio::test]
async fn a_modern_client_comes_back_with_the_state_it_was_given() {
    let scene = Scene::new();
    let proxy = scene.start();
    let call = retried_call();
    let first = call.send(&proxy).await.json();
    assert_eq!(first["result"]["resultType"], "input_required");
    assert!(first["result"]["inputRequests"].is_null());
    let state = first["result"]["requestState"].as_str().unwrap().to_owned();
    assert_eq!(scene.calls(), 0);
    scene.approve().await;
    let answer = come_back(&proxy, &call, first).await;
    assert!(is_permitted(&answer), "{answer}");
    assert_eq!(scene.calls(), 1);
    // The upstream gets the call as the client would have sent it without the proxy.
    let seen = scene.upstream.requests();
    let seen = seen.last().unwrap().json();
    assert!(seen["params"]["requestState"].is_null(), "{seen}");
    assert_eq!(seen["params"]["arguments"], json!({"to": "prod"}));

    // The state is used up with the approval, and a new call asks again.
    let mut again = call.clone();
    again.body["params"]["requestState"] = json!(state);
    let answer = again.send(&proxy).await.json();
    assert_eq!(refusal(&answer)["code"], 40901, "{answer}");
    let text = told(&answer);
    assert!(
        text.contains("and has run") && text.contains("a second time"),
        "{text}"
    );
    let anew = call.send(&proxy).await.json();
    assert_eq!(anew["result"]["resultType"], "input_required");
    scene.slack.wait_for_messages(2).await;
    assert_eq!(scene.calls(), 1);
}

#[tokio::test]
async fn the_servers_own_state_comes_back_to_it_after_any_number_of_retries() {
    let responses = json!({"q": {"action": "accept"}});
    for permitted_meanwhile in [false, true] {
        let scene = Scene::new();
        let proxy = scene.start();
        let plain = retried_call();
        let mut call = plain.clone();
        call.body["params"]["requestState"] = json!("the \"server's\"");
        call.body["params"]["inputResponses"] = responses.clone();
        let mut waits = call.send(&proxy).await.json();
        for _ in 0..2 {
            assert_eq!(waits["result"]["resultType"], "input_required", "{waits}");
            // Clients send back the state and the responses to what was asked, which was nothing.
            let mut again = plain.clone();
            again.body["params"]["requestState"] = waits["result"]["requestState"].clone();
            again.body["params"]["inputResponses"] = json!({});
            waits = again.send(&proxy).await.json();
        }
        assert_eq!(scene.calls(), 0);
        if permitted_meanwhile {
            scene.write_policy(&super::POLICY.replace("@approve", ""));
            proxy.metric_is("thoughtgate_policy_generation", 2.0).await;
        } else {
            scene.approve().await;
        }
        let end = come_back(&proxy, &plain, waits).await;
        assert!(is_permitted(&end), "{end}");
        let seen = scene.upstream.requests().last().unwrap().json();
        assert_eq!(seen["params"]["requestState"], "the \"server's\"");
        assert_eq!(seen["params"]["inputResponses"], responses);
        assert_eq!(seen["params"]["arguments"], json!({"to": "prod"}));
        assert_eq!(scene.slack.messages().len(), 1);
    }
}

#[tokio::test]
async fn a_state_of_the_server_that_is_too_long_to_carry_has_its_call_sent_again() {
    let scene = Scene::new();
    let proxy = scene.start();
    let mut call = retried_call();
    let long = "s".repeat(9000);
    call.body["params"]["requestState"] = json!(long);
    let pending = call.send(&proxy).await.json();
    assert_eq!(refusal(&pending)["code"], 42501, "{pending}");
    scene.approve().await;
    scene.message_says("Approved").await;
    let end = call.send(&proxy).await.json();
    assert!(is_permitted(&end), "{end}");
    let seen = scene.upstream.requests().last().unwrap().json();
    assert_eq!(seen["params"]["requestState"], json!(long));
}

#[tokio::test]
async fn equal_calls_wait_for_one_decision_and_one_of_them_is_made() {
    let scene = Scene::new();
    let proxy = scene.start();
    let mut one = held_call().open(&proxy).await;
    let mut two = held_call().open(&proxy).await;
    scene.approve().await;
    let ends = [answer(&mut one).await, answer(&mut two).await];
    let made = ends.iter().filter(|end| is_permitted(end)).count();
    let used = ends
        .iter()
        .filter(|end| !is_permitted(end) && refusal(end)["code"] == 40901)
        .count();
    assert_eq!((made, used), (1, 1), "{ends:?}");
    assert_eq!((scene.calls(), scene.slack.messages().len()), (1, 1));
}

#[tokio::test]
async fn what_needs_nobody_is_not_held_up() {
    let scene = Scene::new();
    scene.slack.turn(|knobs| knobs.latency_ms = 5000);
    let proxy = scene.start();
    let _held = held_call().open(&proxy).await;
    for _ in 0..20 {
        let echo = Message::legacy("tools/call", &json!({"name": "echo"}));
        assert!(is_permitted(&echo.send(&proxy).await.json()));
    }
    assert_eq!(scene.calls(), 20);
    // Slack has not answered yet.
    let posted = proxy.metric("thoughtgate_approvals_posted_total").await;
    assert_eq!(posted, Some(0.0));
}

#[tokio::test]
async fn a_policy_names_its_channel() {
    let scene = Scene::new();
    scene.write_policy(&super::POLICY.replace("@approve", r#"@approve("C0OTHER")"#));
    let proxy = scene.start();
    let _held = held_call().open(&proxy).await;
    let messages = scene.slack.wait_for_messages(1).await;
    assert_eq!(messages[0].posted_to, "C0OTHER");
    let text = serde_json::to_string(&messages[0].posted).unwrap();
    for part in ["deploy", "alice", "risky", "prod"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    scene.slack.react(&messages[0].ts, APPROVER, "+1");
}
