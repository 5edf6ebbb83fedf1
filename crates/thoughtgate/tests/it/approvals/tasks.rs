//! Approvals as tasks, of both eras.

use serde_json::json;

use super::{
    APPROVER, Message, Scene, answer, held_call, legacy_task_call, task_call, task_end, with_tasks,
};
use crate::support::is_permitted;

fn about(method: &str, id: &str) -> Message {
    Message::legacy(method, &json!({"taskId": id}))
}

#[tokio::test]
async fn a_modern_client_gets_a_task_and_finds_the_result_in_it() {
    let scene = Scene::new();
    let proxy = scene.start();
    let created = task_call().send(&proxy).await.json()["result"].clone();
    assert_eq!(created["resultType"], "task");
    assert_eq!(created["status"], "working");
    assert!(created["ttlMs"].is_u64() && created["pollIntervalMs"].is_u64());
    assert!(created["createdAt"].as_str().unwrap().ends_with('Z'));
    let id = created["taskId"].as_str().unwrap();
    let get = Message::modern("tasks/get", &json!({"taskId": id}), &with_tasks());
    let task = get.send(&proxy).await.json()["result"].clone();
    assert_eq!(task["status"], "working");
    assert_eq!(task["resultType"], "complete");
    assert_eq!(scene.calls(), 0);
    scene.approve().await;
    let task = task_end(&proxy, id).await;
    assert_eq!(task["status"], "completed");
    assert!(is_permitted(&task), "{task}");
    assert_eq!(scene.calls(), 1);
    // The upstream makes a plain call, with the client's own headers.
    let seen = scene.upstream.requests();
    let seen = seen.last().unwrap();
    assert_eq!(seen.header("x-agent"), Some("alice"));
    assert_eq!(seen.header("mcp-name"), Some("deploy"));
    let capabilities =
        &seen.json()["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    assert_eq!(*capabilities, json!({"extensions": {}}));
}

#[tokio::test]
async fn a_legacy_client_gets_a_task_and_waits_for_its_result() {
    let scene = Scene::new();
    let proxy = scene.start();
    let created = legacy_task_call().send(&proxy).await.json()["result"].clone();
    let task = &created["task"];
    assert_eq!(task["status"], "working");
    assert!(
        task["ttl"].is_u64() && task["pollInterval"].is_u64(),
        "{task}"
    );
    assert!(task["resultType"].is_null());
    let id = task["taskId"].as_str().unwrap();
    let mut waiting = about("tasks/result", id).open(&proxy).await;
    let comment = waiting.next_event().await.unwrap().unwrap();
    assert_eq!(comment.comments.len(), 1);
    scene.approve().await;
    let message = waiting.next_data().await.unwrap().json();
    assert!(is_permitted(&message), "{message}");
    let related = &message["result"]["_meta"]["io.modelcontextprotocol/related-task"];
    assert_eq!(related["taskId"], id);
    let task = about("tasks/get", id).send(&proxy).await.json()["result"].clone();
    assert_eq!(task["status"], "completed");
    assert!(task["result"].is_null(), "{task}");
    let seen = scene.upstream.requests().last().unwrap().json();
    assert!(seen["params"]["task"].is_null(), "{seen}");
    let late = about("tasks/cancel", id).send(&proxy).await.json();
    assert_eq!(late["error"]["code"], -32602, "{late}");
    assert_eq!(scene.calls(), 1);
}

#[tokio::test]
async fn a_request_for_a_task_that_is_null_is_none() {
    let scene = Scene::new();
    let proxy = scene.start();
    let mut call = held_call();
    call.body["params"]["task"] = json!(null);
    call.body["params"]["requestState"] = json!(null);
    let mut held = call.open(&proxy).await;
    scene.approve().await;
    let end = answer(&mut held).await;
    assert!(is_permitted(&end), "{end}");
    assert_eq!(scene.calls(), 1);
}

#[tokio::test]
async fn a_task_belongs_to_its_agent_and_is_listed_for_nobody_else() {
    let scene = Scene::new();
    // This upstream knows no tasks; tasks of one that does are listed after the proxy's own.
    let proxy = scene.start();
    let created = legacy_task_call().send(&proxy).await.json();
    let id = created["result"]["task"]["taskId"].as_str().unwrap();
    let list = Message::legacy("tasks/list", &json!({}));
    let own = list.send(&proxy).await.json();
    assert_eq!(own["result"]["tasks"][0]["taskId"], id, "{own}");
    let others = list.clone().of("bob").send(&proxy).await.json();
    assert!(!others.to_string().contains(id), "{others}");
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        let other = about(method, id).of("bob").send(&proxy).await.json();
        assert_eq!(other["error"]["code"], -32602, "{method}: {other}");
    }
    scene.upstream.turn(|knobs| {
        let theirs = json!({"tasks": [{"taskId": "theirs"}], "nextCursor": "n"});
        knobs.results.insert("tasks/list".to_owned(), theirs);
    });
    let both = list.send(&proxy).await.json();
    assert_eq!(both["result"]["tasks"][1]["taskId"], "theirs", "{both}");
    assert_eq!(both["result"]["nextCursor"], "n");
    // A held call is not a task.
    let _held = held_call().of("carol").open(&proxy).await;
    let none = list.of("carol").send(&proxy).await.json();
    assert_eq!(none["result"]["tasks"], json!([{"taskId": "theirs"}]));
}

#[tokio::test]
async fn a_cancelled_task_is_not_made_whatever_is_decided_afterwards() {
    let scene = Scene::new();
    let proxy = scene.start();
    let created = task_call().send(&proxy).await.json();
    let id = created["result"]["taskId"].as_str().unwrap();
    let messages = scene.slack.wait_for_messages(1).await;
    let cancel = Message::modern("tasks/cancel", &json!({"taskId": id}), &with_tasks());
    let answer = cancel.send(&proxy).await.json();
    assert_eq!(answer["result"], json!({"resultType": "complete"}));
    assert_eq!(task_end(&proxy, id).await["status"], "cancelled");
    scene.message_says("ancelled").await;
    scene.slack.react(&messages[0].ts, APPROVER, "+1");
    let polls = scene.slack.stats().total_calls;
    // No approval is pending, so the channel is not read any more.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(scene.slack.stats().total_calls <= polls + 1);
    assert_eq!(scene.calls(), 0);
}

#[tokio::test]
async fn an_error_of_the_upstream_is_the_error_of_the_task() {
    let scene = Scene::new();
    scene.upstream.turn(|knobs| {
        let failed = json!({"content": [], "isError": true});
        knobs.results.insert("tools/call".to_owned(), failed);
    });
    let proxy = scene.start();
    let modern = task_call().send(&proxy).await.json();
    scene.approve().await;
    let task = task_end(&proxy, modern["result"]["taskId"].as_str().unwrap()).await;
    assert_eq!(
        (&task["status"], &task["result"]["isError"]),
        (&json!("completed"), &json!(true))
    );

    let mut other = legacy_task_call();
    other.body["params"]["arguments"]["to"] = json!("staging");
    let legacy = other.send(&proxy).await.json();
    let id = legacy["result"]["task"]["taskId"].as_str().unwrap();
    scene.react(2, APPROVER, "+1").await;
    let end = about("tasks/result", id).end(&proxy).await;
    assert_eq!(end["result"]["isError"], true);
    let task = about("tasks/get", id).send(&proxy).await.json();
    assert_eq!(task["result"]["status"], "failed");
}

#[tokio::test]
async fn a_client_that_does_not_declare_tasks_is_told_so() {
    let scene = Scene::new();
    let proxy = scene.start();
    let created = task_call().send(&proxy).await.json();
    let id = created["result"]["taskId"].as_str().unwrap();
    let undeclared = Message::modern("tasks/get", &json!({"taskId": id}), &json!({}));
    let answer = undeclared.send(&proxy).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"]["code"], -32021);
    let required = &answer.json()["error"]["data"]["requiredCapabilities"]["extensions"];
    assert!(required["io.modelcontextprotocol/tasks"].is_object());
}

#[tokio::test]
async fn tasks_of_the_upstream_are_the_upstreams() {
    let scene = Scene::new();
    let proxy = scene.start();
    let before = scene.upstream.stats().requests;
    about("tasks/get", "786512e2-9e0d-44bd-8f29-789f320fe840")
        .send(&proxy)
        .await;
    assert_eq!(scene.upstream.stats().requests, before + 1);
}
