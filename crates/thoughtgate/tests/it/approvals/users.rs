//! Users behind one agent's id: a task is made with the credentials of the one who asked for it, who
//! alone gets its result.

use serde_json::{Value, json};

use super::restart::kill;
use super::{
    APPROVER, Message, Scene, answer, end_of, get_task, held_call, legacy_task_call, retried_call,
    task_call, with_tasks,
};
use crate::claims::Issuer;
use crate::support::{Proxy, is_permitted};

fn with_token(message: Message, token: &str) -> Message {
    message.header("authorization", token)
}

async fn task_of(proxy: &Proxy, call: Message) -> String {
    let created = call.send(proxy).await.json();
    let result = &created["result"];
    let id = result["taskId"].as_str();
    let id = id.or(result["task"]["taskId"].as_str());
    id.unwrap_or_else(|| panic!("no task in {created}"))
        .to_owned()
}

fn is_unknown(answer: &Value) -> bool {
    answer["error"]["code"] == -32602 && answer.to_string().contains("no such task")
}

#[tokio::test]
async fn a_task_is_made_for_its_user_and_found_by_nobody_else() {
    let scene = Scene::new().kept();
    let proxy = scene.start();
    let (ann, ben) = ("Bearer ann", "Bearer ben");
    let first = task_of(&proxy, with_token(task_call(), ann)).await;
    scene.slack.wait_for_messages(1).await;
    let second = task_of(&proxy, with_token(task_call(), ben)).await;
    scene.slack.wait_for_messages(2).await;
    // The same user asks once.
    assert_eq!(task_of(&proxy, with_token(task_call(), ann)).await, first);
    for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
        let about = Message::modern(method, &json!({"taskId": first}), &with_tasks());
        let answer = with_token(about, ben).send(&proxy).await.json();
        assert!(is_unknown(&answer), "{method}: {answer}");
    }
    let result = Message::legacy("tasks/result", &json!({"taskId": first}));
    let result = with_token(result, ben).send(&proxy).await.json();
    assert!(is_unknown(&result), "{result}");
    let list = Message::legacy("tasks/list", &json!({}));
    let list = with_token(list, ben).send(&proxy).await.json();
    let listed: Vec<&Value> = list["result"]["tasks"].as_array().unwrap().iter().collect();
    assert_eq!(listed.len(), 1, "{list}");
    assert_eq!(listed[0]["taskId"], second, "{list}");
    // The next process knows whose they are.
    kill(proxy);
    let proxy = scene.start();
    for (number, id, token, other) in [(1, &first, ann, ben), (2, &second, ben, ann)] {
        scene.react(number, APPROVER, "+1").await;
        let end = end_of(&proxy, &with_token(get_task(id), token)).await;
        assert!(is_permitted(&end), "{end}");
        let seen = scene.upstream.requests();
        let credentials = seen.last().unwrap().header("authorization");
        assert_eq!(credentials, Some(token));
        let other = with_token(get_task(id), other).send(&proxy).await.json();
        assert!(is_unknown(&other), "{other}");
    }
    assert_eq!((scene.calls(), scene.slack.messages().len()), (2, 2));
}

#[tokio::test]
async fn an_approval_of_a_held_call_is_nobodys_task() {
    let scene = Scene::new();
    let proxy = scene.start();
    let asked = with_token(retried_call(), "Bearer ann");
    let asked = asked.send(&proxy).await.json();
    let id = &asked["result"]["_meta"]["thoughtgate/approval"]["id"];
    let id = id.as_str().unwrap();
    let get = with_token(get_task(id), "Bearer ann");
    assert!(is_unknown(&get.send(&proxy).await.json()));
    // Another user's task joins it, and is that user's.
    let task = task_of(&proxy, with_token(legacy_task_call(), "Bearer ben")).await;
    assert_eq!(task, id);
    assert!(is_unknown(&get.send(&proxy).await.json()));
    scene.approve().await;
    let end = end_of(&proxy, &with_token(get_task(id), "Bearer ben")).await;
    assert!(is_permitted(&end), "{end}");
    assert_eq!((scene.calls(), scene.slack.messages().len()), (1, 1));
}

#[tokio::test]
async fn held_calls_of_one_agent_share_an_approval_and_keep_their_credentials() {
    let scene = Scene::new();
    let proxy = scene.start();
    let ann = with_token(retried_call(), "Bearer ann");
    ann.send(&proxy).await;
    let ben = with_token(held_call(), "Bearer ben");
    let mut ben = ben.open(&proxy).await;
    scene.approve().await;
    let end = answer(&mut ben).await;
    assert!(is_permitted(&end), "{end}");
    let seen = scene.upstream.requests();
    let credentials = seen.last().unwrap().header("authorization");
    assert_eq!(credentials, Some("Bearer ben"));
}

#[tokio::test]
async fn a_refreshed_token_finds_its_task_and_another_users_does_not() {
    let mut scene = Scene::new();
    let header = "THOUGHTGATE_AGENT_HEADER";
    scene.environment.retain(|(name, _)| name != header);
    let issuer = Issuer::new(scene.folder.path());
    let key_file = issuer.key_file.to_str().unwrap().to_owned();
    let scene = scene
        .with("AGENT_JWT_KEY_FILE", &key_file)
        .with("AGENT_JWT_CLAIM", "azp");
    let proxy = scene.start();
    let token = |user: &str, number: u64| {
        issuer.bearer(json!({"azp": "assistant", "sub": user, "jti": number}))
    };
    let id = task_of(&proxy, with_token(task_call(), &token("ann", 1))).await;
    let again = task_of(&proxy, with_token(task_call(), &token("ann", 2))).await;
    assert_eq!(again, id);
    let other = with_token(get_task(&id), &token("ben", 3));
    assert!(is_unknown(&other.send(&proxy).await.json()));
    scene.approve().await;
    let end = end_of(&proxy, &with_token(get_task(&id), &token("ann", 4))).await;
    assert!(is_permitted(&end), "{end}");
    assert!(is_unknown(&other.send(&proxy).await.json()));
}
