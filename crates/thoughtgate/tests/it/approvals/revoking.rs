//! An approval that is withdrawn by its approver before the call is made.

use std::time::Duration;

use serde_json::{Value, json};
use thoughtgate_test::mock_slack::MockSlack;

use super::restart::kill;
use super::{APPROVER, Scene, come_back, get_task, held_call, retried_call, task_call, task_end};
use crate::support::{Proxy, is_permitted, refusal, told};

#[tokio::test]
async fn a_no_after_a_yes_stops_the_call_and_is_audited() {
    let scene = Scene::new().audited();
    let proxy = scene.start();
    let call = retried_call();
    let first = call.send(&proxy).await.json();
    scene.approve().await;
    scene.message_says("Approved by").await;
    scene.react(1, APPROVER, "x").await;
    scene.message_says("Rejected by").await;
    let end = come_back(&proxy, &call, first).await;
    assert_eq!(refusal(&end)["code"], 40303, "{end}");
    let text = told(&end);
    assert!(
        text.contains("withdrawn before the call was made"),
        "{text}"
    );
    assert_eq!(scene.calls(), 0);
    let is_line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["decision"] == "rejected" && line["decided_by"] == APPROVER
    };
    while !std::fs::read_to_string(scene.audit_file())
        .unwrap()
        .lines()
        .any(is_line)
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn every_call_that_joined_sees_that_a_yes_was_taken_back() {
    let scene = Scene::new();
    let proxy = scene.start();
    let call = retried_call();
    let first = call.send(&proxy).await.json();
    let second = call.send(&proxy).await.json();
    scene.approve().await;
    scene.message_says("Approved by").await;
    let ts = scene.slack.messages()[0].ts.clone();
    scene.slack.unreact(&ts, APPROVER, "white_check_mark");
    scene.message_says("Rejected by").await;
    for state in [first, second] {
        let end = come_back(&proxy, &call, state).await;
        assert_eq!(refusal(&end)["code"], 40303, "{end}");
    }
    // A new call asks for a new approval.
    let _again = held_call().open(&proxy).await;
    scene.slack.wait_for_messages(2).await;
    assert_eq!(scene.calls(), 0);
}

#[tokio::test]
async fn a_no_while_the_proxy_is_down_is_read_before_the_call_is_made() {
    let scene = Scene::new().kept();
    let proxy = scene.start();
    let call = retried_call();
    let first = call.send(&proxy).await.json();
    scene.approve().await;
    scene.message_says("Approved by").await;
    kill(proxy);
    scene.react(1, APPROVER, "x").await;
    let scene = scene.with("APPROVAL_SLACK_POLL_INTERVAL", "1h");
    let proxy = scene.start();
    let end = come_back(&proxy, &call, first).await;
    assert_eq!(refusal(&end)["code"], 40303, "{end}");
    assert_eq!(scene.calls(), 0);
}

/// An approved task whose votes cannot be read the next `times`; each reading takes longer than the interval in
/// which it counts. Returns the task's id, too.
async fn unreadable(times: u32) -> (Scene, Proxy, String) {
    let scene = Scene::new();
    let proxy = scene.start();
    let task = task_call().send(&proxy).await.json();
    let id = task["result"]["taskId"].as_str().unwrap().to_owned();
    scene.slack.wait_for_messages(1).await;
    scene.slack.turn(|knobs| {
        knobs.latency_ms = 50;
        knobs.only_method = Some("reactions.get".to_owned());
        knobs.next_refused = times;
        "not_in_channel".clone_into(&mut knobs.refusal);
    });
    scene.approve().await;
    (scene, proxy, id)
}

#[tokio::test]
async fn a_task_waits_until_it_can_be_read_whether_its_approval_holds() {
    let (scene, proxy, id) = unreadable(1).await;
    let end = task_end(&proxy, &id).await;
    assert_eq!(end["status"], "completed", "{end}");
    assert_eq!((scene.calls(), scene.slack.knobs().next_refused), (1, 0));
}

#[tokio::test]
async fn a_task_ends_with_the_reason_when_its_votes_cannot_be_read_any_more() {
    let (scene, proxy, id) = unreadable(1000).await;
    let confirms = |slack: &MockSlack| slack.knobs().next_refused < 1000;
    scene.slack.wait_for(confirms).await;
    scene.slack.turn(|knobs| knobs.only_method = None);
    let end = task_end(&proxy, &id).await;
    assert_eq!(end["status"], "completed", "{end}");
    assert_eq!(refusal(&end)["code"], 50301, "{end}");
    let why = "the votes cannot be read: Slack refused: not_in_channel; invite the app";
    assert!(told(&end).contains(why), "{end}");
    assert_eq!(scene.calls(), 0);
}

#[tokio::test]
async fn a_task_waits_until_its_approval_can_be_marked_as_used() {
    let scene = Scene::new().kept().with("APPROVAL_APPROVED_FOR", "60s");
    let store = scene.folder.path().join("approvals.redb");
    let aside = scene.folder.path().join("aside.redb");
    let proxy = scene.start();
    let task = task_call().send(&proxy).await.json();
    let id = task["result"]["taskId"].as_str().unwrap();
    scene.slack.wait_for_messages(1).await;
    // The proxy does not write to a file that was put in the place of its own, which is in its place at any
    // moment: a file that is gone would be written anew.
    let other = scene.folder.path().join("other.redb");
    std::fs::write(&other, "another file").unwrap();
    std::fs::hard_link(&store, &aside).unwrap();
    std::fs::rename(&other, &store).unwrap();
    let other = retried_call().of("bob").send(&proxy).await.json();
    assert_eq!(refusal(&other)["code"], 50301, "{other}");
    scene.approve().await;
    // The disk being as it is, only its client hears that the task was approved.
    let task = loop {
        let task = get_task(id).send(&proxy).await.json()["result"].clone();
        if task["statusMessage"].to_string().contains("was approved") {
            break task;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!((&task["status"], scene.calls()), (&json!("working"), 0));
    std::fs::rename(&aside, &store).unwrap();
    let end = task_end(&proxy, id).await;
    assert!(is_permitted(&end), "{end}");
    assert_eq!(scene.calls(), 1);
}

#[tokio::test]
async fn an_agent_is_told_why_its_approval_could_not_be_confirmed() {
    let scene = Scene::new();
    let proxy = scene.start();
    let call = retried_call();
    let first = call.send(&proxy).await.json();
    scene.slack.wait_for_messages(1).await;
    // Each reading takes longer than the interval in which it counts.
    scene.slack.turn(|knobs| {
        knobs.latency_ms = 50;
        knobs.only_method = Some("reactions.get".to_owned());
        knobs.next_refused = 1;
        "not_in_channel".clone_into(&mut knobs.refusal);
    });
    scene.approve().await;
    let end = come_back(&proxy, &call, first).await;
    let why = "failed to check whether the approval still holds: Slack refused: not_in_channel; invite the app to the channel (/invite); try again";
    assert!(told(&end).contains(why), "{end}");
    assert_eq!(refusal(&end)["retry"], true, "{end}");
    assert_eq!(scene.calls(), 0);
}
