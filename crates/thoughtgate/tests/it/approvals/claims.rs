//! Claims of the token with which a call was made that needs approval: policies read them again when it
//! is approved, in whichever process.

use serde_json::json;

use super::restart::kill;
use super::{
    Message, Scene, answer, come_back, end_of, get_task, held_call, retried_call, task_call,
};
use crate::claims::Issuer;
use crate::support::{is_permitted, refusal};

const POLICY: &str = r#"
    @id("ops") @approve
    permit (principal, action == Action::"tools/call", resource == Tool::"deploy")
      when { principal has groups && principal.groups.contains("ops") };
"#;

fn scene() -> (Scene, Issuer) {
    let mut scene = Scene::new();
    scene.write_policy(POLICY);
    let header = "THOUGHTGATE_AGENT_HEADER";
    scene.environment.retain(|(name, _)| name != header);
    let issuer = Issuer::new(scene.folder.path());
    let key_file = issuer.key_file.to_str().unwrap();
    let scene = scene
        .with("AGENT_JWT_KEY_FILE", key_file)
        .with("AGENT_JWT_CLAIMS", "{groups: set}");
    (scene, issuer)
}

fn signed(message: Message, issuer: &Issuer, group: &str) -> Message {
    let bearer = issuer.bearer(json!({"groups": [group]}));
    message.header("authorization", &bearer)
}

#[tokio::test]
async fn a_held_call_is_decided_by_the_claims_that_it_came_with() {
    let (scene, issuer) = scene();
    let proxy = scene.start();
    let refused = signed(held_call(), &issuer, "dev").send(&proxy).await;
    assert_eq!(refusal(&refused.json())["code"], 40301);
    let mut held = signed(held_call(), &issuer, "ops").open(&proxy).await;
    scene.approve().await;
    let end = answer(&mut held).await;
    assert!(is_permitted(&end), "{end}");
    assert_eq!(scene.calls(), 1);
}

#[tokio::test]
async fn a_retry_is_decided_by_the_claims_of_its_own_token() {
    let (scene, issuer) = scene();
    let proxy = scene.start();
    let first = signed(retried_call(), &issuer, "ops").send(&proxy).await;
    scene.approve().await;
    scene.message_says("Approved").await;
    let left = signed(retried_call(), &issuer, "dev");
    let end = come_back(&proxy, &left, first.json()).await;
    assert_eq!(refusal(&end)["code"], 40301, "{end}");
    assert_eq!(scene.calls(), 0);
}

#[tokio::test]
async fn a_task_keeps_its_claims_in_the_store() {
    let (scene, issuer) = scene();
    let scene = scene.kept();
    let proxy = scene.start();
    let task = signed(task_call(), &issuer, "ops")
        .send(&proxy)
        .await
        .json();
    let id = task["result"]["taskId"].as_str().unwrap();
    scene.slack.wait_for_messages(1).await;
    kill(proxy);
    let proxy = scene.start();
    scene.approve().await;
    let get = signed(get_task(id), &issuer, "dev");
    let task = end_of(&proxy, &get).await;
    assert_eq!(task["status"], "completed", "{task}");
    assert!(is_permitted(&task), "{task}");
    assert_eq!(scene.calls(), 1);
}
