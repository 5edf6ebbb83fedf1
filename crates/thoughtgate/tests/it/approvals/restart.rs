//! A proxy that is stopped or killed during approvals: pending ones go on, and no call is made twice.

use rustix::process::Signal;
use serde_json::json;
use thoughtgate_test::mock_mcp::Hold;
use thoughtgate_test::process::Output;

use super::{Scene, come_back, end_of, get_task, retried_call, task_call, task_end};
use crate::support::{PATIENCE, Proxy, is_permitted};

pub(super) fn kill(mut proxy: Proxy) {
    proxy.process.signal(Signal::KILL).unwrap();
    proxy.process.wait(PATIENCE).unwrap();
}

#[tokio::test]
async fn a_client_comes_back_to_the_next_process() {
    let scene = Scene::new().kept();
    let mut proxy = scene.start();
    let call = retried_call();
    let first = call.send(&proxy).await.json();
    scene.slack.wait_for_messages(1).await;
    proxy.process.terminate().unwrap();
    proxy.process.wait(PATIENCE).unwrap();
    let proxy = scene.start();
    scene.approve().await;
    let answer = come_back(&proxy, &call, first).await;
    assert!(is_permitted(&answer), "{answer}");
    assert_eq!((scene.calls(), scene.slack.messages().len()), (1, 1));
}

#[tokio::test]
async fn a_task_is_made_by_the_process_that_hears_of_the_decision() {
    let scene = Scene::new().kept();
    let proxy = scene.start();
    let created = task_call()
        .header("authorization", "Bearer t")
        .send(&proxy)
        .await
        .json();
    let id = created["result"]["taskId"].as_str().unwrap();
    scene.slack.wait_for_messages(1).await;
    kill(proxy);
    scene.approve().await;
    let proxy = scene.start();
    let get = get_task(id).header("authorization", "Bearer t");
    let task = end_of(&proxy, &get).await;
    assert_eq!(task["status"], "completed", "{task}");
    assert_eq!(scene.calls(), 1);
    let seen = scene.upstream.requests();
    assert_eq!(
        seen.last().unwrap().header("authorization"),
        Some("Bearer t")
    );
    kill(proxy);
    // Every later process knows how it ended, and the call is not made again.
    let proxy = scene.start();
    assert_eq!(end_of(&proxy, &get).await["status"], "completed");
    assert_eq!((scene.calls(), scene.slack.messages().len()), (1, 1));
}

#[tokio::test]
async fn a_call_that_was_running_is_not_made_again() {
    let scene = Scene::new().kept();
    scene.upstream.hold(Hold::Answer);
    let proxy = scene.start();
    let created = task_call().send(&proxy).await.json();
    let id = created["result"]["taskId"].as_str().unwrap();
    scene.approve().await;
    scene.upstream.wait_for(|stats| stats.tool_calls == 1).await;
    kill(proxy);
    scene.upstream.release();
    let proxy = scene.start();
    let task = task_end(&proxy, id).await;
    assert_eq!(task["status"], "failed");
    let why = task["error"]["message"].as_str().unwrap();
    assert!(why.contains("outcome unknown"), "{why}");
    assert_eq!(scene.calls(), 1);
}

#[tokio::test]
async fn without_a_file_a_restart_forgets_and_says_so() {
    let scene = Scene::new();
    let proxy = scene.start();
    let call = retried_call();
    let first = call.send(&proxy).await.json();
    kill(proxy);
    let proxy = scene.start();
    let mut again = call.clone();
    again.body["params"]["requestState"] = first["result"]["requestState"].clone();
    let answer = again.send(&proxy).await.json();
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    let text = answer["error"]["message"].as_str().unwrap();
    assert!(text.contains("send the call again without it"), "{text}");
    assert_eq!(scene.calls(), 0);
}

#[tokio::test]
async fn a_running_call_is_finished_before_an_orderly_stop() {
    let scene = Scene::new().kept();
    scene.upstream.hold(Hold::Answer);
    let mut proxy = scene.start();
    let created = task_call().send(&proxy).await.json();
    let id = created["result"]["taskId"].as_str().unwrap();
    scene.approve().await;
    scene.upstream.wait_for(|stats| stats.tool_calls == 1).await;
    proxy.process.terminate().unwrap();
    let stopping = "thoughtgate: stopping";
    proxy
        .process
        .wait_line(Output::Stderr, stopping, PATIENCE)
        .unwrap();
    scene.upstream.release();
    assert_eq!(proxy.process.wait(PATIENCE).unwrap().code(), Some(0));
    let proxy = scene.start();
    let task = task_end(&proxy, id).await;
    assert_eq!(task["status"], json!("completed"), "{task}");
}
