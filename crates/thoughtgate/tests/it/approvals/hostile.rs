//! Text of clients and answers of upstreams that a JSON library cannot hold or a client cannot read.

use serde_json::json;
use thoughtgate_test::client;
use thoughtgate_test::mock_mcp::Canned;

use super::{Message, Scene, answer, held_call, legacy_task_call};

/// Sends `call` with the progress token `token` in this spelling; the proxy must survive it.
async fn first_progress(call: &Message, token: &str) -> (u16, String) {
    let scene = Scene::new();
    let proxy = scene.start();
    let mut call = call.clone();
    call.body["params"]["_meta"]["progressToken"] = json!("TOKEN");
    let body = call.body.to_string().replace("\"TOKEN\"", token);
    let mut stream = client::post_stream(&proxy.url(), &call.borrowed(), body)
        .await
        .unwrap();
    let first = stream.next_data().await.unwrap();
    assert_eq!(proxy.get("/health").await.status, 200);
    (stream.status, first.data)
}

#[tokio::test]
async fn a_progress_token_that_no_number_type_holds_keeps_its_spelling() {
    for token in ["1e999", "-1e400", "123456789012345678901234567890"] {
        let (status, progress) = first_progress(&held_call(), token).await;
        assert_eq!(status, 200);
        let told = format!(r#""progressToken":{token},"#);
        assert!(progress.contains(&told), "{progress}");
    }
}

#[tokio::test]
async fn a_progress_token_that_is_neither_text_nor_number_is_refused() {
    let scene = Scene::new();
    let proxy = scene.start();
    let task = legacy_task_call().send(&proxy).await.json();
    let id = task["result"]["task"]["taskId"].as_str().unwrap();
    for token in [r#""\ud800""#, "[]", "true"] {
        for (method, params) in [
            ("tools/call", r#""name":"deploy""#.to_owned()),
            ("tasks/result", format!(r#""taskId":"{id}""#)),
        ] {
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{{{params},"_meta":{{"progressToken":{token}}}}}}}"#
            );
            let headers = [("x-agent", "alice")];
            let answer = client::post_json(&proxy.url(), &headers, body)
                .await
                .unwrap();
            let answer = answer.json();
            assert_eq!(
                (&answer["id"], &answer["error"]["code"]),
                (&json!(7), &json!(-32602)),
                "{answer}"
            );
        }
    }
}

/// Lets the upstream answer with `body` as JSON.
fn answers_with(scene: &Scene, body: &str) {
    let content_type = ("content-type".to_owned(), "application/json".to_owned());
    scene.upstream.turn(|knobs| {
        knobs.canned = Some(Canned {
            status: 200,
            headers: vec![content_type],
            body: body.to_owned(),
        });
    });
}

#[tokio::test]
async fn an_approved_call_whose_answer_is_no_message_ends_with_an_error() {
    for body in ["", " \n", "[]", "3", "{\"result\":1,\"result\":2}"] {
        let scene = Scene::new();
        let proxy = scene.start();
        let task = legacy_task_call().send(&proxy).await.json();
        let id = task["result"]["task"]["taskId"].as_str().unwrap();
        answers_with(&scene, body);
        scene.approve().await;
        let result = Message::legacy("tasks/result", &json!({ "taskId": id }));
        let end = result.end(&proxy).await;
        assert_eq!(end["id"], 7, "{body:?}: {end}");
        assert!(end["error"]["code"].is_i64(), "{body:?}: {end}");
    }
}

#[tokio::test]
async fn a_held_call_whose_answer_is_empty_ends_with_an_error() {
    for body in ["", " \r\n"] {
        let scene = Scene::new();
        let proxy = scene.start();
        answers_with(&scene, body);
        let mut held = held_call().open(&proxy).await;
        scene.approve().await;
        let end = answer(&mut held).await;
        assert_eq!(
            (&end["id"], &end["error"]["code"]),
            (&json!(7), &json!(50202)),
            "{end}"
        );
    }
}
