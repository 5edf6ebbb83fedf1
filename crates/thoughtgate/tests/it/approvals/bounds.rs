//! The bounds of an approval: valid for this call, of this agent, on this proxy, once.

use serde_json::{Value, json};

use super::{Message, Scene, held_call, retried_call, task_call};
use crate::support::{PATIENCE, is_permitted, refusal, told};

async fn with_state(
    call: &Message,
    state: &Value,
    scene: &Scene,
    proxy: &crate::support::Proxy,
) -> Value {
    let mut call = call.clone();
    call.body["params"]["requestState"] = state.clone();
    let answer = call.send(proxy).await.json();
    assert_eq!(scene.calls(), 0);
    answer
}

#[tokio::test]
async fn a_state_serves_no_other_call_and_no_other_agent() {
    let scene = Scene::new();
    let proxy = scene.start();
    let call = retried_call();
    let first = call.send(&proxy).await.json();
    let state = first["result"]["requestState"].clone();
    scene.approve().await;
    scene.message_says("Approved").await;

    let mut changed = call.clone();
    changed.body["params"]["arguments"]["to"] = json!("production");
    let answer = with_state(&changed, &state, &scene, &proxy).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("another call")
    );

    let answer = with_state(&call.clone().of("bob"), &state, &scene, &proxy).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");

    let mut forged = state.as_str().unwrap().to_owned();
    let last = if forged.ends_with('0') { '1' } else { '0' };
    forged.pop();
    forged.push(last);
    let answer = with_state(&call, &json!(forged), &scene, &proxy).await;
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("invalid requestState: modified, or not issued by this proxy"),
        "{answer}"
    );

    // A permitted call that carries an approval's state is forwarded without the state.
    let mut echo = Message::modern("tools/call", &json!({"name": "echo"}), &json!({}));
    echo.body["params"]["requestState"] = state;
    assert!(is_permitted(&echo.send(&proxy).await.json()));
    assert!(scene.upstream.requests().last().unwrap().json()["params"]["requestState"].is_null());
}

#[tokio::test]
async fn arguments_in_another_spelling_are_the_same_call() {
    let scene = Scene::new();
    let proxy = scene.start();
    let call = retried_call();
    let first = call.send(&proxy).await.json();
    let state = first["result"]["requestState"].as_str().unwrap();
    scene.approve().await;
    scene.message_says("Approved").await;
    let mut again = call.clone();
    again.body["params"]["requestState"] = json!(state);
    let spelled = again
        .body
        .to_string()
        .replace(r#"{"to":"prod"}"#, r#"{ "to" : "\u0070rod" }"#);
    assert_ne!(spelled, again.body.to_string());
    let answer =
        thoughtgate_test::client::post_json(&proxy.url(), &again.borrowed(), spelled).await;
    assert!(is_permitted(&answer.unwrap().json()));
}

#[tokio::test]
async fn arguments_that_say_two_things_are_not_put_before_anyone() {
    let scene = Scene::new();
    let proxy = scene.start();
    let body = retried_call()
        .body
        .to_string()
        .replace(r#"{"to":"prod"}"#, r#"{"to":"prod","to":"x"}"#);
    let call = retried_call();
    let answer = thoughtgate_test::client::post_json(&proxy.url(), &call.borrowed(), body).await;
    assert_eq!(refusal(&answer.unwrap().json())["code"], -32602);
    assert!(scene.slack.messages().is_empty());
}

#[tokio::test]
async fn only_a_call_that_expects_an_answer_is_put_before_someone() {
    let scene = Scene::new();
    scene.write_policy("@approve permit (principal, action, resource);");
    let proxy = scene.start();
    let mut notification = retried_call();
    notification.body.as_object_mut().unwrap().remove("id");
    assert_eq!(notification.send(&proxy).await.status, 403);
    let prompt = Message::legacy("prompts/get", &json!({"name": "p"}));
    let answer = prompt.send(&proxy).await.json();
    assert_eq!(answer["error"]["code"], 40301, "{answer}");
    assert!(scene.slack.messages().is_empty());
    assert_eq!(scene.upstream.stats().requests, 0);
}

#[tokio::test]
async fn one_agent_cannot_take_all_the_room() {
    let scene = Scene::new().with("APPROVAL_OPEN_PER_AGENT", "1");
    let proxy = scene.start();
    retried_call().send(&proxy).await;
    let mut other = retried_call();
    other.body["params"]["arguments"]["to"] = json!("staging");
    let answer = other.send(&proxy).await.json();
    let facts = refusal(&answer);
    assert_eq!(
        (&facts["code"], &facts["retry"]),
        (&json!(50301), &json!(true))
    );
    assert!(told(&answer).contains("too many approvals"), "{answer}");
    let bob = other.of("bob").send(&proxy).await.json();
    assert_eq!(bob["result"]["resultType"], "input_required");
}

#[tokio::test]
async fn calls_that_are_held_leave_half_of_the_connections_to_others() {
    let scene = Scene::new()
        .with("LIMITS_CONNECTIONS", "8")
        .with("APPROVAL_HOLD", "10ms");
    let proxy = scene.start();
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(held_call().open(&proxy).await);
    }
    // Another agent's call that would have to be held is refused, and no approver is asked about it.
    for call in [retried_call(), held_call()] {
        let answer = call.of("bob").send(&proxy).await.json();
        assert_eq!(answer["error"]["code"], 50303, "{answer}");
        let text = answer["error"]["message"].as_str().unwrap();
        assert!(text.contains("send the call as a task"), "{text}");
    }
    // Calls that hold no connection, or need no approval, still work.
    let task = task_call().of("bob").send(&proxy).await.json();
    assert!(task["result"]["taskId"].is_string(), "{task}");
    for _ in 0..10 {
        let echo = Message::legacy("tools/call", &json!({"name": "echo"}));
        assert!(is_permitted(&echo.of("bob").send(&proxy).await.json()));
    }
    assert_eq!(scene.slack.wait_for_messages(2).await.len(), 2);
    // A place that becomes free can be used by another call.
    drop(held.pop());
    let until = tokio::time::Instant::now() + PATIENCE;
    while retried_call().of("bob").send(&proxy).await.json()["error"]["code"] == 50303 {
        assert!(tokio::time::Instant::now() < until, "no place comes free");
    }
}

#[tokio::test]
async fn a_tool_name_that_nobody_could_read_is_not_put_before_anyone() {
    let scene = Scene::new();
    scene.write_policy("@approve permit (principal, action, resource);");
    let proxy = scene.start();
    let long = "x".repeat(100_000);
    for task in [Value::Null, json!({"ttl": 1000})] {
        let mut call = Message::legacy("tools/call", &json!({"name": long}));
        if task.is_object() {
            call.body["params"]["task"] = task.clone();
        }
        let answer = call.send(&proxy).await.json();
        // Whoever asks for a task of 2025-11-25 takes no tool result.
        let code = match task {
            Value::Null => &refusal(&answer)["code"],
            _ => &answer["error"]["code"],
        };
        assert_eq!(*code, -32602, "{answer}");
        assert!(answer.to_string().len() < 1500);
    }
    assert_eq!(proxy.metric("thoughtgate_approvals_kept").await, Some(0.0));
}
