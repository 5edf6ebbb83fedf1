//! Bodies that are too large, too many or unexpected: the client can read the answer, and no other
//! client is affected.

use thoughtgate_test::client::RawConnection;
use thoughtgate_test::mock_mcp;

use crate::support::{ALL, PATIENCE, Proxy, before, call, pair, policy};

fn head(length: &str) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{length}\r\n\r\n"
    )
}

/// Sends all of `request`, then reads the answer and the rest of the connection.
async fn answer(proxy: &Proxy, request: Vec<u8>) -> (u16, Option<String>, bytes::Bytes) {
    let mut connection = RawConnection::open(&proxy.url()).await.unwrap();
    connection
        .send(request)
        .await
        .expect("the whole request is taken");
    let response = connection.read_response().await.expect("an answer");
    let close = response.header("connection").map(ToOwned::to_owned);
    let rest = connection.read_to_end().await.expect("an end, not a reset");
    (response.status, close, rest)
}

#[tokio::test]
async fn a_refused_body_is_answered_readably_and_never_read_as_a_request() {
    let (upstream, proxy) = pair(ALL);
    // The body consists of requests: wherever reading stops, the rest must not be parsed as requests.
    let hidden = call("echo");
    let request = format!(
        "{}{hidden}",
        head(&format!("content-length: {}", hidden.len()))
    );
    let body = request.repeat((8 << 20) / request.len());
    let length = format!("content-length: {}", body.len());
    let chunked = |body: &str| format!("{:x}\r\n{body}\r\n0\r\n\r\n{request}", body.len());
    let json = "content-type: application/json";
    for (status, head, body) in [
        (413, head(&length), body.clone()),
        (413, head("transfer-encoding: chunked"), chunked(&body)),
        (415, head(&length).replace(json, "x-none: x"), body.clone()),
        (
            415,
            head(&length).replace(json, &format!("{json}\r\ncontent-encoding: gzip")),
            body.clone(),
        ),
        (
            403,
            head(&length).replace("localhost", "evil.example"),
            body.clone(),
        ),
        (405, head(&length).replace("POST", "PUT"), body.clone()),
        (400, head(&length).replace("POST", "GET"), body.clone()),
        (404, head(&length).replace("/mcp", "/other"), body.clone()),
        (
            405,
            head(&length).replace("/mcp", "/.well-known/x"),
            body.clone(),
        ),
        (405, head(&length).replace("/mcp", "/health"), body.clone()),
    ] {
        let what = head.clone();
        let (found, close, rest) = answer(&proxy, [head, body].concat().into_bytes()).await;
        assert_eq!(found, status, "{what}");
        assert_eq!(close.as_deref(), Some("close"), "{what}");
        assert!(rest.is_empty(), "{what}: {rest:?}");
    }
    assert_eq!(upstream.stats().requests, 0);
}

#[tokio::test]
async fn a_head_that_is_too_large_or_malformed_is_answered_readably() {
    let (upstream, proxy) = pair(ALL);
    let filler = format!("x-filler: {}\r\n", "a".repeat(1000)).repeat(4000);
    for (status, head) in [
        (
            431,
            head("content-length: 0").replace("host:", &format!("{filler}host:")),
        ),
        (400, format!("NOT HTTP\r\n{filler}")),
    ] {
        let (found, _, _) = answer(&proxy, head.into_bytes()).await;
        assert_eq!(found, status);
    }
    assert_eq!(upstream.stats().requests, 0);
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_is_refused_at_once() {
    let (upstream, proxy) = pair(ALL);
    let mut connection = RawConnection::open(&proxy.url()).await.unwrap();
    let head = head("content-length: 9000000\r\nexpect: 100-continue");
    connection.send(head).await.unwrap();
    assert_eq!(connection.read_response().await.unwrap().status, 413);
    assert!(connection.read_to_end().await.unwrap().is_empty());
    assert_eq!(upstream.stats().requests, 0);
}

#[tokio::test]
async fn slow_bodies_that_take_all_room_harm_no_small_call() {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let (file, url) = (policy(ALL), upstream.url());
    let limits = [
        ("THOUGHTGATE_LIMITS_BODY_BYTES", "100000"),
        ("THOUGHTGATE_LIMITS_LIST_BYTES", "100000"),
        ("THOUGHTGATE_LIMITS_BUFFERED_BYTES", "400000"),
    ];
    let proxy = Proxy::with(&before(&url, file.path()), &limits);
    let spent = || proxy.metric("thoughtgate_budget_refused_total");
    let mut slow = Vec::new();
    let until = tokio::time::Instant::now() + PATIENCE;
    while spent().await == Some(0.0) {
        assert!(
            tokio::time::Instant::now() < until,
            "the budget is never spent"
        );
        let mut connection = RawConnection::open(&proxy.url()).await.unwrap();
        connection
            .send(head("content-length: 60000"))
            .await
            .unwrap();
        connection.send(vec![b' '; 59_999]).await.unwrap();
        slow.push(connection);
    }
    // Large and medium bodies are refused with Retry-After, small ones are not.
    let large = call(&"x".repeat(90_000));
    let response = proxy.post(&large).await;
    assert_eq!(response.status, 503);
    assert_eq!(response.header("retry-after"), Some("1"));
    assert_eq!(response.json()["error"]["code"], 50303);
    for _ in 0..20 {
        assert_eq!(proxy.post(&call("echo")).await.json()["id"], 7);
    }
    drop(slow);
    while proxy.post(&large).await.status == 503 {
        assert!(tokio::time::Instant::now() < until, "no room comes back");
    }
}
