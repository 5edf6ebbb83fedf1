//! The MCP double with knobs: slow, held, broken and replaced answers.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;
use thoughtgate_test::client::{self, Connection};
use thoughtgate_test::mock_mcp::{self, Canned, Config, Fault, Hold, Knobs};

use super::{ask, call, start};

#[tokio::test]
async fn never_answers_before_the_service_time() {
    for service_time_us in [1, 150, 700, 2_500] {
        let mock = start(Knobs {
            service_time_us,
            ..Knobs::default()
        });
        let mut connection = Connection::open(&mock.url()).await.unwrap();
        for _ in 0..20 {
            let sent_at = Instant::now();
            let response = connection
                .send(Method::POST, "/mcp", &[], call("tool_0"))
                .await
                .unwrap();
            let took = sent_at.elapsed();
            assert_eq!(response.status, 200);
            assert!(took >= Duration::from_micros(service_time_us), "{took:?}");
        }
    }
}

#[tokio::test]
async fn serves_many_at_the_same_time() {
    let mock = start(Knobs {
        service_time_us: 200_000,
        ..Knobs::default()
    });
    let (url, body) = (mock.url(), call("tool_0"));
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let (url, body) = (url.clone(), body.clone());
            tokio::spawn(async move { client::post_json(&url, &[], body).await.unwrap().status })
        })
        .collect();
    let sent_at = Instant::now();
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
    let one_after_another = Duration::from_secs(4);
    assert!(sent_at.elapsed() < one_after_another);
}

#[tokio::test]
async fn answers_with_as_many_bytes_as_it_is_told() {
    let mock = start(Knobs {
        response_bytes: 100_000,
        ..Knobs::default()
    });
    let (_, answer) = ask(&mock, &[], call("tool_0")).await;
    assert_eq!(
        answer["result"]["content"][0]["text"]
            .as_str()
            .unwrap()
            .len(),
        100_000
    );
}

#[tokio::test]
async fn knobs_turn_at_run_time_and_bad_ones_are_named() {
    let mock = start(Knobs {
        error_rate: 0.25,
        error_status: 503,
        ..Knobs::default()
    });
    let mut failed = 0;
    for _ in 0..20 {
        let status = ask(&mock, &[], call("tool_0")).await.0;
        assert!(matches!(status, 200 | 503));
        failed += u32::from(status == 503);
    }
    assert_eq!(failed, 5);

    let knobs_url = format!("{}/control/knobs", mock.base_url());
    let changed = client::post_json(&knobs_url, &[], r#"{"error_rate":1.0}"#)
        .await
        .unwrap();
    assert_eq!(changed.json()["error_status"], 503, "the others stay");
    assert_eq!(ask(&mock, &[], call("tool_0")).await.0, 503);
    let turned = mock.knobs();
    assert!(turned.error_rate > 0.25);

    for (bad, named) in [
        (r#"{"service_tme_us":1}"#, "service_tme_us"),
        (r#"{"error_rate":2}"#, "error_rate"),
        ("[]", "object"),
    ] {
        let refused = client::post_json(&knobs_url, &[], bad).await.unwrap();
        assert_eq!(refused.status, 400);
        assert!(refused.text().contains(named), "{}", refused.text());
    }
    assert_eq!(mock.knobs(), turned, "a refused change changes nothing");
}

#[tokio::test]
async fn streams_events_and_the_response_last() {
    let mock = start(Knobs {
        sse: true,
        sse_events: 3,
        sse_gap_ms: 20,
        ..Knobs::default()
    });
    let sent_at = Instant::now();
    let mut stream = client::post_stream(&mock.url(), &[], call("tool_0"))
        .await
        .unwrap();
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    for number in 1..=3 {
        let event = stream.next_event().await.unwrap().unwrap();
        assert_eq!(event.json()["params"]["data"], format!("event {number}"));
    }
    let response = stream.next_event().await.unwrap().unwrap();
    assert_eq!(response.json()["id"], 7);
    assert!(sent_at.elapsed() >= Duration::from_millis(3 * 20));
    assert_eq!(stream.next_event().await.unwrap(), None);
    let stats = mock.wait_for(|stats| stats.open_streams == 0).await;
    assert_eq!(stats.cancelled, 0);
}

#[tokio::test]
async fn spreads_a_slow_body_over_its_time() {
    let mock = start(Knobs {
        slow_body_ms: 60,
        ..Knobs::default()
    });
    let sent_at = Instant::now();
    let mut stream = client::post_stream(&mock.url(), &[], call("tool_0"))
        .await
        .unwrap();
    let first = stream.next_chunk().await.unwrap().unwrap();
    let length: usize = stream.headers["content-length"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(first.len() < length, "the first piece is not the whole");
    let rest = stream.rest().await.unwrap();
    assert!(sent_at.elapsed() >= Duration::from_millis(60));
    assert_eq!(first.len() + rest.len(), length);
    assert_eq!(mock.stats().cancelled, 0);
}

#[tokio::test]
async fn holds_an_answer_until_released() {
    let mock = start(Knobs::default());
    mock.hold(Hold::Answer);
    let url = mock.url();
    let asked = tokio::spawn(async move { client::post_json(&url, &[], call("tool_0")).await });
    mock.wait_for(|stats| stats.tool_calls == 1).await;
    assert!(!asked.is_finished());
    mock.release();
    assert_eq!(asked.await.unwrap().unwrap().status, 200);
}

#[tokio::test]
async fn holds_a_stream_after_its_first_event() {
    let mock = start(Knobs::default());
    mock.hold(Hold::Stream);
    let mut stream = client::post_stream(&mock.url(), &[], call("tool_0"))
        .await
        .unwrap();
    let event = stream.next_event().await.unwrap().unwrap();
    assert_eq!(event.json()["method"], "notifications/message");
    assert_eq!(mock.stats().open_streams, 1);
    let waited = tokio::time::timeout(Duration::from_millis(50), stream.next_event()).await;
    assert!(waited.is_err(), "the rest is held");
    mock.release();
    assert_eq!(stream.next_event().await.unwrap().unwrap().json()["id"], 7);
}

#[tokio::test]
async fn breaks_its_answers_on_demand() {
    let mock = start(Knobs::default());
    let body = call("tool_0");
    let broken = async |fault: Fault| {
        mock.turn(|knobs| knobs.fault = fault);
        client::post_json(&mock.url(), &[], body.clone()).await
    };
    assert!(broken(Fault::CloseBeforeAnswer).await.is_err());
    assert!(broken(Fault::CloseMidAnswer).await.is_err());
    let answer = broken(Fault::WrongId).await.unwrap().json();
    assert_ne!(answer["id"], 7);
    let answer = broken(Fault::NoResult).await.unwrap().json();
    assert_eq!(answer, json!({ "jsonrpc": "2.0", "id": 7 }));
    assert_eq!(broken(Fault::None).await.unwrap().json()["id"], 7);
    assert_eq!(
        mock.stats().cancelled,
        0,
        "the double broke off, not the client"
    );
}

#[tokio::test]
async fn sends_half_of_what_it_announced_before_it_closes() {
    let mock = start(Knobs {
        fault: Fault::CloseMidAnswer,
        response_bytes: 1000,
        ..Knobs::default()
    });
    let mut stream = client::post_stream(&mock.url(), &[], call("tool_0"))
        .await
        .unwrap();
    assert_eq!(stream.status, 200);
    assert!(!stream.next_chunk().await.unwrap().unwrap().is_empty());
    assert!(stream.rest().await.is_err());
}

#[tokio::test]
async fn answers_what_a_test_puts_into_its_mouth() {
    let mock = start(Knobs::default());
    mock.turn(|knobs| {
        knobs.results.insert(
            "tools/list".to_owned(),
            json!({ "tools": [], "nextCursor": "c" }),
        );
    });
    let (_, answer) = ask(
        &mock,
        &[],
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
    )
    .await;
    assert_eq!(
        answer,
        json!({ "jsonrpc": "2.0", "id": 1, "result": { "tools": [], "nextCursor": "c" } })
    );

    mock.turn(|knobs| {
        knobs.canned = Some(Canned {
            status: 401,
            headers: vec![("WWW-Authenticate".to_owned(), "Bearer".to_owned())],
            body: "who are you".to_owned(),
        });
    });
    let response = client::post_json(&mock.url(), &[], call("tool_0"))
        .await
        .unwrap();
    assert_eq!(
        (response.status, response.text().as_str()),
        (401, "who are you")
    );
    assert_eq!(response.header("www-authenticate"), Some("Bearer"));
}

#[tokio::test]
async fn shutting_down_cuts_connections_and_frees_the_port() {
    let mock = start(Knobs::default());
    mock.hold(Hold::Answer);
    let (url, address) = (mock.url(), mock.address());
    let asked = tokio::spawn(async move { client::post_json(&url, &[], call("tool_0")).await });
    mock.wait_for(|stats| stats.tool_calls == 1).await;
    mock.shutdown().await;
    assert!(asked.await.unwrap().is_err());
    let again = mock_mcp::spawn(Config {
        listen: address,
        ..Config::default()
    });
    assert_eq!(again.unwrap().address(), address);
}
