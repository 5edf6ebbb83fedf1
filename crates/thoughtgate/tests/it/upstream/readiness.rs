//! `/ready`: an MCP server answers at the upstream's URL, or what is wrong there.

use std::time::Duration;

use serde_json::Value;
use thoughtgate_test::mock_mcp::{self, Hold};
use thoughtgate_test::process::Output;

use super::scripted::{self, Request, Scripted};
use super::{proxy, redirect, result};
use crate::support::{PATIENCE, Proxy, call};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// The methods of the probes that arrived.
pub(super) fn methods(upstream: &Scripted) -> Vec<String> {
    let probes = upstream.probes().into_iter();
    probes.map(|probe| probe.method).collect()
}

/// Waits until this is true of the probes that arrived.
pub(super) async fn until(upstream: &Scripted, wanted: impl Fn(&[Request]) -> bool) {
    let until = tokio::time::Instant::now() + PATIENCE;
    while !wanted(&upstream.probes()) {
        let methods = methods(upstream);
        assert!(tokio::time::Instant::now() < until, "{methods:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The check of the upstream once it says `part`, and the last log line about it.
pub(super) async fn not_ready(proxy: &Proxy, part: &str) -> (Value, String) {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let check = proxy.ready_is(503).await["checks"]["upstream"].clone();
        if check["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains(part))
        {
            let line = "WARN thoughtgate: the upstream ";
            let line = proxy.process.wait_line(Output::Stderr, line, PATIENCE);
            return (check, line.unwrap());
        }
        assert!(tokio::time::Instant::now() < until, "{check}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_path_without_an_mcp_server_shows_with_its_status() {
    let answers = [
        "HTTP/1.1 404 x\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>".to_owned(),
        scripted::json(404, r#"{"error":{"message":"no such page"}}"#),
        scripted::json(200, r#"{"jsonrpc":"2.0","method":"x"}"#),
        "HTTP/1.1 200 x\r\ncontent-type: text/event-stream\r\n\r\ndata: {}\n\n".to_owned(),
        scripted::json(401, "{}"),
        scripted::json(500, "{}"),
    ];
    for answer in answers {
        let status = answer["HTTP/1.1 ".len()..][..3].to_owned();
        let closed = answer.contains("event-stream");
        let upstream = Scripted::closing(closed, move |request| match &*request.method {
            // By GET, a stream suffices at first.
            "GET" if closed => scripted::json(404, "{}"),
            _ => answer.clone(),
        })
        .await;
        let proxy = proxy(&upstream.url("/mcp"));
        let (check, line) = not_ready(&proxy, &status).await;
        assert_eq!(check["status"].to_string(), status, "{check}");
        assert!(
            line.contains("does not answer MCP requests: status "),
            "{line}"
        );
        assert!(line.contains(&status), "{line}");
        let path = "check the path of `upstream.url`";
        assert_eq!(line.contains(path), status != "500" && status != "401");
    }
}

/// JSON that says it is compressed.
pub(super) fn compressed(status: u16) -> String {
    scripted::json(status, "?").replacen("\r\n", "\r\ncontent-encoding: gzip\r\n", 1)
}

#[tokio::test]
async fn a_server_that_compresses_unless_asked_not_to_is_ready() {
    let upstream = Scripted::start(|request| match &*request.header("accept-encoding") {
        "identity" => result(request),
        _ => compressed(200),
    })
    .await;
    let proxy = proxy(&upstream.url("/mcp"));
    proxy.ready().await;
    let check = proxy.ready_is(200).await["checks"]["upstream"].clone();
    assert_eq!(check, serde_json::json!({"ok": true}));
}

#[tokio::test]
async fn a_server_that_compresses_all_the_same_is_ready_with_a_warning() {
    let upstream = Scripted::start(|_| compressed(200)).await;
    let ready = proxy(&upstream.url("/mcp"));
    let check = ready.ready_is(200).await["checks"]["upstream"].clone();
    let warning = check["warning"].as_str().unwrap();
    assert!(warning.contains("lists of tools are refused"), "{check}");
    let line = "calls pass, but lists of tools cannot be filtered and are refused";
    let line = ready.process.wait_line(Output::Stderr, line, PATIENCE);
    assert!(line.unwrap().contains("Accept-Encoding"));
    assert_eq!(ready.post(&call("tool_0")).await.status, 200);
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(ready.post(list).await.status, 502);
    assert_eq!(methods(&upstream)[..2], ["GET", "POST"]);
    // An error could be that of any server.
    let upstream = Scripted::start(|_| compressed(400)).await;
    let (_, line) = not_ready(&proxy(&upstream.url("/mcp")), "400").await;
    assert!(line.contains("a Content-Encoding, although none"), "{line}");
}

#[tokio::test]
async fn an_upstream_that_hangs_or_redirects_elsewhere_shows() {
    let silent = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    silent.hold(Hold::Answer);
    let waiting = proxy(&silent.url());
    let (_, line) = not_ready(&waiting, "no answer to an MCP request").await;
    assert!(line.contains("within 5s"), "{line}");
    silent.release();
    waiting.ready().await;
    let away = Scripted::start(|_| redirect(302, "https://login.test/x?SECRET")).await;
    let away = proxy(&away.url("/mcp"));
    let (_, line) = not_ready(&away, "redirects").await;
    assert!(line.contains("(302) to https://login.test/x, "), "{line}");
}

#[tokio::test]
async fn any_json_rpc_answer_or_challenge_is_an_mcp_server() {
    let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no session"}}"#;
    let event = "HTTP/1.1 200 x\r\ncontent-type: text/event-stream\r\n\r\nid: 1\ndata:\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n";
    let challenge = |status: u16| {
        format!("HTTP/1.1 {status} x\r\nwww-authenticate: Bearer\r\ncontent-length: 0\r\n\r\n")
    };
    for answer in [
        scripted::json(200, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
        scripted::json(400, error),
        // The stream stays open.
        event.to_owned(),
        challenge(401),
        challenge(403),
    ] {
        for to_get in [answer.clone(), scripted::json(404, "{}")] {
            let is_shown = to_get == answer;
            let to_ping = answer.clone();
            let upstream = Scripted::start(move |request| match &*request.method {
                "GET" => to_get.clone(),
                _ => to_ping.clone(),
            })
            .await;
            let proxy = proxy(&upstream.url("/mcp"));
            proxy.ready().await;
            let probes = upstream.probes();
            assert_eq!(probes[0].header("accept"), "text/event-stream");
            let sent = |probe: &Request| {
                let Request {
                    method, path, body, ..
                } = probe.clone();
                [method, path, body]
            };
            let sent: Vec<_> = probes.iter().map(sent).collect();
            let (get, ping) = (["GET", "/mcp", ""], ["POST", "/mcp", PING]);
            let expected = if is_shown { vec![get] } else { vec![get, ping] };
            assert_eq!(sent, expected);
        }
    }
}

#[tokio::test]
async fn a_ping_decides_when_a_get_shows_nothing() {
    for answer in [
        "HTTP/1.1 200 x\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>".to_owned(),
        scripted::json(400, "{}"),
        scripted::json(406, ""),
        scripted::json(501, ""),
        scripted::json(401, "{}"),
        compressed(200),
        redirect(302, "https://login.test/"),
        // Never complete.
        "HTTP/1.1 200 x\r\ncontent-length: 1\r\n\r\n".to_owned(),
    ] {
        let upstream = Scripted::start(move |request| match &*request.method {
            "GET" => answer.clone(),
            _ => result(request),
        })
        .await;
        proxy(&upstream.url("/mcp")).ready().await;
        assert_eq!(methods(&upstream), ["GET", "POST"]);
    }
}

#[tokio::test]
async fn a_probe_follows_redirects_and_leaves_no_session_behind() {
    // A session that a GET opens, one of a GET that is a hint, and one of a `ping`.
    for to_get in [200, 405, 404] {
        let upstream = Scripted::start(move |request| {
            let answer = match (&*request.method, &*request.path) {
                ("DELETE", _) => scripted::json(200, ""),
                (_, "/mcp/") => return redirect(307, "/mcp"),
                ("GET", _) if to_get != 200 => scripted::json(to_get, ""),
                _ => result(request),
            };
            answer.replacen("\r\n", "\r\nmcp-session-id: s-1\r\n", 1)
        })
        .await;
        let proxy = proxy(&upstream.url("/mcp/"));
        proxy.ready().await;
        until(&upstream, |probes| {
            let ended = probes.iter().find(|probe| probe.method == "DELETE");
            ended.is_some_and(|probe| probe.header("mcp-session-id") == "s-1")
        })
        .await;
    }
}

#[tokio::test]
async fn a_call_that_fails_brings_the_next_probe_forward() {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let file = crate::support::policy(crate::support::ALL);
    let config = "timeouts: {probe_interval: 1h}\n";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("c.yaml"), config).unwrap();
    let (url, path) = (upstream.url(), folder.path().join("c.yaml"));
    let arguments = [
        &crate::support::before(&url, file.path())[..],
        &["--config", path.to_str().unwrap()],
    ]
    .concat();
    let proxy = Proxy::with(&arguments, &[]);
    proxy.ready().await;
    upstream.shutdown().await;
    assert_eq!(proxy.post(&call("tool_0")).await.status, 502);
    not_ready(&proxy, "not reachable").await;
}

#[tokio::test]
async fn a_fault_that_gives_way_to_another_is_not_called_resolved() {
    // The server ends with its runtime.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let upstream = runtime.spawn(Scripted::start(|_| scripted::json(404, "{}")));
    let upstream = upstream.await.unwrap();
    let address = upstream.address;
    let proxy = proxy(&upstream.url("/mcp"));
    not_ready(&proxy, "404").await;
    runtime.shutdown_background();
    not_ready(&proxy, "not reachable").await;
    let wait = |text| proxy.process.wait_line(Output::Stderr, text, PATIENCE);
    wait("the upstream is not reachable").unwrap();
    let _upstream = mock_mcp::spawn(mock_mcp::Config {
        listen: address,
        ..mock_mcp::Config::default()
    })
    .unwrap();
    wait("thoughtgate: resolved: the upstream is reachable again").unwrap();
    let log = proxy.process.output(Output::Stderr);
    let resolved = log.iter().filter(|line| line.contains("resolved: "));
    assert_eq!(resolved.count(), 1, "{log:?}");
}
