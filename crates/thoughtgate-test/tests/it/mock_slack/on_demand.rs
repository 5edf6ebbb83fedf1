//! The Slack double with knobs: failures, latency, automatic reactions.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use thoughtgate_test::client;
use thoughtgate_test::mock_slack::{Decision, Knobs};

use super::{CHANNEL, call, post, start, try_call};

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
    slack.react(&ts, "U8", "eyes");
    loop {
        let answer = call(&slack, "reactions.get", item.clone()).await;
        let reactions = &answer["message"]["reactions"];
        assert_eq!(
            reactions[0]["name"], "eyes",
            "the earlier reaction comes first"
        );
        if reactions[1] != Value::Null {
            assert!(posted_at.elapsed() >= Duration::from_millis(80));
            assert_eq!(reactions[1]["users"], json!(["U7"]));
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
