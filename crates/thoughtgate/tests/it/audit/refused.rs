//! Audit lines of requests that are refused before a decision: one each, and a count for a burst.

use serde_json::{Value, json};
use thoughtgate_test::client;

use super::{audited_in, lines, stop};
use crate::support::{Proxy, call};

const SESSION_SHA256: &str = "9f9f5111f7b27a78";

fn strict() -> (
    tempfile::TempDir,
    thoughtgate_test::mock_mcp::MockMcp,
    Proxy,
) {
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit.jsonl");
    let (upstream, proxy) = audited_in(&audit, &[("THOUGHTGATE_AGENT_HEADER", "x-agent")]);
    (folder, upstream, proxy)
}

#[tokio::test]
async fn each_kind_has_a_line_with_its_reason() {
    let (folder, upstream, mut proxy) = strict();
    let alice = ("x-agent", "alice");
    let twice = r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#;
    for (headers, body) in [
        (&[][..], call("echo")),
        (&[alice, ("origin", "https://evil.example")], call("echo")),
        (&[alice], twice.to_owned()),
        (&[alice], "\u{9b}{".to_owned()),
        (&[alice, ("content-type", "text/plain")], call("echo")),
    ] {
        let response = client::post_json(&proxy.url(), headers, body)
            .await
            .unwrap();
        assert_ne!(response.status, 200);
    }
    client::get(&proxy.url(), &[]).await.unwrap();
    let metadata = proxy.at("/.well-known/oauth-protected-resource");
    let evil = ("origin", "https://evil.example");
    client::get(&metadata, &[evil]).await.unwrap();
    stop(&mut proxy);
    let lines = lines(folder.path());
    let said: Vec<(u64, &str)> = lines
        .iter()
        .map(|line| {
            assert_eq!(line["decision"], "refused");
            (
                line["status"].as_u64().unwrap(),
                line["error"].as_str().unwrap(),
            )
        })
        .collect();
    for ((status, error), (expected, part)) in said.iter().zip([
        (403, "missing or invalid `x-agent` header"),
        (403, "Origin header not allowed"),
        (400, "the duplicate key `method`"),
        (400, ""),
        (415, "Content-Type"),
        (403, "missing or invalid `x-agent` header"),
        (403, "Host or Origin header not allowed"),
    ]) {
        assert!(
            *status == expected && error.contains(part),
            "{status} {error}"
        );
    }
    assert_eq!((said.len(), &lines[0]["subject"]), (7, &"echo".into()));
    assert_eq!(upstream.stats().tool_calls, 0);
}

#[tokio::test]
async fn a_line_says_who_tried() {
    let (folder, upstream, mut proxy) = strict();
    let session = ("mcp-session-id", "0123456789abcdef");
    let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "inspector", "version": "1.2"}}});
    let evil = ("origin", "https://evil.example");
    for (headers, body) in [
        (&[][..], call("echo")),
        (&[], initialize.to_string()),
        (&[evil], call("echo")),
        (&[("content-type", "text/plain")], call("echo")),
        (&[], "{".to_owned()),
    ] {
        let sender = [headers, &[("user-agent", "node\u{e9}"), session]].concat();
        let refused = client::post_json(&proxy.url(), &sender, body).await;
        assert_ne!(refused.unwrap().status, 200);
    }
    let sender = [("user-agent", "node\u{e9}"), session];
    let read = client::get(&proxy.url(), &sender).await;
    assert_eq!(read.unwrap().status, 403);
    stop(&mut proxy);
    let text = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    assert!(!text.contains(session.1), "{text}");
    let lines = lines(folder.path());
    let clients: Vec<&str> = lines
        .iter()
        .map(|line| line["client"].as_str().unwrap())
        .collect();
    let node = "node\u{e9}";
    assert_eq!(clients, [node, "inspector/1.2", node, node, node, node]);
    let authority = upstream.address().to_string();
    for line in lines {
        assert_eq!(line["upstream"], authority);
        // The start of `printf 0123456789abcdef | sha256sum`.
        assert_eq!(line["session_sha256"], SESSION_SHA256, "{line}");
    }
}

#[tokio::test]
async fn a_burst_has_some_lines_and_a_count() {
    let (folder, _upstream, mut proxy) = strict();
    for _ in 0..100 {
        assert_eq!(proxy.post(&call("echo")).await.status, 403);
    }
    stop(&mut proxy);
    let lines = lines(folder.path());
    let counted = lines.iter().filter_map(|line| line["suppressed"].as_u64());
    let counts = counted.clone().count();
    let alone = lines.len() - counts;
    assert_eq!(counted.sum::<u64>() + alone as u64, 100);
    assert!((10..100).contains(&alone) && counts > 0, "{alone} {counts}");
    let agents: Vec<&Value> = lines.iter().map(|line| &line["agent"]).collect();
    assert!(agents.iter().all(|agent| agent.is_null()));
}
