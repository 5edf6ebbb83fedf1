//! `/ready` of an upstream that answers GET as MCP servers do, and others: with an event stream, or with 405.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use thoughtgate_test::process::Output;

use super::readiness::{compressed, methods, not_ready, until};
use super::scripted::{self, Request, Scripted};
use super::{probing, proxy, redirect, result};
use crate::support::{PATIENCE, Proxy, call};

/// An interval after which a `ping` is due soon.
const FREQUENT: &str = "10ms";
const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

fn hint() -> String {
    scripted::json(405, "")
}

fn is_get(probe: &Request) -> bool {
    probe.method == "GET"
}

/// Whether this many of the newest probes are of this method.
fn end_in(probes: &[Request], count: usize, method: &str) -> bool {
    let newest = probes.iter().rev().take(count);
    probes.len() >= count && newest.clone().all(|probe| probe.method == method)
}

async fn upstream_check(proxy: &Proxy, status: u16) -> Value {
    proxy.ready_is(status).await["checks"]["upstream"].clone()
}

#[tokio::test]
async fn a_hint_is_enough_to_be_ready_and_no_post_is_sent() {
    let upstream = Scripted::start(|_| hint()).await;
    let proxy = proxy(&upstream.url("/mcp"));
    assert_eq!(upstream_check(&proxy, 200).await, json!({"ok": true}));
    assert_eq!(methods(&upstream), ["GET"]);
}

#[tokio::test]
async fn a_ping_shows_that_a_hint_was_none_and_is_repeated_until_one_succeeds() {
    let is_mcp = Arc::new(AtomicBool::new(false));
    let serves = Arc::clone(&is_mcp);
    let upstream = Scripted::start(move |request| match &*request.method {
        "GET" => hint(),
        _ if serves.load(Ordering::SeqCst) => result(request),
        _ => scripted::json(404, "{}"),
    })
    .await;
    let proxy = probing(&upstream.url("/mcp"), FREQUENT);
    let (check, line) = not_ready(&proxy, "404").await;
    assert_eq!(check["status"], 404, "{check}");
    assert!(
        line.contains("does not answer MCP requests: status 404"),
        "{line}"
    );
    until(&upstream, |probes| end_in(probes, 5, "POST")).await;
    let probes = upstream.probes();
    let gets = probes.iter().take_while(|probe| is_get(probe)).count();
    assert!(gets > 0, "the first probe was a POST");
    assert!(!probes[gets..].iter().any(is_get), "a hint was asked for");
    is_mcp.store(true, Ordering::SeqCst);
    proxy.ready().await;
    // Hints suffice from now on.
    until(&upstream, |probes| end_in(probes, 5, "GET")).await;
    proxy.ready().await;
    let line = "resolved: the upstream answers MCP requests again";
    let line = proxy.process.wait_line(Output::Stderr, line, PATIENCE);
    line.unwrap();
}

/// The transport before Streamable HTTP has another URL for messages.
#[tokio::test]
async fn a_url_that_only_has_a_stream_is_told() {
    let upstream = Scripted::closing(true, |request| match &*request.method {
        "GET" => {
            let head = "HTTP/1.1 200 x\r\ncontent-type: text/event-stream\r\n\r\n";
            format!("{head}event: endpoint\ndata: /messages?session=1\n\n")
        }
        _ => hint(),
    })
    .await;
    let proxy = probing(&upstream.url("/sse"), FREQUENT);
    let (check, _) = not_ready(&proxy, "405").await;
    assert_eq!(check["status"], 405, "{check}");
    assert_eq!(upstream.probes()[0].method, "GET");
}

#[tokio::test]
async fn a_redirect_of_a_get_says_nothing_of_calls() {
    let upstream = Scripted::start(|request| match (&*request.method, &*request.path) {
        ("GET", "/mcp") => redirect(308, "/login"),
        ("POST", "/mcp") => result(request),
        _ => hint(),
    })
    .await;
    let proxy = proxy(&upstream.url("/mcp"));
    proxy.ready().await;
    assert_eq!(proxy.post(&call("tool_0")).await.status, 200);
    let calls = upstream.calls();
    assert_eq!(calls[0].path, "/mcp", "{calls:?}");
}

#[tokio::test]
async fn a_move_that_a_ping_has_found_outlasts_later_hints() {
    let upstream = Scripted::start(|request| match (&*request.method, &*request.path) {
        ("GET", _) => hint(),
        (_, "/mcp") => redirect(308, "/new"),
        _ => result(request),
    })
    .await;
    let proxy = probing(&upstream.url("/mcp"), FREQUENT);
    until(&upstream, |probes| {
        probes.iter().any(|probe| !is_get(probe)) && end_in(probes, 5, "GET")
    })
    .await;
    assert_eq!(proxy.post(&call("tool_0")).await.status, 200);
    let calls = upstream.calls();
    let paths: Vec<&str> = calls.iter().map(|call| &*call.path).collect();
    assert_eq!(paths, ["/new"]);
}

#[tokio::test]
async fn a_list_of_tools_confirms_a_hint() {
    let opens = Arc::new(AtomicBool::new(false));
    let hints = Arc::clone(&opens);
    let upstream = Scripted::closing(true, move |request| match &*request.method {
        "POST" if !request.is_probe() => {
            scripted::json(200, r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#)
        }
        "GET" if hints.load(Ordering::SeqCst) => hint(),
        // No answer: it is not known yet what it is, and a ping finds nothing out.
        _ => String::new(),
    })
    .await;
    let proxy = probing(&upstream.url("/mcp"), FREQUENT);
    upstream_check(&proxy, 503).await;
    assert_eq!(proxy.post(LIST).await.status, 200);
    opens.store(true, Ordering::SeqCst);
    proxy.ready().await;
    until(&upstream, |probes| end_in(probes, 10, "GET")).await;
    proxy.ready().await;
}

#[tokio::test]
async fn a_call_that_fails_is_followed_by_pings_until_one_is_answered() {
    let works = Arc::new(AtomicBool::new(false));
    let answers = Arc::clone(&works);
    let upstream = Scripted::closing(true, move |request| match &*request.method {
        "GET" => hint(),
        _ if answers.load(Ordering::SeqCst) => result(request),
        _ => String::new(),
    })
    .await;
    let proxy = proxy(&upstream.url("/mcp"));
    proxy.ready().await;
    assert_eq!(proxy.post(&call("tool_0")).await.status, 502);
    not_ready(&proxy, "not reachable").await;
    until(&upstream, |probes| end_in(probes, 3, "POST")).await;
    upstream_check(&proxy, 503).await;
    works.store(true, Ordering::SeqCst);
    proxy.ready().await;
}

/// Waits until the check of the upstream has a warning, or has none.
async fn warns(proxy: &Proxy, wanted: bool) {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let check = upstream_check(proxy, 200).await;
        if check["warning"].is_string() == wanted {
            return;
        }
        assert!(tokio::time::Instant::now() < until, "{check}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_server_that_compresses_is_told_by_a_list_that_is_refused() {
    let upstream = Scripted::start(|request| match &*request.method {
        "GET" => hint(),
        _ => compressed(200),
    })
    .await;
    let proxy = proxy(&upstream.url("/mcp"));
    assert_eq!(upstream_check(&proxy, 200).await, json!({"ok": true}));
    assert_eq!(proxy.post(LIST).await.status, 502);
    warns(&proxy, true).await;
}

#[tokio::test]
async fn a_server_that_compresses_is_told_by_a_ping_for_as_long_as_it_does() {
    let compresses = Arc::new(AtomicBool::new(true));
    let encodes = Arc::clone(&compresses);
    let upstream = Scripted::start(move |request| match &*request.method {
        "GET" => hint(),
        _ if encodes.load(Ordering::SeqCst) => compressed(200),
        _ => result(request),
    })
    .await;
    let proxy = probing(&upstream.url("/mcp"), FREQUENT);
    warns(&proxy, true).await;
    until(&upstream, |probes| end_in(probes, 3, "POST")).await;
    warns(&proxy, true).await;
    compresses.store(false, Ordering::SeqCst);
    warns(&proxy, false).await;
    until(&upstream, |probes| end_in(probes, 3, "GET")).await;
    warns(&proxy, false).await;
}

#[tokio::test]
async fn a_stream_that_says_it_is_compressed_is_told() {
    let upstream = Scripted::closing(true, |_| {
        let head = "HTTP/1.1 200 x\r\ncontent-type: text/event-stream\r\n";
        format!("{head}content-encoding: gzip\r\n\r\n")
    })
    .await;
    warns(&proxy(&upstream.url("/mcp")), true).await;
    assert_eq!(methods(&upstream), ["GET"]);
}
