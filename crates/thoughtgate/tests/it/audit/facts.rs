//! The facts in a line about the client, the session, the upstream, the policies, and chosen arguments.

use std::fmt::Write as _;

use ring::digest::{SHA256, digest};
use serde_json::json;
use thoughtgate_test::client;

use super::{POLICY, audited_in, lines, stop};
use crate::support::{ALL, check};

/// The first `digits` hexadecimal digits of the SHA-256 of `text`.
fn sha256(text: &str, digits: usize) -> String {
    let digest = digest(&SHA256, text.as_bytes());
    let mut all = String::new();
    for byte in digest.as_ref() {
        write!(all, "{byte:02x}").unwrap();
    }
    all[..digits].to_owned()
}

#[tokio::test]
async fn a_line_says_which_client_session_upstream_and_policies() {
    let folder = tempfile::tempdir().unwrap();
    let (upstream, mut proxy) = audited_in(&folder.path().join("audit.jsonl"), &[]);
    let session = "0123456789abcdef";
    let post = async |headers: &[(&str, &str)], body: String| {
        client::post_json(&proxy.url(), headers, body)
            .await
            .unwrap();
    };
    let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "inspector", "version": "1.2"}}});
    post(&[("user-agent", "node")], initialize.to_string()).await;
    let legacy = [("user-agent", "node\u{e9}"), ("mcp-session-id", session)];
    post(&legacy, super::call("echo")).await;
    let modern = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "echo", "arguments": {}, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "x\u{202e}".repeat(90)}}}});
    let headers = [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "echo"),
    ];
    post(&headers, modern.to_string()).await;
    stop(&mut proxy);
    let text = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    assert!(
        !text.contains(session) && !text.contains('\u{202e}'),
        "{text}"
    );
    let lines = lines(folder.path());
    let clients: Vec<&str> = lines
        .iter()
        .map(|line| line["client"].as_str().unwrap())
        .collect();
    assert_eq!(clients[..2], ["inspector/1.2", "node\u{e9}"]);
    assert!(clients[2].ends_with("… (360 bytes)/"), "{clients:?}");
    assert_eq!(lines[0]["session_sha256"], json!(null));
    assert_eq!(lines[1]["session_sha256"], sha256(session, 16));
    let authority = upstream.url();
    let authority = authority.split('/').nth(2).unwrap();
    for line in lines {
        assert_eq!(line["upstream"], authority);
        assert_eq!(line["policies_sha256"], sha256(POLICY, 64));
        assert!(line.get("arguments").is_none(), "{line}");
    }
}

#[tokio::test]
async fn chosen_arguments_are_shown_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let chosen = ("THOUGHTGATE_AUDIT_ARGUMENTS", "path,to.env,token");
    let (_upstream, mut proxy) = audited_in(&folder.path().join("audit.jsonl"), &[chosen]);
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "echo", "arguments": {
            "path": "/srv\n\u{1b}[2J", "password": "SECRET", "to": {"env": 7, "key": "SECRET"}}}});
    proxy.post(&call.to_string()).await;
    // Too large to wait for the writer.
    let mut large = call.clone();
    large["params"]["arguments"]["password"] = json!("SECRET".repeat(20_000));
    proxy.post(&large.to_string()).await;
    stop(&mut proxy);
    let text = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    assert!(
        !text.contains("SECRET") && !text.contains('\u{1b}'),
        "{text}"
    );
    for line in lines(folder.path()) {
        let shown = json!({"path": "/srv\n\u{1b}[2J", "to.env": 7});
        assert_eq!(line["arguments"], shown);
    }
}

#[test]
fn an_audit_without_a_file_is_refused() {
    for name in ["ARGUMENTS", "WAIT", "WHEN_FULL"] {
        let value = if name == "WAIT" { "2s" } else { "drop" };
        let given = format!("THOUGHTGATE_AUDIT_{name}");
        let (code, error) = check(ALL, &[(&given, value)]);
        assert_eq!(code, Some(2), "{name}: {error}");
        assert!(error.contains("`audit` has no `file`"), "{name}: {error}");
        let (code, error) = check(ALL, &[(&given, value), ("THOUGHTGATE_AUDIT", "stdout")]);
        assert_eq!(code, Some(0), "{name}: {error}");
    }
}

#[test]
fn a_path_that_names_no_argument_is_refused_and_not_quoted() {
    for paths in [
        "a,SECRET..x",
        "SECRET.",
        &"SECRET,".repeat(17),
        "*",
        "SECRET.*",
        "$.SECRET",
        "$['SECRET']",
        "/SECRET",
        "SECRET[0].a",
    ] {
        let (code, error) = check(
            ALL,
            &[
                ("THOUGHTGATE_AUDIT", "stdout"),
                ("THOUGHTGATE_AUDIT_ARGUMENTS", paths),
            ],
        );
        assert_eq!(code, Some(2), "{error}");
        assert!(error.contains("audit.arguments"), "{error}");
        assert!(!error.contains("SECRET"), "{error}");
    }
}
