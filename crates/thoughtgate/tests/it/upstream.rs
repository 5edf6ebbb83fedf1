//! The way to the upstream: its URL, redirects, and what it learns about the client.

use serde_json::Value;
use thoughtgate_test::client::{self, Response};
use thoughtgate_test::mock_mcp;

use crate::support::{ALL, Proxy, before, call, policy};
use scripted::{Request, Scripted};

mod hints;
mod oauth;
mod provenance;
mod readiness;
pub mod scripted;

/// A proxy with one worker, whose connections all share one memory of the upstream.
fn proxy(url: &str) -> Proxy {
    probing(url, "10s")
}

/// The same, with this interval of probes.
fn probing(url: &str, interval: &str) -> Proxy {
    let file = policy(ALL);
    let arguments = [&before(url, file.path())[..], &["--workers", "1"]].concat();
    Proxy::with(
        &arguments,
        &[("THOUGHTGATE_TIMEOUTS_PROBE_INTERVAL", interval)],
    )
}

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} x\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
}

fn result(request: &Request) -> String {
    let id = &request.json()["id"];
    scripted::json(
        200,
        &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#),
    )
}

fn error_of(response: &Response) -> (u16, Value, String) {
    let error = &response.json()["error"];
    let text = error["message"].as_str().unwrap_or_default().to_owned();
    (response.status, error["code"].clone(), text)
}

#[tokio::test]
async fn the_query_of_the_upstreams_url_is_sent_with_each_request() {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let proxy = proxy(&format!("{}?key=1", upstream.url()));
    assert_eq!(proxy.post(&call("tool_0")).await.status, 200);
    let url = proxy.at("/mcp?a%5Bx%5D=2;b&KEY=3&c+d=%20");
    let own = client::post_json(&url, &[], call("x"));
    assert_eq!(own.await.unwrap().status, 200);
    let uris: Vec<_> = upstream
        .requests()
        .into_iter()
        .map(|request| request.head.uri)
        .collect();
    assert_eq!(uris, ["/mcp?key=1", "/mcp?key=1&a%5Bx%5D=2;b&c+d=%20"]);
}

#[tokio::test]
async fn a_redirect_within_the_origin_is_followed_with_the_same_request() {
    for status in [307, 308] {
        let upstream = Scripted::start(move |request| match request.path.as_str() {
            // It does not learn of the redirect.
            _ if request.is_probe() => result(request),
            "/mcp/" => redirect(status, &format!("http://{}/mcp", request.header("host"))),
            "/mcp" => redirect(status, "../x/../v2/./mcp?x=1"),
            _ => result(request),
        })
        .await;
        let proxy = proxy(&upstream.url("/mcp/"));
        let (url, headers) = (proxy.url(), [("authorization", "Bearer x")]);
        let posted = client::post_json(&url, &headers, call("tool_0"));
        let posted = posted.await.unwrap();
        assert_eq!(
            (posted.status, &posted.json()["id"]),
            (200, &7.into()),
            "{}",
            posted.text()
        );
        let [first, second, last] = &upstream.calls()[..] else {
            panic!("{:?}", upstream.calls())
        };
        assert_eq!((&*second.path, &*last.path), ("/mcp", "/v2/mcp?x=1"));
        for request in [first, second, last] {
            assert_eq!(
                (&*request.method, &*request.body),
                ("POST", &*call("tool_0"))
            );
            assert_eq!(request.header("authorization"), "Bearer x");
            assert_eq!(request.header("host"), upstream.address.to_string());
        }
    }
}

#[tokio::test]
async fn a_move_for_good_is_learnt_from_the_probe_and_forgotten_where_nothing_is_found() {
    for (status, paths) in [
        (308, &["/new", "/new", "/new", "/mcp", "/new"][..]),
        (
            307,
            &[
                "/mcp", "/new", "/mcp", "/new", "/mcp", "/new", "/mcp", "/new",
            ],
        ),
    ] {
        let upstream = Scripted::start(move |request| match request.path.as_str() {
            "/mcp" => redirect(status, "/new"),
            // One client finds nothing there.
            "/new" if request.header("x-lost") == "1" => scripted::json(404, "{}"),
            _ => result(request),
        })
        .await;
        let (url, file) = (upstream.url("/mcp"), policy(ALL));
        // No second probe, from which it would learn again.
        let seldom = ("THOUGHTGATE_TIMEOUTS_PROBE_INTERVAL", "1h");
        let proxy = Proxy::with(&before(&url, file.path()), &[seldom]);
        proxy.ready().await;
        for lost in ["0", "0", "1", "0"] {
            let (url, headers) = (proxy.url(), [("x-lost", lost)]);
            let posted = client::post_json(&url, &headers, call("tool_0"));
            let expected = if lost == "1" { 404 } else { 200 };
            assert_eq!(posted.await.unwrap().status, expected);
        }
        let calls = upstream.calls();
        let found: Vec<&str> = calls.iter().map(|call| &*call.path).collect();
        assert_eq!(found, paths, "{status}");
    }
}

#[tokio::test]
async fn a_redirect_depends_on_no_other_client() {
    let upstream = Scripted::start(|request| match request.path.as_str() {
        "/mcp" if request.is_probe() => result(request),
        "/mcp" => redirect(308, &format!("/{}", request.header("x-prefix"))),
        _ => result(request),
    })
    .await;
    let proxy = proxy(&upstream.url("/mcp"));
    proxy.ready().await;
    for prefix in ["a", "b"] {
        let (url, headers) = (proxy.url(), [("x-prefix", prefix)]);
        let posted = client::post_json(&url, &headers, call("tool_0"));
        assert_eq!(posted.await.unwrap().status, 200);
        let last = upstream.calls().pop().unwrap();
        assert_eq!(last.path, format!("/{prefix}"));
    }
}

#[tokio::test]
async fn other_redirects_are_told_and_neither_followed_nor_passed_on() {
    let other = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let elsewhere = other.address();
    for (status, location, shown) in [
        (
            307,
            format!("http://u:SECRET@{elsewhere}/mcp?k=SECRET"),
            format!("http://{elsewhere}/mcp"),
        ),
        (
            308,
            format!("//{elsewhere}/mcp"),
            format!("//{elsewhere}/mcp"),
        ),
        (301, "/v2/mcp".to_owned(), "/v2/mcp".to_owned()),
        (
            302,
            "https://login.test/?SECRET".to_owned(),
            "https://login.test/".to_owned(),
        ),
        (303, "/mcp".to_owned(), "/mcp".to_owned()),
        // The scheme's default port is not meant.
        (
            307,
            format!("http://{}:99999/mcp", elsewhere.ip()),
            format!("http://{}:99999/mcp", elsewhere.ip()),
        ),
    ] {
        let to = location.clone();
        let upstream = Scripted::start(move |_| redirect(status, &to)).await;
        let proxy = proxy(&upstream.url("/mcp"));
        let posted = proxy.post(&call("tool_0")).await;
        let (answered, code, text) = error_of(&posted);
        assert_eq!((answered, code), (502, 50202.into()), "{location}");
        let expected =
            format!("the upstream redirects ({status}) to {shown}, which is not followed");
        assert!(text.starts_with(&expected), "{text}");
        assert!(!posted.text().contains("SECRET") && posted.header("location").is_none());
        let read = client::get(&proxy.url(), &[]).await.unwrap();
        assert_eq!(
            (read.status, read.header("location")),
            (502, None),
            "{location}"
        );
        assert!(upstream.calls().len() <= 8, "{:?}", upstream.calls());
    }
    assert_eq!(other.stats().requests, 0);
}

#[tokio::test]
async fn a_circle_of_redirects_is_left_and_called_so() {
    let upstream = Scripted::start(|request| match &*request.path {
        "/mcp" => redirect(307, "/b"),
        _ => redirect(308, "/mcp"),
    })
    .await;
    let proxy = proxy(&upstream.url("/mcp"));
    let (status, code, text) = error_of(&proxy.post(&call("tool_0")).await);
    assert_eq!((status, code), (502, 50202.into()), "{text}");
    let expected = "the upstream redirects in a loop, or more than 3 times in a row";
    assert!(text.starts_with(expected), "{text}");
    assert_eq!(upstream.calls().len(), 4);
    let (check, line) = readiness::not_ready(&proxy, "redirects MCP requests").await;
    assert_eq!(
        check["reason"],
        "redirects MCP requests; see the log for the address"
    );
    assert!(
        line.contains("does not answer MCP requests") && line.contains(expected),
        "{line}"
    );
}

#[tokio::test]
async fn a_redirect_shows_no_token_of_the_upstreams_path() {
    let upstream = Scripted::start(|request| redirect(301, &format!("{}/", request.path))).await;
    let proxy = proxy(&upstream.url("/SECRET-0123456789/mcp"));
    let posted = proxy.post(&call("tool_0")).await;
    let (_, _, text) = error_of(&posted);
    assert!(
        text.contains("redirects (301) to /***/mcp/, which"),
        "{text}"
    );
    assert!(!posted.text().contains("SECRET"));
}

#[tokio::test]
async fn a_redirect_that_begins_later_fails_one_call_and_is_followed_then() {
    let moved = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let has_moved = std::sync::Arc::clone(&moved);
    let upstream = Scripted::start(move |request| {
        if request.path == "/mcp" && has_moved.load(std::sync::atomic::Ordering::SeqCst) {
            redirect(307, "/new")
        } else {
            result(request)
        }
    })
    .await;
    let proxy = proxy(&upstream.url("/mcp"));
    for _ in 0..40 {
        assert_eq!(proxy.post(&call("tool_0")).await.status, 200);
    }
    moved.store(true, std::sync::atomic::Ordering::SeqCst);
    let (status, code, text) = error_of(&proxy.post(&call("tool_0")).await);
    assert_eq!((status, code), (502, 50202.into()), "{text}");
    assert!(
        text.contains("not executed") && text.contains("send it again"),
        "{text}"
    );
    for _ in 0..3 {
        assert_eq!(proxy.post(&call("tool_0")).await.status, 200);
    }
    assert_eq!(
        upstream
            .calls()
            .iter()
            .filter(|call| call.path == "/new")
            .count(),
        3
    );
}

#[tokio::test]
async fn the_upstream_learns_the_clients_address_and_the_host_that_it_called() {
    let upstream = Scripted::start(result).await;
    let proxy = proxy(&upstream.url("/mcp"));
    let (address, own) = (proxy.address().to_owned(), upstream.address.to_string());
    let forged = [
        ("x-forwarded-for", "10.0.0.1"),
        ("X-Forwarded-For", "10.0.0.2"),
        ("x-forwarded-host", "evil.test"),
        ("x-forwarded-proto", "https"),
        ("connection", "x-forwarded-for"),
    ];
    for headers in [&[][..], &forged[..]] {
        let posted = client::post_json(&proxy.url(), headers, call("tool_0")).await;
        assert_eq!(posted.unwrap().status, 200);
        client::get(&proxy.url(), headers).await.unwrap();
    }
    let calls = upstream.calls();
    assert_eq!(calls.len(), 4);
    for request in calls {
        assert_eq!(request.header("x-forwarded-for"), "127.0.0.1");
        assert_eq!(request.header("x-forwarded-proto"), "http");
        assert_eq!(request.header("x-forwarded-host"), address);
        assert_eq!(request.header("host"), own);
    }
}
