//! The MCP double: what it answers, what it counts and keeps, how it misbehaves on demand.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use thoughtgate_test::client::{self, Connection, RawConnection};
use thoughtgate_test::mock_mcp::{self, Canned, Config, Fault, Hold, Knobs, MockMcp};

const MODERN: [(&str, &str); 1] = [("MCP-Protocol-Version", "2026-07-28")];

fn start(knobs: Knobs) -> MockMcp {
    mock_mcp::spawn(Config {
        knobs,
        ..Config::default()
    })
    .expect("the double starts")
}

fn call(tool: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": tool, "arguments": { "message": "hi" } } })
        .to_string()
}

async fn ask(mock: &MockMcp, headers: &[(&str, &str)], body: impl Into<String>) -> (u16, Value) {
    let body: String = body.into();
    let response = client::post_json(&mock.url(), headers, body).await.unwrap();
    let json = if response.body.is_empty() {
        Value::Null
    } else {
        response.json()
    };
    (response.status, json)
}

#[tokio::test]
async fn echoes_the_id_wherever_it_stands_and_however_it_is_written() {
    let mock = start(Knobs::default());
    for id in [
        r#""text \" with } {""#,
        "0",
        "-12345678901234567890",
        "1.50",
    ] {
        for body in [
            format!(r#"{{"id":{id},"jsonrpc":"2.0","method":"ping"}}"#),
            format!(
                r#"{{"jsonrpc":"2.0","method":"ping","params":{{"id":99,"x":"\"id\":98"}}, "id" : {id} }}"#
            ),
        ] {
            let response = client::post_json(&mock.url(), &[], body).await.unwrap();
            let wanted = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#);
            assert_eq!(response.text(), wanted);
        }
    }
}

#[tokio::test]
async fn speaks_the_session_based_protocol() {
    let mock = start(Knobs::default());
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
    let response = client::post_json(&mock.url(), &[], initialize)
        .await
        .unwrap();
    assert_eq!(response.json()["result"]["protocolVersion"], "2025-11-25");
    let session = response.header("mcp-session-id").unwrap().to_owned();

    let again = client::post_json(&mock.url(), &[], initialize)
        .await
        .unwrap();
    assert_ne!(again.header("mcp-session-id"), Some(session.as_str()));

    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert_eq!(ask(&mock, &[], initialized).await, (202, Value::Null));
    let client_response = r#"{"jsonrpc":"2.0","id":3,"result":{}}"#;
    assert_eq!(ask(&mock, &[], client_response).await, (202, Value::Null));

    let (status, list) = ask(
        &mock,
        &[],
        r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#,
    )
    .await;
    assert_eq!(status, 200);
    let names: Vec<&str> = list["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["tool_0", "tool_1", "echo"]);
    assert_eq!(list["result"]["resultType"], Value::Null);

    let (_, echoed) = ask(&mock, &[], call("echo")).await;
    assert_eq!(echoed["result"]["content"][0]["text"], "hi");

    let deleted = [("Mcp-Session-Id", session.as_str())];
    let response = client::request(Method::DELETE, &mock.url(), &deleted, "")
        .await
        .unwrap();
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn speaks_the_stateless_protocol_by_header_or_by_meta() {
    let mock = start(Knobs::default());
    let discover = json!({ "jsonrpc": "2.0", "id": "d", "method": "server/discover", "params": {
        "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } } });
    let (status, answer) = ask(&mock, &[], discover.to_string()).await;
    assert_eq!(status, 200);
    assert_eq!(answer["result"]["supportedVersions"][0], "2026-07-28");

    let (_, answer) = ask(&mock, &MODERN, call("tool_0")).await;
    assert_eq!(answer["result"]["resultType"], "complete");
    let (_, answer) = ask(&mock, &MODERN, call("echo")).await;
    assert_eq!(answer["result"]["resultType"], "complete");
    let (_, answer) = ask(
        &mock,
        &MODERN,
        r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#,
    )
    .await;
    assert_eq!(answer["result"]["cacheScope"], "public");

    let ping = r#"{"jsonrpc":"2.0","id":4,"method":"ping"}"#;
    let (status, answer) = ask(&mock, &MODERN, ping).await;
    assert_eq!((status, &answer["error"]["code"]), (404, &json!(-32601)));
    assert_eq!(client::get(&mock.url(), &MODERN).await.unwrap().status, 405);
}

#[tokio::test]
async fn refuses_what_it_does_not_know() {
    let mock = start(Knobs::default());
    let (status, answer) = ask(&mock, &[], r#"{"jsonrpc":"2.0","id":5,"method":"x/y"}"#).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&answer["id"], &answer["error"]["code"]),
        (&json!(5), &json!(-32601))
    );
    assert_eq!(ask(&mock, &[], "no json").await.0, 400);
    let elsewhere = format!("{}/other", mock.base_url());
    assert_eq!(client::get(&elsewhere, &[]).await.unwrap().status, 404);
    let put = client::request(Method::PUT, &mock.url(), &[], "")
        .await
        .unwrap();
    assert_eq!(put.status, 405);
}

#[tokio::test]
async fn counts_and_keeps_what_it_receives_but_not_what_controls_it() {
    let mock = start(Knobs::default());
    assert_eq!(mock.stats().requests, 0);
    ask(&mock, &[("X-Twice", "a"), ("X-Twice", "b")], call("tool_1")).await;
    ask(&mock, &[], r#"{"jsonrpc":"2.0","method":"tools/call"}"#).await;
    client::get(&format!("{}/elsewhere?q=1", mock.base_url()), &[])
        .await
        .unwrap();

    let stats_url = format!("{}/control/stats", mock.base_url());
    let stats = client::get(&stats_url, &[]).await.unwrap().json();
    assert_eq!(stats["requests"], 3);
    assert_eq!(stats["tool_calls"], 1, "a notification is no call");
    assert_eq!(stats["connections"], 4);
    assert_eq!(stats["cancelled"], 0);
    assert_eq!(stats["last_request"]["path"], "/elsewhere?q=1");

    let requests = mock.requests();
    let values: Vec<_> = requests[0].head.headers.get_all("x-twice").iter().collect();
    assert_eq!(values, ["a", "b"]);
    assert_eq!(requests[0].header("content-type"), Some("application/json"));
    assert_eq!(requests[0].json()["params"]["name"], "tool_1");

    let reset_url = format!("{}/control/reset", mock.base_url());
    client::request(Method::POST, &reset_url, &[], "")
        .await
        .unwrap();
    let stats = mock.stats();
    assert_eq!(
        (stats.requests, stats.tool_calls, stats.last_request),
        (0, 0, None)
    );
}

#[tokio::test]
async fn keeps_only_the_newest_requests() {
    let mock = mock_mcp::spawn(Config {
        kept_requests: 2,
        ..Config::default()
    })
    .unwrap();
    for tool in ["a", "b", "c"] {
        ask(&mock, &[], call(tool)).await;
    }
    let names: Vec<Value> = mock
        .requests()
        .iter()
        .map(|request| request.json()["params"]["name"].clone())
        .collect();
    assert_eq!(names, ["b", "c"]);
    assert_eq!(mock.stats().requests, 3);
}

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
async fn sees_a_client_that_leaves_before_the_answer() {
    for hold in [Hold::Answer, Hold::Stream] {
        let mock = start(Knobs::default());
        mock.hold(hold);
        let mut connection = RawConnection::open(&mock.url()).await.unwrap();
        let body = call("tool_0");
        let request = format!(
            "POST /mcp HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.send(request).await.unwrap();
        mock.wait_for(|stats| stats.tool_calls == 1).await;
        if hold == Hold::Stream {
            connection.read_until("\n\n").await.unwrap();
        }
        assert_eq!(mock.stats().cancelled, 0);
        drop(connection);
        let stats = mock.wait_for(|stats| stats.cancelled == 1).await;
        assert_eq!(stats.requests, 1);
        mock.wait_for(|stats| stats.open_streams == 0).await;
    }
}

#[tokio::test]
async fn sees_a_client_that_leaves_within_its_request() {
    let mock = start(Knobs::default());
    let mut connection = RawConnection::open(&mock.url()).await.unwrap();
    let half = "POST /mcp HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{\"jsonrpc\"";
    connection.send(half).await.unwrap();
    mock.wait_for(|stats| stats.requests == 1).await;
    drop(connection);
    let stats = mock.wait_for(|stats| stats.cancelled == 1).await;
    assert_eq!(stats.tool_calls, 0);
}

#[tokio::test]
async fn keeps_a_get_stream_open_and_pushes_on_it() {
    let mock = start(Knobs {
        comment_interval_ms: 10,
        ..Knobs::default()
    });
    let mut stream = client::get_stream(&mock.url(), &[]).await.unwrap();
    let comments: Vec<String> = [stream.next_event().await, stream.next_event().await]
        .into_iter()
        .flat_map(|event| event.unwrap().unwrap().comments)
        .collect();
    assert_eq!(comments, ["open", "keep-alive"]);
    mock.push(r#"{"jsonrpc":"2.0","id":1,"method":"elicitation/create"}"#);
    assert_eq!(
        stream.next_data().await.unwrap().json()["method"],
        "elicitation/create"
    );
    assert_eq!(mock.stats().open_streams, 1);
    drop(stream);
    let stats = mock.wait_for(|stats| stats.open_streams == 0).await;
    assert_eq!(
        stats.cancelled, 0,
        "an endless stream cannot be left too early"
    );
}

#[tokio::test]
async fn acknowledges_a_subscription_and_keeps_it_open() {
    let mock = start(Knobs::default());
    let listen = r#"{"jsonrpc":"2.0","id":"sub","method":"subscriptions/listen","params":{}}"#;
    let mut stream = client::post_stream(&mock.url(), &MODERN, listen)
        .await
        .unwrap();
    let acknowledged = stream.next_data().await.unwrap().json();
    assert_eq!(
        acknowledged["method"],
        "notifications/subscriptions/acknowledged"
    );
    assert_eq!(mock.stats().open_streams, 1);
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
