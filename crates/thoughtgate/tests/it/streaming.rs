//! Streams: frames are passed on as they arrive, and clients that disconnect.

use thoughtgate_test::client;
use thoughtgate_test::mock_mcp::Hold;

use crate::support::{ALL, Proxy, borrowed, call, modern_call, pair, policy, raw_upstream};

#[tokio::test]
async fn the_first_event_arrives_before_the_upstream_ends() {
    let (upstream, proxy) = pair(ALL);
    upstream.turn(|knobs| knobs.sse = true);
    upstream.hold(Hold::Stream);
    let mut stream = client::post_stream(&proxy.url(), &[], call("echo"))
        .await
        .unwrap();
    stream
        .next_data()
        .await
        .expect("the first event, while the answer is held");
    assert_eq!(upstream.stats().open_streams, 1);
    upstream.release();
    loop {
        let event = stream.next_data().await.expect("the response");
        if event.json()["id"] == 7 {
            break;
        }
    }
}

#[tokio::test]
async fn a_get_stream_stays_open_and_passes_events() {
    let (upstream, proxy) = pair(ALL);
    let mut stream = client::get_stream(&proxy.url(), &[("last-event-id", "41")])
        .await
        .unwrap();
    upstream.wait_for(|stats| stats.open_streams == 1).await;
    assert_eq!(upstream.requests()[0].header("last-event-id"), Some("41"));
    upstream.push(r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"hi"}}"#);
    assert_eq!(
        stream.next_data().await.unwrap().json()["params"]["data"],
        "hi"
    );
    drop(stream);
    upstream.wait_for(|stats| stats.open_streams == 0).await;
}

#[tokio::test]
async fn a_tool_list_that_is_replayed_on_a_get_stream_is_cut() {
    let (upstream, proxy) =
        pair(r#"permit (principal, action == Action::"tools/call", resource == Tool::"a");"#);
    let mut stream = client::get_stream(&proxy.url(), &[]).await.unwrap();
    upstream.wait_for(|stats| stats.open_streams == 1).await;
    upstream.push(r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"},{"name":"b"}]}}"#);
    let event = stream.next_data().await.unwrap().json();
    assert_eq!(event["result"]["tools"], serde_json::json!([{"name": "a"}]));
}

#[tokio::test]
async fn a_modern_client_that_goes_away_cancels() {
    let (upstream, proxy) = pair(ALL);
    upstream.turn(|knobs| knobs.sse = true);
    upstream.hold(Hold::Stream);
    let (body, headers) = modern_call("echo");
    let mut stream = client::post_stream(&proxy.url(), &borrowed(&headers), body.clone())
        .await
        .unwrap();
    stream.next_data().await.unwrap();
    drop(stream);
    upstream.wait_for(|stats| stats.cancelled == 1).await;
    // Also before the first byte of the answer.
    upstream.turn(|knobs| knobs.sse = false);
    upstream.hold(Hold::Answer);
    let url = proxy.url();
    let asking =
        tokio::spawn(async move { client::post_json(&url, &borrowed(&headers), body).await });
    upstream.wait_for(|stats| stats.requests == 2).await;
    asking.abort();
    upstream.wait_for(|stats| stats.cancelled == 2).await;
}

#[tokio::test]
async fn a_legacy_client_that_goes_away_cancels_nothing() {
    let (upstream, proxy) = pair(ALL);
    upstream.turn(|knobs| knobs.sse = true);
    upstream.hold(Hold::Stream);
    let mut stream = client::post_stream(&proxy.url(), &[], call("echo"))
        .await
        .unwrap();
    stream.next_data().await.unwrap();
    drop(stream);
    upstream.turn(|knobs| knobs.sse = false);
    upstream.hold(Hold::Answer);
    let url = proxy.url();
    let asking = tokio::spawn(async move { client::post_json(&url, &[], call("echo")).await });
    upstream.wait_for(|stats| stats.requests == 2).await;
    asking.abort();
    let _ = asking.await;
    // The proxy has noticed both disconnects when the only open connection is the one that reads this
    // metric.
    while proxy.metric("thoughtgate_connections").await != Some(1.0) {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(upstream.stats().cancelled, 0);
    upstream.release();
    upstream.wait_for(|stats| stats.open_streams == 0).await;
    assert_eq!(upstream.stats().cancelled, 0);
}

#[tokio::test]
async fn a_slow_body_is_passed_on_while_it_grows() {
    let (upstream, proxy) = pair(ALL);
    upstream.turn(|knobs| {
        knobs.slow_body_ms = 300;
        knobs.response_bytes = 10_000;
    });
    let mut stream = client::post_stream(&proxy.url(), &[], call("tool_0"))
        .await
        .unwrap();
    let first = stream.next_chunk().await.unwrap().unwrap();
    assert!(first.len() < 10_000, "the first piece is the whole body");
    let rest = stream.rest().await.unwrap();
    assert!(first.len() + rest.len() > 10_000);
}

#[tokio::test]
async fn an_upstream_that_breaks_off_is_not_a_whole_answer() {
    use thoughtgate_test::mock_mcp::Fault;
    let (upstream, proxy) = pair(ALL);
    upstream.turn(|knobs| knobs.fault = Fault::CloseMidAnswer);
    assert!(
        client::post_json(&proxy.url(), &[], call("echo"))
            .await
            .is_err()
    );
    upstream.turn(|knobs| knobs.fault = Fault::CloseBeforeAnswer);
    let response = proxy.post(&call("echo")).await;
    assert_eq!(response.status, 502);
    // A call is never sent twice.
    assert_eq!(upstream.stats().tool_calls, 2);
}

#[tokio::test]
async fn an_answer_whose_end_is_not_clear_arrives_whole_or_not_at_all() {
    const BODY: &str = r#"{"jsonrpc":"2.0","id":7,"result":{}}"#;
    let chunked = format!("{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len());
    let length = BODY.len();
    for (head, body, is_whole) in [
        (
            "200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked".to_owned(),
            &chunked[..],
            true,
        ),
        (
            "200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 9999".to_owned(),
            &chunked,
            true,
        ),
        (
            format!("200 OK\r\ncontent-length: {length}\r\ncontent-length: {length}"),
            BODY,
            true,
        ),
        ("200 OK".to_owned(), BODY, true),
        (
            format!("200 OK\r\ncontent-length: {length}\r\ncontent-length: 5"),
            BODY,
            false,
        ),
        (
            "200 OK\r\ntransfer-encoding: gzip, chunked".to_owned(),
            &chunked,
            false,
        ),
        ("200 OK\r\nx: a\r\n b".to_owned(), BODY, false),
        (
            "101 Switching Protocols\r\nupgrade: x".to_owned(),
            BODY,
            false,
        ),
        ("100 Continue\r\n\r\nHTTP/1.1 200 OK".to_owned(), BODY, true),
    ] {
        let head = format!("HTTP/1.1 {head}\r\ncontent-type: application/json\r\n\r\n");
        let upstream = raw_upstream(format!("{head}{body}"), false).await;
        let proxy = Proxy::start(&upstream, policy(ALL).path());
        let response = proxy.post(&call("echo")).await;
        if is_whole {
            assert_eq!(
                (response.status, response.text().as_str()),
                (200, BODY),
                "{head}"
            );
        } else {
            assert_eq!(response.status, 502, "{head}");
            assert!(response.json()["error"]["message"].is_string(), "{head}");
        }
    }
    // A body that breaks off is an error, not a normal end.
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let upstream = raw_upstream(format!("{head}5\r\n{{\"a\":"), false).await;
    let proxy = Proxy::start(&upstream, policy(ALL).path());
    let broken = client::post_json(&proxy.url(), &[], call("echo")).await;
    assert!(broken.is_err());
}
