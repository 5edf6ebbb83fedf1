//! The Slack double: its answers and refusals, its failures on demand, its decisions.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::Method;
use serde_json::{Value, json};
use thoughtgate_test::client::{self, Response};
use thoughtgate_test::mock_slack::{self, Config, Decision, Knobs, MockSlack};

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

#[tokio::test]
async fn reactions_come_from_control_code_and_the_bot_itself() {
    let slack = start(Knobs::default());
    let ts = post(&slack, "x").await;
    let seed = json!({ "channel": CHANNEL, "timestamp": ts, "name": "thumbsup" });
    assert_eq!(
        call(&slack, "reactions.add", seed.clone()).await["ok"],
        true
    );
    assert_eq!(
        call(&slack, "reactions.add", seed).await["error"],
        "already_reacted"
    );
    let url = format!("{}/react", slack.control_url());
    let react = json!({ "ts": ts, "user": "U1", "name": ":thumbsup:" });
    let reacted = client::post_json(&url, &[], react.to_string())
        .await
        .unwrap();
    assert_eq!(reacted.status, 200);
    slack.react(&ts, "U2", "thumbsdown");

    let wanted = json!([
        { "name": "thumbsup", "users": ["U0BOT", "U1"], "count": 2 },
        { "name": "thumbsdown", "users": ["U2"], "count": 1 },
    ]);
    let item = json!({ "channel": CHANNEL, "timestamp": ts });
    let answer = call(&slack, "reactions.get", item).await;
    assert_eq!(answer["message"]["reactions"], wanted);
    let history = call(
        &slack,
        "conversations.history",
        json!({ "channel": CHANNEL }),
    )
    .await;
    assert_eq!(history["messages"][0]["reactions"], wanted);

    slack.unreact(&ts, "U2", "thumbsdown");
    assert_eq!(slack.messages()[0].reactions.len(), 1);
    let unknown = json!({ "ts": "1.000001", "user": "U1", "name": "x" }).to_string();
    assert_eq!(
        client::post_json(&url, &[], unknown).await.unwrap().status,
        404
    );
    let nonsense = client::post_json(&url, &[], r#"{"ts":"1"}"#).await.unwrap();
    assert_eq!(nonsense.status, 400);
}

#[tokio::test]
async fn a_decision_comes_by_itself_but_not_early() {
    let slack = start(Knobs {
        decision: Some(Decision {
            after_ms: 80,
            user: "U7".to_owned(),
            reaction: "white_check_mark".to_owned(),
        }),
        ..Knobs::default()
    });
    let posted_at = Instant::now();
    let ts = post(&slack, "x").await;
    let item = json!({ "channel": CHANNEL, "timestamp": ts });
    loop {
        let answer = call(&slack, "reactions.get", item.clone()).await;
        let reactions = &answer["message"]["reactions"];
        if *reactions != Value::Null {
            assert!(posted_at.elapsed() >= Duration::from_millis(80));
            assert_eq!(reactions[0]["users"], json!(["U7"]));
            break;
        }
        assert!(posted_at.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    slack.turn(|knobs| knobs.decision = None);
    post(&slack, "y").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(slack.messages()[1].reactions, []);
}

#[tokio::test]
async fn fails_as_often_as_told_without_effect() {
    let slack = start(Knobs {
        next_too_many_requests: 1,
        retry_after_s: 7,
        next_ratelimited: 1,
        next_server_errors: 1,
        next_refused: 1,
        refusal: "channel_is_archived".to_owned(),
        ..Knobs::default()
    });
    let message = json!({ "channel": CHANNEL, "text": "x" });
    let mut seen = Vec::new();
    for _ in 0..5 {
        let response = try_call(&slack, "chat.postMessage", &message)
            .await
            .unwrap();
        let retry_after = response.header("retry-after").map(ToOwned::to_owned);
        seen.push((
            response.status,
            response.json()["error"].clone(),
            retry_after,
        ));
    }
    assert_eq!(
        seen,
        [
            (429, json!("ratelimited"), Some("7".to_owned())),
            (200, json!("ratelimited"), None),
            (503, json!("service_unavailable"), None),
            (200, json!("channel_is_archived"), None),
            (200, Value::Null, None),
        ]
    );
    assert_eq!(slack.messages().len(), 1);
    assert_eq!(slack.calls("chat.postMessage"), 5);
}

#[tokio::test]
async fn a_lost_answer_leaves_the_message_there() {
    let slack = start(Knobs {
        next_lost: 1,
        ..Knobs::default()
    });
    let message = json!({ "channel": CHANNEL, "text": "x" });
    assert!(
        try_call(&slack, "chat.postMessage", &message)
            .await
            .is_err()
    );
    assert_eq!(slack.messages().len(), 1);
    post(&slack, "again").await;
    assert_eq!(slack.messages().len(), 2);
}

#[tokio::test]
async fn failures_can_be_limited_to_one_method() {
    let slack = start(Knobs {
        next_server_errors: 1,
        only_method: Some("chat.update".to_owned()),
        ..Knobs::default()
    });
    let ts = post(&slack, "x").await;
    let update = json!({ "channel": CHANNEL, "ts": ts, "text": "y" });
    assert_eq!(
        try_call(&slack, "chat.update", &update)
            .await
            .unwrap()
            .status,
        503
    );
    assert_eq!(
        try_call(&slack, "chat.update", &update)
            .await
            .unwrap()
            .status,
        200
    );
}

#[tokio::test]
async fn latency_delays_the_answer_but_not_the_effect() {
    let slack = start(Knobs {
        latency_ms: 150,
        ..Knobs::default()
    });
    let called_at = Instant::now();
    let (_, messages) = tokio::join!(post(&slack, "x"), slack.wait_for_messages(1));
    assert!(called_at.elapsed() >= Duration::from_millis(150));
    assert_eq!(messages[0].posted.text, "x");
}

#[tokio::test]
async fn knobs_turn_and_counts_reset_through_control() {
    let slack = start(Knobs::default());
    let knobs_url = format!("{}/knobs", slack.control_url());
    let turned = client::post_json(
        &knobs_url,
        &[],
        r#"{"next_refused":1,"usergroups":{"S1":["U1","U2"]}}"#,
    );
    assert_eq!(turned.await.unwrap().json()["next_refused"], 1);
    assert_eq!(
        call(&slack, "api.test", json!({})).await["error"],
        "internal_error"
    );
    let members = call(
        &slack,
        "usergroups.users.list",
        json!({ "usergroup": "S1" }),
    )
    .await;
    assert_eq!(members["users"], json!(["U1", "U2"]));
    for bad in [r#"{"nxt_refused":1}"#, r#"{"server_error_status":200}"#] {
        assert_eq!(
            client::post_json(&knobs_url, &[], bad)
                .await
                .unwrap()
                .status,
            400
        );
    }

    post(&slack, "x").await;
    let stats_url = format!("{}/stats", slack.control_url());
    let stats = client::get(&stats_url, &[]).await.unwrap().json();
    assert_eq!(stats["calls"]["chat.postMessage"], 1);
    assert_eq!(
        (&stats["total_calls"], &stats["messages"]),
        (&json!(3), &json!(1))
    );
    let reset_url = format!("{}/reset", slack.control_url());
    client::request(Method::POST, &reset_url, &[], "")
        .await
        .unwrap();
    assert_eq!((slack.stats().total_calls, slack.messages().len()), (0, 0));
    assert_eq!(slack.knobs().usergroups.len(), 1, "knobs stay");
}
