//! Answers to approved calls, valid and broken: the client gets the answer, or an error with the reason
//! why there is none; and the call is made once.

use serde_json::{Value, json};
use thoughtgate_test::mock_mcp::{Canned, Fault};

use super::{APPROVER, Message, Scene, answer, held_call, legacy_task_call, task_call, task_end};
use crate::support::Proxy;

/// The deliveries for which the proxy reads the answer itself: on a held stream, and as a task of
/// either era. A client that retries gets the upstream's answer unread.
async fn ends(scene: &Scene, proxy: &Proxy) -> Vec<(&'static str, Value)> {
    let mut count = scene.slack.messages().len();
    let mut approve = async || {
        count += 1;
        scene.react(count, APPROVER, "white_check_mark").await;
    };
    let mut ends = Vec::new();
    let mut held = held_call().open(proxy).await;
    approve().await;
    let end = answer(&mut held).await;
    ends.push(("held", end));
    let created = legacy_task_call().send(proxy).await.json();
    approve().await;
    let id = created["result"]["task"]["taskId"].clone();
    let result = Message::legacy("tasks/result", &json!({"taskId": id}));
    ends.push(("legacy task", result.end(proxy).await));
    let created = task_call().send(proxy).await.json();
    approve().await;
    let id = created["result"]["taskId"].as_str().unwrap();
    ends.push(("task", task_end(proxy, id).await));
    ends
}

fn sse(events: &[&str]) -> Canned {
    Canned {
        headers: vec![("content-type".to_owned(), "text/event-stream".to_owned())],
        body: events.concat(),
        ..Canned::default()
    }
}

const ANSWER: &str = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"RESULT"}],"resultType":"complete"}}"#;
const PROGRESS: &str = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#;

#[tokio::test]
async fn a_result_among_events_reaches_the_client_each_way() {
    let answers = [
        sse(&["data: ", PROGRESS, "\n\n: hi\n\ndata: ", ANSWER, "\n\n"]),
        sse(&["event: message\r\ndata: ", ANSWER, "\r\n\r\n"]),
        // The last blank line is missing.
        sse(&["data: ", PROGRESS, "\n\ndata: ", ANSWER, "\n"]),
    ];
    for answer in answers {
        let scene = Scene::new();
        let proxy = scene.start();
        scene.upstream.turn(|knobs| knobs.canned = Some(answer));
        for (way, end) in ends(&scene, &proxy).await {
            assert!(end.to_string().contains("RESULT"), "{way}: {end}");
        }
        assert_eq!(scene.calls(), 3);
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_an_error_that_says_so() {
    let canned = |status, kind: &str, body: &str| Canned {
        status,
        headers: vec![("content-type".to_owned(), kind.to_owned())],
        body: body.to_owned(),
    };
    let answers = [
        canned(200, "application/json", ""),
        canned(202, "text/plain", ""),
        canned(401, "text/html", "<html>"),
        canned(500, "application/json", r#"{"detail":"oops"}"#),
        sse(&["data: ", PROGRESS, "\n\n"]),
        sse(&["data: {\"jsonrpc\":\"2.0\",\"id\":7,\"res"]),
    ];
    for answer in answers {
        let scene = Scene::new();
        let proxy = scene.start();
        scene
            .upstream
            .turn(|knobs| knobs.canned = Some(answer.clone()));
        let mut held = held_call().open(&proxy).await;
        scene.approve().await;
        let end = super::answer(&mut held).await;
        assert_eq!(end["id"], 7, "{end}");
        let task = task_call().send(&proxy).await.json();
        scene.react(2, APPROVER, "white_check_mark").await;
        let end = task_end(&proxy, task["result"]["taskId"].as_str().unwrap()).await;
        assert_eq!(end["status"], "failed", "{answer:?}: {end}");
        let text = end["error"]["message"].as_str().unwrap();
        assert!(text.contains("the call was made"), "{text}");
        assert_eq!(scene.calls(), 2);
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_that_says_so() {
    for sse in [false, true] {
        let scene = Scene::new();
        let proxy = scene.start();
        scene.upstream.turn(|knobs| {
            knobs.fault = Fault::CloseMidAnswer;
            knobs.response_bytes = 100_000;
            knobs.sse = sse;
        });
        let mut held = held_call().open(&proxy).await;
        scene.approve().await;
        let end = answer(&mut held).await;
        let text = end["error"]["message"].as_str().unwrap();
        assert!(text.contains("the call was made"), "{text}");
        assert_eq!(scene.calls(), 1);
    }
}
