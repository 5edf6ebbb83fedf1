//! Clients that close their sending side after a request and read on.

use thoughtgate_test::client::RawConnection;
use thoughtgate_test::mock_mcp::Hold;

use crate::support::{ALL, Proxy, borrowed, call, modern_call, pair};

/// Sends a POST of `body` with these headers and closes the sending side.
async fn half_closed(proxy: &Proxy, headers: &[(&str, &str)], body: &str) -> RawConnection {
    let more: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\ncontent-length: {}\r\n{}\r\n{body}",
        body.len(),
        more.concat()
    );
    sent(proxy, &request).await
}

async fn sent(proxy: &Proxy, request: &str) -> RawConnection {
    let mut connection = RawConnection::open(&proxy.url()).await.unwrap();
    connection.send(request).await.unwrap();
    connection.shutdown_write().await.unwrap();
    connection
}

#[tokio::test]
async fn they_get_their_answers() {
    let (upstream, proxy) = pair(ALL);
    upstream.hold(Hold::Answer);
    let (body, headers) = modern_call("echo");
    let mut clients = [
        half_closed(&proxy, &[], &call("echo")).await,
        half_closed(&proxy, &borrowed(&headers), &body).await,
    ];
    upstream.wait_for(|stats| stats.tool_calls == 2).await;
    upstream.release();
    for client in &mut clients {
        let answer = client.read_response().await.unwrap();
        assert!(answer.json()["result"].is_object(), "{}", answer.text());
        let rest = client.read_to_end().await.unwrap();
        assert!(rest.is_empty(), "the connection is closed after the answer");
    }
    assert_eq!(upstream.stats().cancelled, 0);
    for (request, status) in [
        ("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n", 200),
        ("GET /elsewhere HTTP/1.1\r\nhost: localhost\r\n\r\n", 404),
        ("GET /mcp HTTP/1.1\r\nhost: evil.example\r\n\r\n", 403),
    ] {
        let answer = sent(&proxy, request).await.read_response().await.unwrap();
        assert_eq!(answer.status, status, "{request}");
    }
}

#[tokio::test]
async fn they_get_a_stream_to_its_end() {
    let (upstream, proxy) = pair(ALL);
    upstream.turn(|knobs| knobs.sse = true);
    upstream.hold(Hold::Stream);
    let (body, headers) = modern_call("echo");
    let mut client = half_closed(&proxy, &borrowed(&headers), &body).await;
    client.read_until("data: ").await.unwrap();
    upstream.release();
    let rest = client.read_to_end().await.unwrap();
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.contains(r#""id":7"#), "{rest}");
    assert_eq!(upstream.stats().cancelled, 0);
}

#[tokio::test]
async fn one_that_has_announced_its_end_is_waited_for_and_others_are_taken_for_gone() {
    let (upstream, proxy) = pair(ALL);
    upstream.hold(Hold::Answer);
    let mut silent = half_closed(&proxy, &[], &call("echo")).await;
    let mut last = half_closed(&proxy, &[("connection", "close")], &call("echo")).await;
    upstream.wait_for(|stats| stats.tool_calls == 2).await;
    let rest = silent.read_to_end().await.unwrap();
    assert!(rest.is_empty(), "{rest:?}");
    upstream.release();
    let answer = last.read_response().await.unwrap();
    assert!(answer.json()["result"].is_object(), "{}", answer.text());
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_refused() {
    let (upstream, proxy) = pair(ALL);
    let request = "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                   content-length: 100\r\n\r\n{\"jsonrpc\"";
    let answer = sent(&proxy, request).await.read_response().await.unwrap();
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(upstream.stats().requests, 0);
}
