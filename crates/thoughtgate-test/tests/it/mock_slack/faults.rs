//! The Slack double with faults of single calls, with a channel that hangs, with short pages, and with
//! messages that disappear.

use std::time::Duration;

use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use thoughtgate_test::client;
use thoughtgate_test::mock_slack::{Fault, Knobs, MockSlack};

use super::{AUTHORIZATION, CHANNEL, JSON, call, post, start, try_call};

const POST: &str = "chat.postMessage";
/// Long enough for an answer of the double, which takes microseconds.
const A_WHILE: Duration = Duration::from_millis(100);

fn message() -> Value {
    json!({ "channel": CHANNEL, "text": "x" })
}

/// Whether this call gets no answer for a while.
async fn hangs(slack: &MockSlack, method: &str, body: &Value) -> bool {
    let answer = tokio::time::timeout(A_WHILE, try_call(slack, method, body));
    answer.await.is_err()
}

#[tokio::test]
async fn the_calls_of_one_method_meet_its_faults_in_order() {
    let slack = start(Knobs {
        next_refused: 1,
        ..Knobs::default()
    });
    slack.fail(
        POST,
        [
            Fault::TooManyRequests { retry_after_s: 7 },
            Fault::Ratelimited {
                retry_after_s: Some(8),
            },
        ],
    );
    slack.fail(
        POST,
        [
            Fault::Ratelimited {
                retry_after_s: None,
            },
            Fault::ServerError(StatusCode::BAD_GATEWAY),
            Fault::Refused("channel_is_archived".to_owned()),
        ],
    );
    let mut seen = Vec::new();
    for _ in 0..5 {
        let response = try_call(&slack, POST, &message()).await.unwrap();
        let retry_after = response.header("retry-after").map(ToOwned::to_owned);
        let error = response.json()["error"].clone();
        seen.push((response.status, error, retry_after));
    }
    let seconds = |seconds: &str| Some(seconds.to_owned());
    assert_eq!(
        seen,
        [
            (429, json!("ratelimited"), seconds("7")),
            (200, json!("ratelimited"), seconds("8")),
            (200, json!("ratelimited"), None),
            (502, json!("service_unavailable"), None),
            (200, json!("channel_is_archived"), None),
        ]
    );
    assert_eq!(slack.messages(), []);
    assert_eq!(slack.knobs().next_refused, 1, "knobs come after them");
    let other = call(&slack, "api.test", json!({})).await;
    assert_eq!(other["error"], "internal_error");
    post(&slack, "x").await;
    assert_eq!((slack.calls(POST), slack.messages().len()), (6, 1));
}

#[tokio::test]
async fn some_faults_come_after_the_effect() {
    let slack = start(Knobs::default());
    slack.fail(
        POST,
        [
            Fault::ServerErrorAfterEffect(StatusCode::INTERNAL_SERVER_ERROR),
            Fault::CloseAfterEffect,
            Fault::HangAfterEffect,
        ],
    );
    let response = try_call(&slack, POST, &message()).await.unwrap();
    assert_eq!((response.status, slack.messages().len()), (500, 1));
    let closed = try_call(&slack, POST, &message()).await;
    assert!(closed.is_err());
    assert_eq!(slack.messages().len(), 2);
    assert!(hangs(&slack, POST, &message()).await);
    assert_eq!(slack.messages().len(), 3);
}

#[tokio::test]
async fn answers_and_redirects_are_sent_as_given() {
    let slack = start(Knobs::default());
    let elsewhere = HeaderValue::from_static("http://127.0.0.1:1/");
    slack.fail(
        POST,
        [
            Fault::Answer(StatusCode::IM_A_TEAPOT, "<html>".to_owned()),
            Fault::Redirect(elsewhere),
        ],
    );
    let response = try_call(&slack, POST, &message()).await.unwrap();
    assert_eq!((response.status, response.text().as_str()), (418, "<html>"));
    let response = try_call(&slack, POST, &message()).await.unwrap();
    assert_eq!(response.status, 302);
    assert_eq!(response.header("location"), Some("http://127.0.0.1:1/"));
    assert_eq!(slack.messages(), []);
}

#[tokio::test]
async fn some_bodies_never_end() {
    let slack = start(Knobs::default());
    slack.fail(POST, [Fault::Drip, Fault::Flood]);
    let url = format!("{}{POST}", slack.url());
    let headers = [AUTHORIZATION, JSON];
    let open = || client::post_stream(&url, &headers, message().to_string());

    let mut drip = open().await.unwrap();
    for _ in 0..5 {
        let piece = drip.next_chunk().await.unwrap().unwrap();
        assert!(piece.iter().all(|byte| *byte == b' '));
    }
    let mut flood = open().await.unwrap();
    let mut bytes = 0;
    while bytes < 4 << 20 {
        bytes += flood.next_chunk().await.unwrap().unwrap().len();
    }
    assert_eq!(slack.messages(), []);
}

#[tokio::test]
async fn a_stuck_channel_answers_no_post() {
    let slack = start(Knobs::default());
    slack.turn(|knobs| knobs.stuck_channel = Some("C0STUCK".to_owned()));
    let stuck = json!({ "channel": "C0STUCK", "text": "x" });
    assert!(hangs(&slack, POST, &stuck).await);
    assert_eq!((slack.calls(POST), slack.messages().len()), (1, 0));
    post(&slack, "x").await;
    let history = json!({ "channel": "C0STUCK" });
    let read = call(&slack, "conversations.history", history).await;
    assert_eq!(read["messages"], json!([]));
}

#[tokio::test]
async fn pages_are_no_longer_than_the_knob_allows() {
    let slack = start(Knobs {
        page_size: 2,
        ..Knobs::default()
    });
    for text in ["a", "b", "c"] {
        post(&slack, text).await;
    }
    let texts = async |arguments: Value| {
        let page = call(&slack, "conversations.history", arguments).await;
        let messages = page["messages"].as_array().unwrap().iter();
        let texts: String = messages
            .map(|message| message["text"].as_str().unwrap())
            .collect();
        (texts, page["response_metadata"]["next_cursor"].clone())
    };
    let (newest, cursor) = texts(json!({ "channel": CHANNEL, "limit": 100 })).await;
    assert_eq!(newest, "cb");
    let rest = json!({ "channel": CHANNEL, "limit": 100, "cursor": cursor });
    assert_eq!(texts(rest).await, ("a".to_owned(), Value::Null));
    assert_eq!(
        texts(json!({ "channel": CHANNEL, "limit": 1 })).await.0,
        "c"
    );
}

#[tokio::test]
async fn channels_with_a_name_are_listed() {
    let slack = start(Knobs::default());
    let named = json!({ "channel": "#named", "text": "x" });
    let id = call(&slack, POST, named).await["channel"].clone();
    let general = json!({ "channel": "#general", "text": "x" });
    assert_eq!(call(&slack, POST, general).await["channel"], "C0GENERAL");
    let list = call(&slack, "conversations.list", json!({})).await;
    let ids: Vec<_> = list["channels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|channel| (channel["name"].clone(), channel["id"].clone()))
        .collect();
    assert_eq!(
        ids,
        [(json!("general"), json!("C0GENERAL")), (json!("named"), id)]
    );
    assert_eq!(list["response_metadata"]["next_cursor"], "");
}

#[tokio::test]
async fn a_deleted_message_is_gone_and_reactions_come_at_once() {
    let slack = start(Knobs::default());
    let (first, second) = (post(&slack, "a").await, post(&slack, "b").await);
    slack.delete(&first);
    let gone = json!({ "channel": CHANNEL, "timestamp": first });
    let answer = call(&slack, "reactions.get", gone).await;
    assert_eq!(answer["error"], "message_not_found");
    slack.react_at_once(&second, &[("U1", "+1"), ("U2", "x")]);
    let left = slack.messages();
    assert_eq!((left.len(), left[0].reactions.len()), (1, 2));
}
