//! An approval is good in its own channel: for a call that needs another one, approvers are asked there.

use serde_json::{Value, json};
use thoughtgate_test::mock_slack::Message as Posted;

use super::restart::kill;
use super::{APPROVER, Scene, answer, come_back, held_call, retried_call, task_call, task_end};
use crate::support::{Proxy, is_permitted, refusal, told};

const LOW: &str = "C0LOW";
const HIGH: &str = "C0HIGH";
const ELSEWHERE: &str = "the policies now require approval in another channel";

/// Policies by which `deploy` needs approval in this channel.
fn in_channel(channel: &str) -> String {
    super::POLICY.replace("@approve", &format!("@approve(\"{channel}\")"))
}

fn scene() -> Scene {
    let scene = Scene::new();
    scene.write_policy(&in_channel(LOW));
    scene
}

/// Loads the policies that need approval in `channel`.
async fn require(scene: &Scene, proxy: &Proxy, channel: &str) {
    scene.write_policy(&in_channel(channel));
    proxy.metric_is("thoughtgate_policy_generation", 2.0).await;
}

fn channels(messages: &[Posted]) -> Vec<&str> {
    let to = messages.iter().map(|message| message.posted_to.as_str());
    to.collect()
}

fn asks_anew(refusal: &Value) {
    assert_eq!(refusal["code"], 40801, "{refusal}");
    assert_eq!(refusal["retry"], true, "{refusal}");
}

#[tokio::test]
async fn a_yes_in_one_channel_is_not_good_for_a_call_that_needs_another() {
    let scene = scene();
    let proxy = scene.start();
    let call = retried_call();
    let first = call.send(&proxy).await.json();
    scene.approve().await;
    scene.message_says("Approved").await;
    require(&scene, &proxy, HIGH).await;
    let second = call.send(&proxy).await.json();
    assert_eq!(second["result"]["resultType"], "input_required", "{second}");
    assert_eq!(
        channels(&scene.slack.wait_for_messages(2).await),
        [LOW, HIGH]
    );
    // The state that was issued for the first approval leads to the second one.
    let mut again = call.clone();
    again.body["params"]["requestState"] = first["result"]["requestState"].clone();
    let first = again.send(&proxy).await.json();
    assert_eq!(first["result"]["resultType"], "input_required", "{first}");
    scene.message_says(ELSEWHERE).await;
    assert_eq!(scene.calls(), 0);
    scene.react(2, APPROVER, "+1").await;
    let end = come_back(&proxy, &call, first).await;
    assert!(is_permitted(&end), "{end}");
    assert_eq!((scene.calls(), scene.slack.messages().len()), (1, 2));
}

#[tokio::test]
async fn a_held_call_that_needs_another_channel_by_now_is_told_so() {
    let scene = scene();
    let proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    scene.slack.wait_for_messages(1).await;
    require(&scene, &proxy, HIGH).await;
    scene.approve().await;
    let end = answer(&mut held).await;
    asks_anew(refusal(&end));
    assert!(told(&end).contains(ELSEWHERE), "{end}");
    assert_eq!(scene.calls(), 0);
    let _again = held_call().open(&proxy).await;
    assert_eq!(
        channels(&scene.slack.wait_for_messages(2).await),
        [LOW, HIGH]
    );
}

#[tokio::test]
async fn the_next_process_makes_no_task_that_needs_another_channel() {
    let scene = scene().kept();
    let proxy = scene.start();
    let created = task_call().send(&proxy).await.json();
    let id = created["result"]["taskId"].as_str().unwrap();
    scene.slack.wait_for_messages(1).await;
    kill(proxy);
    scene.write_policy(&in_channel(HIGH));
    let proxy = scene.start();
    scene.approve().await;
    let task = task_end(&proxy, id).await;
    assert_eq!(task["status"], "completed", "{task}");
    asks_anew(refusal(&task));
    assert!(told(&task).contains(ELSEWHERE), "{task}");
    assert_eq!(scene.calls(), 0);
}

#[tokio::test]
async fn a_channel_is_the_same_by_its_name_and_by_its_id() {
    let scene = Scene::new().with("APPROVAL_SLACK_CHANNEL", "#general");
    let proxy = scene.start();
    let first = retried_call().send(&proxy).await.json();
    scene.slack.wait_for_messages(1).await;
    // Slack's answer to the message has the id.
    proxy
        .metric_is("thoughtgate_approvals_posted_total", 1.0)
        .await;
    require(&scene, &proxy, "C0GENERAL").await;
    let mut held = held_call().open(&proxy).await;
    scene.approve().await;
    let ends = [
        answer(&mut held).await,
        come_back(&proxy, &retried_call(), first).await,
    ];
    let made = ends.iter().filter(|end| is_permitted(end)).count();
    assert_eq!(made, 1, "{}", json!(ends));
    assert_eq!((scene.calls(), scene.slack.messages().len()), (1, 1));
}
