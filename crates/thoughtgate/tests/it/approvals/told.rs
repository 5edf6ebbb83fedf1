//! Refusals of calls that needed approval, as results that a model can read.

use serde_json::json;

use super::{
    APPROVER, Message, Scene, answer, come_back, held_call, legacy_task_call, retried_call,
    task_call, task_end,
};
use crate::support::{refusal, told};

const REASON: &str = r#"@reason("deployments need a second pair of eyes") @approve"#;

#[tokio::test]
async fn a_no_is_a_result_with_the_reason_for_which_somebody_was_asked() {
    let scene = Scene::new();
    scene.write_policy(&super::POLICY.replace("@approve", REASON));
    let proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    scene.react(1, APPROVER, "x").await;
    let end = answer(&mut held).await;
    assert_eq!(
        told(&end),
        "The call of tool `deploy` was refused: the call to `deploy` was rejected by U0APPROVER; approval is required by policy `risky`. Reason: deployments need a second pair of eyes. Do not send this call again unless the user asks for it."
    );
    let facts = refusal(&end);
    assert!(facts["approval"].as_str().unwrap().starts_with("tg-"));
    assert_eq!(facts["policies"], json!(["risky"]));
    assert_eq!(facts["retry"], false);
    assert!(end["result"]["resultType"].is_null());
    let call = retried_call();
    let first = call.send(&proxy).await.json();
    scene.react(2, APPROVER, "x").await;
    let end = come_back(&proxy, &call, first).await;
    assert_eq!(end["result"]["resultType"], "complete", "{end}");
    assert_eq!(scene.calls(), 0);
}

#[tokio::test]
async fn a_legacy_task_that_is_refused_has_failed_and_its_result_says_why() {
    let scene = Scene::new();
    let proxy = scene.start();
    let created = legacy_task_call().send(&proxy).await.json();
    let id = created["result"]["task"]["taskId"].as_str().unwrap();
    scene.react(1, APPROVER, "x").await;
    let params = json!({ "taskId": id });
    let end = Message::legacy("tasks/result", &params).end(&proxy).await;
    assert_eq!(refusal(&end)["code"], 40303, "{end}");
    let related = &end["result"]["_meta"]["io.modelcontextprotocol/related-task"];
    assert_eq!(related["taskId"], id);
    let task = Message::legacy("tasks/get", &params).send(&proxy).await;
    assert_eq!(task.json()["result"]["status"], "failed");
}

#[tokio::test]
async fn errors_where_they_are_asked_for_have_the_facts_of_a_result() {
    let scene = Scene::new().with("REFUSALS", "error");
    let proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    scene.react(1, APPROVER, "x").await;
    let end = answer(&mut held).await;
    let message = "the call to `deploy` was rejected by U0APPROVER";
    let (id, message) = (&end["error"]["data"]["approval"], json!(message));
    let data = json!({
        "code": 40303, "tool": "deploy", "policies": ["risky"], "reasons": [], "retry": false,
        "advice": end["error"]["data"]["advice"], "approval": id, "state": "rejected",
    });
    assert!(data["advice"].is_string() && id.is_string(), "{end}");
    let error = json!({"code": 40303, "message": message, "data": data});
    assert_eq!(end["error"], error, "{end}");
    let task = task_call().send(&proxy).await.json();
    scene.react(2, APPROVER, "x").await;
    let task = task_end(&proxy, task["result"]["taskId"].as_str().unwrap()).await;
    assert_eq!(
        (&task["status"], &task["error"]["code"]),
        (&json!("failed"), &json!(40303))
    );
    let facts = &task["error"]["data"];
    assert_eq!(
        (&facts["tool"], &facts["policies"], &facts["retry"]),
        (&json!("deploy"), &json!(["risky"]), &json!(false)),
        "{task}"
    );
}
