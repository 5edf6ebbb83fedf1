//! More clients than `limits.connections`: each gets an answer, and connections in use stay open.

use http::Method;
use thoughtgate_test::client::{self, Connection, RawConnection, Response};
use thoughtgate_test::mock_mcp::{self, MockMcp};
use thoughtgate_test::process::Output;

use crate::support::{ALL, PATIENCE, Proxy, before, call, policy, unanswered};

/// A proxy with this `limits.connections`.
fn narrow(connections: usize, more: &[(&str, &str)]) -> (MockMcp, Proxy) {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let (file, url) = (policy(ALL), upstream.url());
    let connections = connections.to_string();
    let limit = [("THOUGHTGATE_LIMITS_CONNECTIONS", connections.as_str())];
    let environment = [&limit[..], more].concat();
    let proxy = Proxy::with(&before(&url, file.path()), &environment);
    (upstream, proxy)
}

async fn ask(connection: &mut Connection) -> std::io::Result<Response> {
    let json = [("content-type", "application/json")];
    connection
        .send(Method::POST, "/mcp", &json, call("echo"))
        .await
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n")
}

#[tokio::test]
async fn streams_keep_their_places_and_a_new_client_hears_no() {
    let (upstream, proxy) = narrow(3, &[]);
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(client::get_stream(&proxy.url(), &[]).await.unwrap());
    }
    upstream.wait_for(|stats| stats.open_streams == 3).await;
    for path in ["/health", "/ready", "/metrics"] {
        // Sent with keep-alive, but answered with `close`: no client may keep one of the spare places.
        let mut connection = RawConnection::open(&proxy.url()).await.unwrap();
        connection.send(request(path)).await.unwrap();
        let response = connection.read_response().await.unwrap();
        assert_ne!(response.text(), "", "{path}");
        assert_eq!(response.header("connection"), Some("close"), "{path}");
        assert!(connection.read_to_end().await.unwrap().is_empty());
    }
    assert_eq!(proxy.get("/health").await.status, 200);
    for _ in 0..40 {
        let response = proxy.post(&call("echo")).await;
        assert_eq!(response.status, 503);
        assert_eq!(response.header("retry-after"), Some("1"));
        assert_eq!(response.json()["error"]["code"], 50303);
    }
    assert_eq!(
        (upstream.stats().tool_calls, upstream.stats().open_streams),
        (0, 3)
    );
    streams.pop();
    let until = tokio::time::Instant::now() + PATIENCE;
    while proxy.post(&call("echo")).await.status == 503 {
        assert!(tokio::time::Instant::now() < until, "the place stays taken");
    }
}

#[tokio::test]
async fn silent_clients_make_room_for_others() {
    let (upstream, proxy) = narrow(4, &[]);
    let asking = unanswered(&upstream, &proxy).await;
    // Far more clients than places, which send nothing, or half a head.
    let mut silent = Vec::new();
    for count in 0..60 {
        let mut connection = RawConnection::open(&proxy.url()).await.unwrap();
        let said = if count % 2 == 0 {
            ""
        } else {
            "POST /mcp HTTP/1.1\r\nhost: "
        };
        connection.send(said).await.unwrap();
        silent.push(connection);
    }
    // A burst of new connections may be ahead of the evictions that it causes; clients that come while it
    // lasts are asked to retry.
    let until = tokio::time::Instant::now() + PATIENCE;
    while proxy
        .metric("thoughtgate_connections")
        .await
        .is_none_or(|open| open > 5.0)
    {
        assert!(
            tokio::time::Instant::now() < until,
            "silent clients are not evicted"
        );
    }
    for _ in 0..5 {
        let response = proxy.get("/.well-known/oauth-authorization-server").await;
        assert_ne!(response.status, 503, "{}", response.text());
    }
    upstream.release();
    let answer = asking
        .await
        .unwrap()
        .expect("a call in progress keeps its place");
    assert_eq!(answer.json()["id"], 7);
    assert!(proxy.metric("thoughtgate_connections_evicted_total").await > Some(0.0));
    let until = tokio::time::Instant::now() + PATIENCE;
    while proxy.metric("thoughtgate_connections").await > Some(4.0) {
        assert!(
            tokio::time::Instant::now() < until,
            "those that have no place stay"
        );
    }
}

#[tokio::test]
async fn bodies_that_are_slow_to_come_keep_no_places() {
    let (upstream, proxy) = narrow(3, &[]);
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut connection = RawConnection::open(&proxy.url()).await.unwrap();
        let head = "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n";
        connection.send(head).await.unwrap();
        connection.send("{").await.unwrap();
        slow.push(connection);
    }
    let until = tokio::time::Instant::now() + PATIENCE;
    while proxy.post(&call("echo")).await.status == 503 {
        assert!(
            tokio::time::Instant::now() < until,
            "they keep their places"
        );
    }
    assert_eq!(upstream.stats().tool_calls, 1);
}

#[tokio::test]
async fn the_admin_address_has_places_of_its_own() {
    let (_upstream, proxy) = narrow(1, &[("THOUGHTGATE_ADMIN_LISTEN", "127.0.0.1:0")]);
    let admin = proxy.admin_address();
    let _stream = client::get_stream(&proxy.url(), &[]).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(
            RawConnection::open(&format!("http://{admin}/"))
                .await
                .unwrap(),
        );
    }
    let health = format!("http://{admin}/health");
    assert_eq!(client::get(&health, &[]).await.unwrap().status, 200);
    // With `admin_listen` the main port serves no admin route, full or not.
    assert_eq!(proxy.get("/health").await.status, 503);
}

#[tokio::test]
async fn connections_are_fitted_to_the_limit_on_open_files() {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let (file, url) = (policy(ALL), upstream.url());
    // The soft limit is raised to the hard one, and that one is too low for the default.
    let setup = "ulimit -S -n 200 && ulimit -H -n 300";
    let proxy = Proxy::after(setup, &before(&url, file.path()), &[]);
    let warning = "WARN thoughtgate: `limits.connections` is lowered to ";
    let line = proxy
        .process
        .wait_line(Output::Stderr, warning, PATIENCE)
        .unwrap();
    assert!(line.contains("the limit of 300 open files"), "{line}");
    let mut good = Connection::open(&proxy.url()).await.unwrap();
    ask(&mut good).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..400 {
        silent.push(RawConnection::open(&proxy.url()).await.unwrap());
    }
    // They cost the first client neither its connection nor the one to the upstream.
    let answer = ask(&mut good).await.unwrap();
    assert_eq!(answer.json()["id"], 7, "{}", answer.text());
    // Clients that come while the evictions of such a burst last are asked to retry.
    let until = tokio::time::Instant::now() + PATIENCE;
    let answer = loop {
        let answer = proxy.post(&call("echo")).await;
        if answer.status != 503 {
            break answer;
        }
        assert!(tokio::time::Instant::now() < until, "{}", answer.text());
    };
    assert_eq!(answer.json()["id"], 7, "{}", answer.text());
}
