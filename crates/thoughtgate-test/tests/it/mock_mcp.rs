//! The MCP double: its answers, its counters and kept requests, and how it notices disconnects.

use http::Method;
use serde_json::{Value, json};
use thoughtgate_test::client::{self, RawConnection};
use thoughtgate_test::mock_mcp::{self, Config, Hold, Knobs, MockMcp};

mod on_demand;

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
async fn a_probe_is_answered_and_counted_apart() {
    let mock = start(Knobs::default());
    let agent = [("user-agent", "thoughtgate-probe/0")];
    let stream = client::get(&mock.url(), &agent).await.unwrap();
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    let ping = r#"{"jsonrpc":"2.0","id":4,"method":"ping"}"#;
    assert_eq!(ask(&mock, &agent, ping).await.0, 200);
    let elsewhere = format!("{}/x", mock.base_url());
    assert_eq!(client::get(&elsewhere, &agent).await.unwrap().status, 404);
    let stats = mock.stats();
    assert_eq!((stats.probes, stats.requests), (2, 1));
    assert_eq!((stats.open_streams, mock.requests().len()), (0, 1));
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
    assert_eq!(stats["tool_calls"], 1, "a notification is not a call");
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
