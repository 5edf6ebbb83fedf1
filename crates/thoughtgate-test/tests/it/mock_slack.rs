//! The Slack double: its answers, its error codes, the messages that it keeps.

use std::time::{SystemTime, UNIX_EPOCH};

use http::Method;
use serde_json::{Value, json};
use thoughtgate_test::client::{self, Response};
use thoughtgate_test::mock_slack::{self, Config, Knobs, MockSlack};

mod access;
mod faults;
mod on_demand;

const CHANNEL: &str = "C0APPROVALS";
const AUTHORIZATION: (&str, &str) = ("Authorization", "Bearer xoxb-test");
const JSON: (&str, &str) = ("Content-Type", "application/json; charset=utf-8");
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

fn start(knobs: Knobs) -> MockSlack {
    mock_slack::spawn(Config {
        knobs,
        ..Config::default()
    })
    .expect("the double starts")
}

async fn try_call(slack: &MockSlack, method: &str, body: &Value) -> std::io::Result<Response> {
    let url = format!("{}{method}", slack.url());
    client::request(Method::POST, &url, &[AUTHORIZATION, JSON], body.to_string()).await
}

async fn call(slack: &MockSlack, method: &str, body: Value) -> Value {
    let response = try_call(slack, method, &body).await.unwrap();
    assert_eq!(response.status, 200);
    response.json()
}

async fn post(slack: &MockSlack, text: &str) -> String {
    let message = json!({ "channel": CHANNEL, "text": text });
    let answer = call(slack, "chat.postMessage", message).await;
    assert_eq!(answer["ok"], true, "{answer}");
    answer["ts"].as_str().unwrap().to_owned()
}

fn now_us() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_micros()
}

#[tokio::test]
async fn takes_json_forms_and_queries_alike() {
    let slack = start(Knobs::default());
    let blocks = json!([{ "type": "section", "text": { "type": "mrkdwn", "text": "a & b" } }]);
    let metadata = json!({ "event_type": "approval", "event_payload": { "task_id": "t1" } });
    let message =
        json!({ "channel": CHANNEL, "text": "a+b", "blocks": blocks, "metadata": metadata });
    let answer = call(&slack, "chat.postMessage", message).await;
    assert_eq!(answer["ok"], true);
    assert_eq!(answer["warning"], Value::Null);

    let pairs: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("token", "xoxb-test")
        .append_pair("channel", CHANNEL)
        .append_pair("text", "a+b")
        .append_pair("blocks", &blocks.to_string())
        .append_pair("metadata", &metadata.to_string())
        .finish();
    let url = format!("{}chat.postMessage", slack.url());
    let response = client::request(Method::POST, &url, &[FORM], pairs)
        .await
        .unwrap();
    assert_eq!(response.json()["ok"], true, "{}", response.text());

    let messages = slack.messages();
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0].posted, messages[1].posted);
    assert_eq!(messages[0].posted.text, "a+b");
    assert_eq!(
        messages[0].posted.metadata["event_payload"]["task_id"],
        "t1"
    );

    let url = format!(
        "{}conversations.history?channel={CHANNEL}&limit=1",
        slack.url()
    );
    let history = client::get(&url, &[AUTHORIZATION]).await.unwrap().json();
    assert_eq!(history["messages"][0]["ts"], messages[1].ts);
    assert_eq!(history["has_more"], true);

    let url = format!("{}auth.test?token=xoxb-test", slack.url());
    let empty = client::request(Method::POST, &url, &[JSON], "").await;
    assert_eq!(empty.unwrap().json()["ok"], true);

    let no_charset = [AUTHORIZATION, ("Content-Type", "application/json")];
    let url = format!("{}auth.test", slack.url());
    let answer = client::request(Method::POST, &url, &no_charset, "{}")
        .await
        .unwrap()
        .json();
    assert_eq!(answer["warning"], "missing_charset");
    assert_eq!(answer["user_id"], "U0BOT");
}

#[tokio::test]
async fn demands_the_token() {
    let slack = start(Knobs::default());
    let url = format!("{}chat.postMessage", slack.url());
    let body = json!({ "channel": CHANNEL, "text": "x" }).to_string();
    for (headers, error) in [
        (vec![JSON], "not_authed"),
        (
            vec![JSON, ("Authorization", "Bearer xoxb-other")],
            "invalid_auth",
        ),
        (vec![JSON, ("Authorization", "xoxb-test")], "not_authed"),
    ] {
        let response = client::request(Method::POST, &url, &headers, body.clone())
            .await
            .unwrap();
        assert_eq!(
            (response.status, response.json()),
            (200, json!({ "ok": false, "error": error }))
        );
    }
    assert_eq!(slack.messages(), []);
    assert_eq!(slack.calls("chat.postMessage"), 3);
}

#[tokio::test]
async fn refuses_bad_calls_with_slacks_codes() {
    let slack = start(Knobs::default());
    let long = "x".repeat(3001);
    let section =
        |text: &str| json!([{ "type": "section", "text": { "type": "mrkdwn", "text": text } }]);
    for (method, body, error) in [
        (
            "chat.postMessage",
            json!({ "text": "x" }),
            "channel_not_found",
        ),
        ("chat.postMessage", json!({ "channel": CHANNEL }), "no_text"),
        (
            "chat.postMessage",
            json!({ "channel": CHANNEL, "blocks": section(&long) }),
            "invalid_blocks",
        ),
        (
            "chat.postMessage",
            json!({ "channel": CHANNEL, "blocks": section("") }),
            "invalid_blocks",
        ),
        (
            "chat.postMessage",
            json!({ "channel": CHANNEL, "blocks": "[" }),
            "invalid_blocks_format",
        ),
        (
            "chat.postMessage",
            json!({ "channel": CHANNEL, "text": "x", "metadata": {} }),
            "invalid_metadata_schema",
        ),
        (
            "chat.postMessage",
            json!({ "channel": CHANNEL, "text": "x".repeat(40_001) }),
            "msg_too_long",
        ),
        (
            "chat.update",
            json!({ "channel": CHANNEL, "ts": "1.000001", "text": "x" }),
            "message_not_found",
        ),
        (
            "chat.update",
            json!({ "channel": "#name", "ts": "1.000001", "text": "x" }),
            "channel_not_found",
        ),
        (
            "conversations.history",
            json!({ "channel": "#name" }),
            "channel_not_found",
        ),
        (
            "conversations.history",
            json!({ "channel": CHANNEL, "oldest": "x" }),
            "invalid_arguments",
        ),
        (
            "reactions.get",
            json!({ "channel": CHANNEL, "timestamp": "1.000001" }),
            "message_not_found",
        ),
        (
            "usergroups.users.list",
            json!({ "usergroup": "S1" }),
            "no_such_subteam",
        ),
        ("apps.connections.open", json!({}), "not_allowed_token_type"),
        ("chat.meMessage", json!({}), "unknown_method"),
    ] {
        let answer = call(&slack, method, body.clone()).await;
        assert_eq!(
            answer,
            json!({ "ok": false, "error": error }),
            "{method} {body}"
        );
    }
    assert_eq!(slack.messages(), []);
}

#[tokio::test]
async fn keeps_messages_with_their_time_and_their_updates() {
    let slack = start(Knobs::default());
    let before_us = now_us();
    let ts = post(&slack, "first").await;
    let after_us = now_us();
    post(&slack, "second").await;
    let update = json!({ "channel": CHANNEL, "ts": ts, "text": "approved" });
    let answer = call(&slack, "chat.update", update).await;
    assert_eq!(
        (&answer["ts"], &answer["text"]),
        (&json!(ts), &json!("approved"))
    );

    let url = format!("{}/messages", slack.control_url());
    let messages = client::get(&url, &[]).await.unwrap().json();
    assert_eq!(messages.as_array().unwrap().len(), 2);
    assert_eq!(messages[0]["posted"]["text"], "first");
    assert_eq!(messages[0]["updates"][0]["text"], "approved");
    let received_at_us = u128::from(messages[0]["received_at_us"].as_u64().unwrap());
    assert!((before_us..=after_us).contains(&received_at_us));
    assert!(
        messages[0]["updates"][0]["received_at_us"].as_u64()
            > messages[0]["received_at_us"].as_u64()
    );
    assert_eq!(slack.messages()[0].content().text, "approved");
    assert_eq!(slack.messages()[1].posted.text, "second");
}

#[tokio::test]
async fn every_ts_is_new_and_looks_like_slacks() {
    let slack = start(Knobs::default());
    let mut last = String::new();
    for _ in 0..50 {
        let ts = post(&slack, "x").await;
        let (seconds, micros) = ts.split_once('.').unwrap();
        assert_eq!((seconds.len(), micros.len()), (10, 6));
        assert!(ts > last);
        last = ts;
    }
}

#[tokio::test]
async fn a_channel_name_becomes_one_id() {
    let slack = start(Knobs::default());
    let mut ids = Vec::new();
    for name in ["#approvals", "approvals", "#other"] {
        let answer = call(
            &slack,
            "chat.postMessage",
            json!({ "channel": name, "text": "x" }),
        )
        .await;
        ids.push(answer["channel"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
    let history = call(
        &slack,
        "conversations.history",
        json!({ "channel": ids[0] }),
    )
    .await;
    assert_eq!(history["messages"].as_array().unwrap().len(), 2);
    assert_eq!(slack.messages()[0].posted_to, "#approvals");
}

#[tokio::test]
async fn history_is_newest_first_bounded_and_paged() {
    let slack = start(Knobs::default());
    let mut sent = Vec::new();
    for text in ["a", "b", "c", "d"] {
        sent.push(post(&slack, text).await);
    }
    let texts = async |arguments: Value| {
        let mut all = json!({ "channel": CHANNEL });
        all.as_object_mut()
            .unwrap()
            .extend(arguments.as_object().unwrap().clone());
        let history = call(&slack, "conversations.history", all).await;
        let texts: String = history["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["text"].as_str().unwrap())
            .collect();
        (texts, history["response_metadata"]["next_cursor"].clone())
    };
    assert_eq!(texts(json!({})).await.0, "dcba");
    assert_eq!(texts(json!({ "oldest": sent[1] })).await.0, "dc");
    assert_eq!(
        texts(json!({ "oldest": sent[1], "inclusive": true }))
            .await
            .0,
        "dcb"
    );
    assert_eq!(texts(json!({ "latest": sent[1] })).await.0, "a");
    let (page, cursor) = texts(json!({ "limit": 3 })).await;
    assert_eq!(page, "dcb");
    assert_eq!(
        texts(json!({ "limit": 3, "cursor": cursor })).await,
        ("a".to_owned(), Value::Null)
    );

    let reply = json!({ "channel": CHANNEL, "text": "in a thread", "thread_ts": sent[0] });
    call(&slack, "chat.postMessage", reply).await;
    assert_eq!(texts(json!({})).await.0, "dcba", "threads are not in it");
}

#[tokio::test]
async fn metadata_is_shown_only_when_asked_for() {
    let slack = start(Knobs::default());
    let metadata = json!({ "event_type": "approval", "event_payload": { "task_id": "t1" } });
    let message = json!({ "channel": CHANNEL, "text": "x", "metadata": metadata });
    call(&slack, "chat.postMessage", message).await;
    let plain = call(
        &slack,
        "conversations.history",
        json!({ "channel": CHANNEL }),
    )
    .await;
    assert_eq!(plain["messages"][0]["metadata"], Value::Null);
    let asked = json!({ "channel": CHANNEL, "include_all_metadata": true });
    let full = call(&slack, "conversations.history", asked).await;
    assert_eq!(full["messages"][0]["metadata"], metadata);
}
