//! The client helpers: they return the bytes on the wire, and can send invalid ones and disconnect.

use http::Method;
use thoughtgate_test::client::{self, Connection, RawConnection};
use thoughtgate_test::mock_mcp::{self, Config, Knobs, MockMcp};

fn start() -> MockMcp {
    mock_mcp::spawn(Config::default()).expect("the double starts")
}

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[tokio::test]
async fn keeps_a_connection_between_requests() {
    let mock = start();
    let mut connection = Connection::open(&mock.url()).await.unwrap();
    for _ in 0..3 {
        let response = connection
            .send(Method::POST, "/mcp", &[], PING)
            .await
            .unwrap();
        assert_eq!(response.status, 200);
    }
    assert_eq!(mock.stats().connections, 1);
}

#[tokio::test]
async fn sends_an_mcp_clients_headers_unless_told_otherwise() {
    let mock = start();
    client::post_json(&mock.url(), &[], PING).await.unwrap();
    client::post_json(
        &mock.url(),
        &[("Accept", "*/*"), ("Host", "elsewhere")],
        PING,
    )
    .await
    .unwrap();
    let [plain, other] = &mock.requests()[..] else {
        panic!("two requests arrived");
    };
    assert_eq!(
        plain.header("accept"),
        Some("application/json, text/event-stream")
    );
    assert_eq!(other.header("accept"), Some("*/*"));
    assert_eq!(other.head.headers.get_all("accept").iter().count(), 1);
    assert_eq!(other.header("host"), Some("elsewhere"));
    assert_eq!(other.head.headers.get_all("host").iter().count(), 1);
}

#[tokio::test]
async fn raw_bytes_go_out_as_they_are() {
    let mock = start();
    let mut connection = RawConnection::open(&mock.url()).await.unwrap();
    let head = "POST /mcp HTTP/1.1\r\nhost: x\r\nX-A: 1\r\nx-a: 2\r\ncontent-length: 40\r\n\r\n";
    connection.send(head).await.unwrap();
    connection.send(&PING[..20]).await.unwrap();
    connection.send(&PING[20..]).await.unwrap();
    let response = connection.read_response().await.unwrap();
    assert_eq!(response.json()["id"], 1);
    assert_eq!(
        mock.requests()[0]
            .head
            .headers
            .get_all("x-a")
            .iter()
            .count(),
        2
    );

    connection.send("no http\r\n\r\n").await.unwrap();
    assert_eq!(connection.read_response().await.unwrap().status, 400);
    connection.read_to_end().await.unwrap();
}

#[tokio::test]
async fn raw_responses_are_read_by_their_chunks() {
    let mock = mock_mcp::spawn(Config {
        knobs: Knobs {
            sse: true,
            sse_events: 2,
            ..Knobs::default()
        },
        ..Config::default()
    })
    .unwrap();
    let mut connection = RawConnection::open(&mock.url()).await.unwrap();
    for _ in 0..2 {
        let request = format!("POST /mcp HTTP/1.1\r\nhost: x\r\ncontent-length: 40\r\n\r\n{PING}");
        connection.send(request).await.unwrap();
        let response = connection.read_response().await.unwrap();
        assert_eq!(response.text().matches("data: ").count(), 3);
    }
}

#[tokio::test]
async fn a_half_closed_connection_can_still_read() {
    let mock = start();
    let mut connection = RawConnection::open(&mock.url()).await.unwrap();
    connection
        .send("GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    connection.read_until("404").await.unwrap();
    connection.shutdown_write().await.unwrap();
    connection.read_to_end().await.unwrap();
}

#[tokio::test]
async fn a_bad_url_and_a_dead_server_are_errors() {
    let bad = client::get("https://127.0.0.1:1/", &[]).await.unwrap_err();
    assert!(bad.to_string().contains("https://127.0.0.1:1/"));
    let mock = start();
    let url = mock.url();
    mock.shutdown().await;
    assert!(client::get(&url, &[]).await.is_err());
}
