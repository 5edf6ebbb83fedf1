//! Results that are too large for the stream which answers an approved call: the same call, sent again,
//! collects them, and is not made again.

use serde_json::{Value, json};
use thoughtgate_test::client::{self, Response};
use thoughtgate_test::mock_mcp::Fault;
use thoughtgate_test::process::Output;

use super::{
    APPROVER, Message, POLICY, Scene, answer, held_call, log, repeated_call, retried_call,
};
use crate::support::{PATIENCE, Proxy, is_permitted, refusal, told};

const BYTES: usize = 2_000_000;
const TOO_LARGE: i64 = 41301;

/// An upstream whose results are too large for an event.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.upstream.turn(|knobs| knobs.response_bytes = BYTES);
    scene
}

/// Lets a call be approved on a stream, which ends without its result; returns the message at the end.
async fn park(scene: &Scene, proxy: &Proxy, call: &Message) -> Value {
    let count = scene.slack.messages().len();
    let mut held = call.open(proxy).await;
    assert_eq!(held.headers["content-type"], "text/event-stream");
    scene.react(count + 1, APPROVER, "white_check_mark").await;
    let end = answer(&mut held).await;
    assert_eq!(refusal(&end)["code"], TOO_LARGE, "{end}");
    end
}

/// The same call, sent again with another id.
async fn again(proxy: &Proxy) -> Response {
    let mut call = repeated_call();
    call.body["id"] = json!("another id");
    call.send(proxy).await
}

/// Checks that `response` has the result that was parked, and all of it.
fn is_collected(response: &Response) {
    assert_eq!(response.header("content-type"), Some("application/json"));
    let message = response.json();
    assert_eq!(message["id"], "another id");
    assert!(is_permitted(&message));
    assert_eq!(told(&message).len(), BYTES);
}

#[tokio::test]
async fn the_same_call_sent_again_collects_it_once() {
    // With a length and without one.
    for slow_body_ms in [0, 20] {
        let scene = scene().audited();
        scene
            .upstream
            .turn(|knobs| knobs.slow_body_ms = slow_body_ms);
        let mut proxy = scene.start();
        let end = park(&scene, &proxy, &held_call()).await;
        let text = told(&end);
        for part in [
            "was executed: its result is too large",
            "is kept for 300s",
            "Send the same call again, with the same arguments",
            "not executed again",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert_eq!(end["id"], 7);
        let facts = refusal(&end);
        assert_eq!(
            (&facts["retry"], &facts["kept_seconds"]),
            (&json!(true), &json!(300))
        );
        is_collected(&again(&proxy).await);
        assert_eq!((scene.calls(), scene.slack.messages().len()), (1, 1));
        let used = facts["approval"].as_str().unwrap();

        // It is gone now: the call needs another approval.
        let next = again(&proxy).await.json();
        assert_eq!(refusal(&next)["state"], "pending", "{next}");
        assert_ne!(refusal(&next)["approval"], used);
        assert_eq!(scene.calls(), 1);

        let lines = scene.audit(&mut proxy);
        let asked = lines.iter().filter(|line| line["decision"] == "approve");
        let facts = |line: &Value| (line["approval"] == used, line["collected"] == true);
        let facts: Vec<_> = asked.map(facts).collect();
        assert_eq!(facts, [(true, false), (true, true), (false, false)]);
    }
}

#[tokio::test]
async fn another_agent_and_another_call_do_not_get_it() {
    let scene = scene();
    let proxy = scene.start();
    park(&scene, &proxy, &held_call()).await;
    let mut other = repeated_call();
    other.body["params"]["arguments"]["to"] = json!("test");
    for call in [repeated_call().of("bob"), other] {
        let end = call.send(&proxy).await.json();
        assert_eq!(refusal(&end)["state"], "pending", "{end}");
    }
    // A call that needs no approval is made as ever.
    let echo = Message::legacy("tools/call", &json!({"name": "echo", "arguments": {}}));
    assert!(is_permitted(&echo.send(&proxy).await.json()));
    assert_eq!(scene.calls(), 2);
    is_collected(&again(&proxy).await);
    assert_eq!(scene.calls(), 2);
}

#[tokio::test]
async fn in_the_other_era_the_call_is_neither_made_nor_asked_for_meanwhile() {
    let scene = scene();
    let proxy = scene.start();
    park(&scene, &proxy, &held_call()).await;
    let end = retried_call().send(&proxy).await.json();
    assert_eq!(refusal(&end)["code"], 40901, "{end}");
    assert_eq!(end["result"]["resultType"], "complete", "{end}");
    let text = told(&end);
    assert!(
        text.contains("not executed again: it was approved for a client of another version of MCP"),
        "{text}"
    );
    assert_eq!((scene.calls(), scene.slack.messages().len()), (1, 1));
    is_collected(&again(&proxy).await);
    let end = retried_call().send(&proxy).await.json();
    assert_eq!(end["result"]["resultType"], "input_required", "{end}");
    assert_eq!(scene.calls(), 1);
}

#[tokio::test]
async fn another_user_of_the_same_agent_does_not_get_it() {
    let scene = scene();
    let proxy = scene.start();
    let by = |call: Message, user| call.header("authorization", user);
    park(&scene, &proxy, &by(held_call(), "Bearer ann")).await;
    for other in [by(repeated_call(), "Bearer ben"), repeated_call()] {
        let end = other.send(&proxy).await.json();
        assert_eq!(refusal(&end)["state"], "pending", "{end}");
    }
    // Permitted without approval, the call of another user is made with that user's credentials.
    scene.write_policy(&POLICY.replace("@approve", ""));
    proxy.metric_is("thoughtgate_policy_generation", 2.0).await;
    let end = by(repeated_call(), "Bearer ben").send(&proxy).await.json();
    assert!(is_permitted(&end));
    assert_eq!(scene.calls(), 2);
    let end = by(repeated_call(), "Bearer ann").send(&proxy).await.json();
    assert!(is_permitted(&end));
    assert_eq!(scene.calls(), 2);
}

#[tokio::test]
async fn of_two_calls_at_once_one_gets_it() {
    // The other one waits until the first has all of it.
    let scene = scene().with("APPROVAL_HOLD", "60s");
    let proxy = scene.start();
    park(&scene, &proxy, &held_call()).await;
    let (first, second) = tokio::join!(again(&proxy), again(&proxy));
    let (got, not) = if first.body.len() > BYTES {
        (first, second)
    } else {
        (second, first)
    };
    is_collected(&got);
    assert_eq!(refusal(&not.json())["code"], 40901, "{}", not.text());
    assert!(told(&not.json()).contains("another request of the same call has got its result"));
    assert_eq!((scene.calls(), scene.slack.messages().len()), (1, 1));
}

#[tokio::test]
async fn the_policies_in_force_decide_about_the_call_that_collects_it() {
    let scene = scene();
    let proxy = scene.start();
    park(&scene, &proxy, &held_call()).await;
    let freeze = r#"@id("freeze") forbid (principal, action, resource == Tool::"deploy");"#;
    scene.write_policy(&format!("{POLICY}{freeze}"));
    proxy.metric_is("thoughtgate_policy_generation", 2.0).await;
    let end = again(&proxy).await.json();
    assert_eq!(refusal(&end)["code"], 40301, "{end}");
    // Permitted without approval, it is not made again either.
    scene.write_policy(&POLICY.replace("@approve", ""));
    proxy.metric_is("thoughtgate_policy_generation", 3.0).await;
    is_collected(&again(&proxy).await);
    assert_eq!(scene.calls(), 1);
    let end = again(&proxy).await.json();
    assert!(is_permitted(&end));
    assert_eq!(scene.calls(), 2);
}

#[tokio::test]
async fn it_is_dropped_when_nobody_collects_it_in_time() {
    let scene = scene().with("APPROVAL_APPROVED_FOR", "1s");
    let mut proxy = scene.start();
    park(&scene, &proxy, &held_call()).await;
    let lost = "is lost: the call was not sent again in time";
    log(&proxy, lost);
    let end = again(&proxy).await.json();
    assert_eq!(refusal(&end)["state"], "pending", "{end}");
    assert_eq!(scene.calls(), 1);
    proxy.process.terminate().unwrap();
    proxy.process.wait(PATIENCE).unwrap();
    is_lost_once(&proxy, lost);
}

/// Checks that the log has one line on the loss of a result, this one, and none that it is kept again.
fn is_lost_once(proxy: &Proxy, lost: &str) {
    let mut lines = proxy.process.output(Output::Stderr);
    lines.retain(|line| line.contains("result of an approved call"));
    assert!(
        matches!(&lines[..], [kept, end] if kept.contains("is too large") && end.contains(lost)),
        "{lines:?}"
    );
}

#[tokio::test]
async fn it_does_not_hold_up_a_stop() {
    let scene = scene();
    let mut proxy = scene.start();
    park(&scene, &proxy, &held_call()).await;
    proxy.process.terminate().unwrap();
    let lost = "is lost: the proxy is stopping";
    log(&proxy, lost);
    let status = proxy.process.wait(PATIENCE).unwrap();
    assert!(status.success(), "{status}");
    is_lost_once(&proxy, lost);
}

#[tokio::test]
async fn one_that_breaks_off_is_not_taken_for_a_whole_one() {
    let scene = scene();
    scene
        .upstream
        .turn(|knobs| knobs.fault = Fault::CloseMidAnswer);
    let proxy = scene.start();
    park(&scene, &proxy, &held_call()).await;
    let call = repeated_call();
    let headers = call.borrowed();
    let end = client::post_json(&proxy.url(), &headers, call.body.to_string()).await;
    assert!(end.is_err(), "{end:?}");
    assert_eq!(scene.calls(), 1);
}

#[tokio::test]
async fn it_is_an_error_where_errors_are_asked_for() {
    let scene = scene().with("REFUSALS", "error");
    let proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    scene.approve().await;
    let end = answer(&mut held).await;
    assert_eq!(end["error"]["code"], TOO_LARGE, "{end}");
    let text = end["error"]["message"].as_str().unwrap();
    assert!(text.contains("send the same call again"), "{text}");
    let facts = &end["error"]["data"];
    assert_eq!(
        (&facts["code"], &facts["tool"], &facts["retry"]),
        (&json!(TOO_LARGE), &json!("deploy"), &json!(true)),
        "{end}"
    );
    is_collected(&again(&proxy).await);
}

#[tokio::test]
async fn an_event_of_the_upstream_passes_whatever_its_size() {
    let scene = scene();
    scene.upstream.turn(|knobs| knobs.sse = true);
    let proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    scene.approve().await;
    let end = answer(&mut held).await;
    assert!(is_permitted(&end));
    assert_eq!(told(&end).len(), BYTES);
}

#[tokio::test]
async fn what_an_event_can_hold_is_one() {
    let scene = scene();
    scene.upstream.turn(|knobs| knobs.response_bytes = 900_000);
    let proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    scene.approve().await;
    let end = answer(&mut held).await;
    assert!(is_permitted(&end));
    assert_eq!(told(&end).len(), 900_000);
}
