//! Readiness, metrics, and shutdown.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use rustix::process::Signal;
use thoughtgate_test::client::{self, Connection};
use thoughtgate_test::mock_mcp;
use thoughtgate_test::process::Output;

use crate::support::{ALL, PATIENCE, Proxy, before, call, pair, policy, unanswered};

#[tokio::test]
async fn ready_follows_the_upstream() {
    let (upstream, proxy) = pair(ALL);
    proxy.ready().await;
    let address = upstream.address();
    upstream.shutdown().await;
    let body = proxy.ready_is(503).await;
    assert_eq!(body["ready"], false);
    assert_eq!(body["checks"]["upstream"]["ok"], false);
    assert!(body["checks"]["upstream"]["reason"].is_string(), "{body}");
    assert_eq!(proxy.get("/health").await.status, 200);
    let config = mock_mcp::Config {
        listen: address,
        ..mock_mcp::Config::default()
    };
    let _upstream = mock_mcp::spawn(config).unwrap();
    proxy.ready().await;
}

#[tokio::test]
async fn admin_routes_move_to_their_own_port() {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let file = policy(ALL);
    let url = upstream.url();
    let arguments = [
        &before(&url, file.path())[..],
        &["--admin-listen", "127.0.0.1:0"],
    ]
    .concat();
    let proxy = Proxy::with(&arguments, &[]);
    let admin = proxy.admin_address();
    for path in ["/health", "/ready", "/metrics"] {
        assert_eq!(proxy.get(path).await.status, 404, "{path}");
    }
    for path in ["/health", "/metrics"] {
        assert_eq!(
            client::get(&format!("http://{admin}{path}"), &[])
                .await
                .unwrap()
                .status,
            200,
            "{path}"
        );
    }
    let elsewhere = client::post_json(&format!("http://{admin}/mcp"), &[], call("echo"))
        .await
        .unwrap();
    assert_eq!(elsewhere.status, 404);
    assert_eq!(upstream.stats().requests, 0);
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let (_upstream, proxy) =
        pair(r#"permit (principal, action == Action::"tools/call", resource == Tool::"echo");"#);
    proxy.post(&call("echo")).await;
    proxy.post(&call("rm")).await;
    proxy.post("[]").await;
    for (series, value) in [
        (r#"thoughtgate_requests_total{method="tools/call"}"#, 2.0),
        (r#"thoughtgate_decisions_total{outcome="forward"}"#, 1.0),
        (r#"thoughtgate_decisions_total{outcome="reject"}"#, 1.0),
        (r#"thoughtgate_refused_total{status="400"}"#, 1.0),
        ("thoughtgate_upstream_latency_seconds_count", 1.0),
        ("thoughtgate_policy_generation", 1.0),
        ("thoughtgate_policies", 1.0),
    ] {
        assert_eq!(proxy.metric(series).await, Some(value), "{series}");
    }
    assert!(
        proxy
            .metric("thoughtgate_policy_load_seconds")
            .await
            .is_some_and(|seconds| seconds > 0.0)
    );
}

#[tokio::test]
async fn series_are_there_before_what_they_count() {
    let (_upstream, proxy) =
        pair(r#"permit (principal, action == Action::"tools/call", resource == Tool::"rm");"#);
    for status in [400, 401, 403, 404, 405, 408, 413, 415, 503] {
        let series = format!("thoughtgate_refused_total{{status=\"{status}\"}}");
        assert_eq!(proxy.metric(&series).await, Some(0.0), "{series}");
    }
    for decision in ["forward", "reject", "approve", "error"] {
        let series = format!("thoughtgate_decisions_total{{outcome=\"{decision}\"}}");
        assert_eq!(proxy.metric(&series).await, Some(0.0), "{series}");
        for tool in ["rm", "other"] {
            assert_eq!(proxy.metric(&tool_series(tool, decision)).await, Some(0.0));
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    let build = format!("thoughtgate_build_info{{version=\"{version}\"}}");
    assert_eq!(proxy.metric(&build).await, Some(1.0));
}

/// The series of decisions on calls of `tool`.
fn tool_series(tool: &str, decision: &str) -> String {
    format!("thoughtgate_tool_decisions_total{{tool=\"{tool}\",decision=\"{decision}\"}}")
}

#[tokio::test]
async fn decisions_are_counted_by_tool_for_tools_that_exist() {
    let (_upstream, proxy) =
        pair(r#"permit (principal, action == Action::"tools/call", resource == Tool::"rm");"#);
    for tool in ["rm", "echo", "made up", "made up too"] {
        proxy.post(&call(tool)).await;
    }
    // Not listed yet.
    assert_eq!(proxy.metric(&tool_series("echo", "reject")).await, None);
    assert_eq!(
        proxy.metric(&tool_series("other", "reject")).await,
        Some(3.0)
    );
    proxy
        .post(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#)
        .await;
    proxy.post(&call("echo")).await;
    assert_eq!(
        proxy.metric(&tool_series("echo", "reject")).await,
        Some(1.0)
    );
    assert_eq!(proxy.metric(&tool_series("rm", "forward")).await, Some(1.0));
    assert_eq!(proxy.metric(&tool_series("made up", "reject")).await, None);
}

#[tokio::test]
async fn every_request_is_timed_but_a_stream_that_listens() {
    let (upstream, proxy) = pair(ALL);
    proxy.post(&call("echo")).await;
    proxy.post("[]").await;
    let _listening = client::get_stream(&proxy.url(), &[]).await.unwrap();
    let held = unanswered(&upstream, &proxy).await;
    // The one that is in flight counts when it has ended.
    let count = "thoughtgate_request_seconds_count";
    proxy.metric_is(count, 2.0).await;
    upstream.release();
    held.await.unwrap().unwrap();
    proxy.metric_is(count, 3.0).await;
    proxy
        .metric_is("thoughtgate_request_seconds_bucket{le=\"+Inf\"}", 3.0)
        .await;
}

#[tokio::test]
async fn a_stop_finishes_what_is_in_flight_and_refuses_what_is_new() {
    let (upstream, mut proxy) = pair(ALL);
    // An idle connection and an open stream must not delay the shutdown.
    let _idle = Connection::open(&proxy.url()).await.unwrap();
    let _listening = client::get_stream(&proxy.url(), &[]).await.unwrap();
    let asking = unanswered(&upstream, &proxy).await;
    proxy.process.terminate().unwrap();
    proxy
        .process
        .wait_line(Output::Stderr, "thoughtgate: stopping", PATIENCE)
        .unwrap();
    let until = tokio::time::Instant::now() + PATIENCE;
    while Connection::open(&proxy.url()).await.is_ok() {
        assert!(
            tokio::time::Instant::now() < until,
            "new connections are still accepted"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    upstream.release();
    let response = asking
        .await
        .unwrap()
        .expect("the answer to what was in flight");
    assert_eq!(response.json()["id"], 7);
    assert_eq!(proxy.process.wait(PATIENCE).unwrap().code(), Some(0));
}

#[tokio::test]
async fn what_outlasts_the_deadline_is_cut_off() {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let file = policy(ALL);
    let url = upstream.url();
    let arguments = before(&url, file.path());
    let mut proxy = Proxy::with(&arguments, &[("THOUGHTGATE_TIMEOUTS_DRAIN", "50ms")]);
    let asking = unanswered(&upstream, &proxy).await;
    proxy.process.signal(Signal::INT).unwrap();
    assert_eq!(proxy.process.wait(PATIENCE).unwrap().code(), Some(0));
    assert!(asking.await.unwrap().is_err());
    assert!(
        proxy
            .process
            .output(Output::Stderr)
            .iter()
            .any(|line| line.contains("1 requests were cut off"))
    );
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let (upstream, mut proxy) = pair(ALL);
    let asking = unanswered(&upstream, &proxy).await;
    proxy.process.terminate().unwrap();
    proxy
        .process
        .wait_line(Output::Stderr, "thoughtgate: stopping", PATIENCE)
        .unwrap();
    proxy.process.terminate().unwrap();
    assert_eq!(proxy.process.wait(PATIENCE).unwrap().code(), Some(143));
    assert!(asking.await.unwrap().is_err());
}

#[tokio::test]
async fn well_known_paths_are_passed() {
    let (upstream, proxy) = pair("");
    let canned = mock_mcp::Canned {
        status: 200,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: "{}".to_owned(),
    };
    upstream.turn(|knobs| knobs.canned = Some(canned));
    proxy.get("/.well-known/oauth-protected-resource/mcp").await;
    proxy.get("/.well-known/oauth-authorization-server").await;
    let paths: Vec<String> = upstream
        .requests()
        .iter()
        .map(|request| request.head.uri.path().to_owned())
        .collect();
    assert_eq!(
        paths,
        [
            "/.well-known/oauth-protected-resource/mcp",
            "/.well-known/oauth-authorization-server"
        ]
    );
}

#[tokio::test]
async fn an_upstream_connection_that_nobody_uses_is_closed() {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", upstream.local_addr().unwrap());
    let served = tokio::task::spawn_blocking(move || {
        loop {
            let (mut stream, _) = upstream.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let (mut request, mut bytes) = (Vec::new(), [0; 4096]);
            // A probe by GET has no body.
            while !request.ends_with(b"}") && !request.starts_with(b"GET ") {
                match stream.read(&mut bytes).unwrap() {
                    0 => break,
                    length => request.extend_from_slice(&bytes[..length]),
                }
            }
            let is_probe = String::from_utf8_lossy(&request).contains("thoughtgate-probe/");
            if !is_probe && !request.is_empty() {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                    .unwrap();
                return stream.read(&mut bytes);
            }
        }
    });
    let file = policy(ALL);
    let proxy = Proxy::start(&url, file.path());
    assert_eq!(proxy.post(&call("tool_0")).await.status, 200);
    assert_eq!(served.await.unwrap().unwrap(), 0);
}
