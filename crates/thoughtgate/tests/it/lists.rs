//! Lists of tools in every form that an upstream may send: filtered or refused, never passed on unread.

use thoughtgate_test::client;
use thoughtgate_test::mock_mcp::Canned;

use crate::support::{Proxy, before, pair, policy, raw_upstream};

const SOME: &str =
    r#"permit (principal, action == Action::"tools/call", resource == Tool::"safe");"#;
const LIST: &str =
    r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"safe"},{"name":"danger"}]}}"#;
const ASK: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

fn answer(status: u16, media_type: &str, body: &str) -> Canned {
    Canned {
        status,
        headers: vec![("content-type".to_owned(), media_type.to_owned())],
        body: body.to_owned(),
    }
}

#[tokio::test]
async fn a_list_is_cut_in_an_answer_of_any_status() {
    let (upstream, proxy) = pair(SOME);
    let batch = format!("[{LIST}]");
    let marked = format!("\u{feff}{LIST}");
    for (status, media_type, body) in [
        (200, "application/json", LIST),
        (203, "application/json", LIST),
        (206, "application/json", LIST),
        (400, "application/json", LIST),
        (404, "text/plain", LIST),
        (500, "application/json", LIST),
        (200, "application/json", &batch),
        (200, "application/json", &marked),
        (202, "application/json", LIST),
        (200, "text/event-stream", &format!("data: {LIST}\r\r")),
        (400, "text/event-stream", &format!("data: {LIST}\n\n")),
        (200, "text/event-stream", &format!("data: {LIST}")),
    ] {
        upstream.turn(|knobs| knobs.canned = Some(answer(status, media_type, body)));
        let response = proxy.post(ASK).await;
        let text = response.text();
        assert_eq!(response.status, status, "{body}: {text}");
        assert!(text.contains("safe") && !text.contains("danger"), "{text}");
    }
}

#[tokio::test]
async fn a_list_that_others_may_read_differently_is_refused() {
    let (upstream, proxy) = pair(SOME);
    let upper = LIST.replace("tools", "Tools");
    for (status, media_type, body) in [
        (200, "application/json", upper.as_str()),
        (400, "application/json", &upper),
        (400, "text/html", &upper),
        (200, "text/html", LIST),
        (200, "application/json", &format!("{LIST} {LIST}")),
        (200, "text/event-stream", &format!("data: {upper}\n\n")),
        (200, "text/event-stream", &format!("Data: {LIST}\n\n")),
    ] {
        upstream.turn(|knobs| knobs.canned = Some(answer(status, media_type, body)));
        let response = proxy.post(ASK).await;
        let text = response.text();
        assert!(!text.contains("danger"), "{text}");
        let (error, expected) = match (text.strip_prefix("data: "), status) {
            (Some(event), _) => (serde_json::from_str(event).unwrap(), 200),
            (None, 200) => (response.json(), 502),
            (None, status) => (response.json(), status),
        };
        assert_eq!(response.status, expected, "{text}");
        assert_eq!(error["id"], 1, "{text}");
        assert_eq!(error["error"]["code"], 50202, "{text}");
    }
}

#[tokio::test]
async fn an_answer_without_a_list_passes_as_it_came() {
    let (upstream, proxy) = pair(SOME);
    for (status, media_type, body) in [
        (401, "text/html", "<html>{log in}</html>"),
        (404, "text/plain", ""),
        (
            400,
            "application/json",
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"x"}}"#,
        ),
        (
            200,
            "text/event-stream",
            "event: ping\ndata: ping\n\n: c\n\nid: 4\ndata\n\n",
        ),
    ] {
        upstream.turn(|knobs| knobs.canned = Some(answer(status, media_type, body)));
        let response = proxy.post(ASK).await;
        assert_eq!((response.status, response.text().as_str()), (status, body));
    }
}

#[tokio::test]
async fn a_list_in_a_stream_of_subscriptions_is_cut() {
    let (upstream, proxy) = pair(&format!(
        "{SOME} permit (principal, action, resource) unless {{ action == Action::\"tools/call\" }};"
    ));
    let event = format!("data: {LIST}\n\n");
    upstream.turn(|knobs| knobs.canned = Some(answer(200, "text/event-stream", &event)));
    let body = r#"{"jsonrpc":"2.0","id":7,"method":"subscriptions/listen","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    let headers = [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "subscriptions/listen"),
    ];
    let response = client::post_json(&proxy.url(), &headers, body)
        .await
        .unwrap();
    let text = response.text();
    assert!(text.contains("safe") && !text.contains("danger"), "{text}");
}

#[tokio::test]
async fn whoever_asks_for_a_list_asks_for_no_encoding() {
    let (upstream, proxy) = pair(SOME);
    let headers = [("accept-encoding", "gzip")];
    client::post_json(&proxy.url(), &headers, ASK)
        .await
        .unwrap();
    assert_eq!(
        upstream.requests()[0].header("accept-encoding"),
        Some("identity")
    );
    let call = crate::support::call("safe");
    client::post_json(&proxy.url(), &headers, call)
        .await
        .unwrap();
    assert_eq!(
        upstream.requests()[1].header("accept-encoding"),
        Some("gzip")
    );
}

/// A proxy in front of an upstream that begins an answer and does not end it.
async fn before_endless(media_type: &str, start: &str, settings: &[(&str, &str)]) -> Proxy {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ncontent-length: 9999999");
    let upstream = raw_upstream(format!("{head}\r\n\r\n{start}"), true).await;
    let file = policy(SOME);
    let proxy = Proxy::with(&before(&upstream, file.path()), settings);
    drop(file);
    proxy
}

#[tokio::test]
async fn a_list_that_does_not_end_is_refused_in_time() {
    for (media_type, start) in [
        ("application/json", "{"),
        ("text/event-stream", "data: 1\n\ndata: "),
    ] {
        let settings = [("THOUGHTGATE_TIMEOUTS_RESPONSE", "300ms")];
        let proxy = before_endless(media_type, start, &settings).await;
        let text = proxy.post(ASK).await.text();
        assert!(text.contains("timeouts.response"), "{text}");
        assert_eq!(
            text.contains("data: 1\n\n"),
            media_type != "application/json",
            "{text}"
        );
    }
}

#[tokio::test]
async fn lists_that_are_gathered_count_against_the_budget() {
    for media_type in ["application/json", "text/event-stream"] {
        let start = "x".repeat(250_000);
        let settings = [
            ("THOUGHTGATE_LIMITS_BODY_BYTES", "1000"),
            ("THOUGHTGATE_LIMITS_LIST_BYTES", "300000"),
            ("THOUGHTGATE_LIMITS_BUFFERED_BYTES", "600000"),
        ];
        let proxy = before_endless(media_type, &start, &settings).await;
        // The budget has room for one of them, which does not end; the other one is refused.
        let refused = tokio::select! {
            refused = proxy.post(ASK) => refused,
            refused = proxy.post(ASK) => refused,
        };
        let text = refused.text();
        assert!(text.contains("limits.buffered_bytes"), "{text}");
        let json = media_type == "application/json";
        assert_eq!(refused.status, if json { 503 } else { 200 });
    }
}
