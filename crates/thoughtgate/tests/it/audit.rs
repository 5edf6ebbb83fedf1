//! One line for each decision, none lost on an orderly exit, no argument in it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use thoughtgate_test::client::{self, Connection};
use thoughtgate_test::mock_mcp::{self, Hold, MockMcp};

use crate::support::{PATIENCE, Proxy, before, borrowed, call, modern_call, policy, unanswered};

mod facts;
mod refused;
mod rotation;
mod stuck;

const POLICY: &str =
    r#"@id("echo") permit (principal, action == Action::"tools/call", resource == Tool::"echo");"#;

fn audited() -> (MockMcp, Proxy, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let alice = ("THOUGHTGATE_AGENT_ID", "alice");
    let (upstream, proxy) = audited_in(&folder.path().join("audit.jsonl"), &[alice]);
    (upstream, proxy, folder)
}

fn audited_in(audit: &Path, environment: &[(&str, &str)]) -> (MockMcp, Proxy) {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let file = policy(POLICY);
    let url = upstream.url();
    let audit = ("THOUGHTGATE_AUDIT", audit.to_str().unwrap());
    let environment = [environment, &[audit]].concat();
    let proxy = Proxy::with(&before(&url, file.path()), &environment);
    (upstream, proxy)
}

fn stop(proxy: &mut Proxy) {
    proxy.process.terminate().unwrap();
    proxy.process.wait(PATIENCE).unwrap();
}

fn lines(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("audit.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn calls_that_some_servers_read_differently_have_different_digests() {
    let (_upstream, mut proxy, folder) = audited();
    for arguments in [
        r#"{"v":1,"v":2}"#,
        r#"{"v":2,"v":1}"#,
        r#"{"v":1}"#,
        r#"{"v":2}"#,
    ] {
        let call = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{arguments}}}}}"#
        );
        proxy.post(&call).await;
    }
    stop(&mut proxy);
    let lines = lines(folder.path());
    let digests: std::collections::BTreeSet<_> = lines
        .iter()
        .map(|line| line["arguments_sha256"].as_str().unwrap())
        .collect();
    assert_eq!(digests.len(), 4);
}

#[tokio::test]
async fn a_line_says_who_what_why_and_how_it_ended() {
    use std::os::unix::fs::PermissionsExt;
    let (_upstream, mut proxy, folder) = audited();
    let secret = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"NAME","arguments":{"b":1,"a":"secret"}}}"#;
    proxy.post(&secret.replace("NAME", "echo")).await;
    proxy.post(&secret.replace("NAME", "rm")).await;
    client::request(http::Method::DELETE, &proxy.url(), &[], "")
        .await
        .unwrap();
    proxy.process.terminate().unwrap();
    proxy.process.wait(PATIENCE).unwrap();
    let lines = lines(folder.path());
    assert_eq!(lines.len(), 3);
    // printf '{"a":"secret","b":1}' | sha256sum
    let digest = "4ed19acec45b227cc06d4b03a08da31f77fe891216ea5a1fce1a4f27889c418c";
    assert_eq!(lines[0]["arguments_sha256"], digest);
    assert_eq!(lines[0]["arguments_sha256"], lines[1]["arguments_sha256"]);
    for (line, expected) in lines.iter().zip([
        ("tools/call", "echo", "forward", "echo"),
        ("tools/call", "rm", "reject", ""),
        ("session/delete", "", "forward", "thoughtgate:baseline"),
    ]) {
        let policies = line["policies"].as_array().unwrap();
        let found = (
            line["method"].as_str().unwrap(),
            line["subject"].as_str().unwrap_or_default(),
            line["decision"].as_str().unwrap(),
            policies.first().and_then(Value::as_str).unwrap_or_default(),
        );
        assert_eq!(found, expected);
        assert_eq!(line["agent"], "alice");
        assert_eq!(line["generation"], 1);
        assert!(
            line["latency_us"].is_u64() && line["status"].is_u64() && line["time"].is_string(),
            "{line}"
        );
    }
    assert!(
        !std::fs::read_to_string(folder.path().join("audit.jsonl"))
            .unwrap()
            .contains("secret")
    );
    let mode = std::fs::metadata(folder.path().join("audit.jsonl"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_its_line() {
    let (upstream, mut proxy, folder) = audited();
    upstream.hold(Hold::Answer);
    let (body, headers) = modern_call("echo");
    let url = proxy.url();
    let asking =
        tokio::spawn(async move { client::post_json(&url, &borrowed(&headers), body).await });
    upstream.wait_for(|stats| stats.tool_calls == 1).await;
    asking.abort();
    upstream.wait_for(|stats| stats.cancelled == 1).await;
    proxy.process.terminate().unwrap();
    proxy.process.wait(PATIENCE).unwrap();
    let lines = lines(folder.path());
    assert_eq!((lines.len(), &lines[0]["decision"]), (1, &"forward".into()));
    assert!(lines[0]["status"].is_null());
}

#[tokio::test]
async fn a_call_that_is_cut_off_at_a_stop_leaves_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let soon = ("THOUGHTGATE_TIMEOUTS_DRAIN", "50ms");
    let (upstream, mut proxy) = audited_in(&folder.path().join("audit.jsonl"), &[soon]);
    let asking = unanswered(&upstream, &proxy).await;
    stop(&mut proxy);
    assert!(asking.await.unwrap().is_err());
    let lines = lines(folder.path());
    assert_eq!((lines.len(), &lines[0]["decision"]), (1, &"forward".into()));
    assert!(lines[0]["status"].is_null());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_stopped_under_load() {
    let (_upstream, mut proxy, folder) = audited();
    let answered = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (url, answered) = (proxy.url(), Arc::clone(&answered));
            tokio::spawn(async move {
                let mut connection = Connection::open(&url).await.unwrap();
                let headers = [("content-type", "application/json")];
                while let Ok(response) = connection
                    .send(http::Method::POST, "/mcp", &headers, call("echo"))
                    .await
                {
                    assert_eq!(response.status, 200);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    while answered.load(Ordering::Relaxed) < 500 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    proxy.process.terminate().unwrap();
    assert_eq!(proxy.process.wait(PATIENCE).unwrap().code(), Some(0));
    for client in clients {
        client.await.unwrap();
    }
    let written = u64::try_from(lines(folder.path()).len()).unwrap();
    let answered = answered.load(Ordering::Relaxed);
    // A decision whose answer was cut off by the shutdown has a line as well.
    assert!(
        (answered..=answered + 4).contains(&written),
        "{written} lines for {answered} answers"
    );
}

#[tokio::test]
async fn names_in_a_line_are_text_and_of_bounded_length() {
    let (_upstream, mut proxy, folder) = audited();
    let long = "\u{e9}".repeat(4000);
    let name = format!("\u{9b}2J\u{202e}\\u001b[2J\\n{long}");
    proxy.post(&call(&name)).await;
    stop(&mut proxy);
    let text = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    assert!(text.lines().count() == 1 && text.len() < 1024, "{text}");
    assert!(!text.contains(['\u{9b}', '\u{202e}', '\u{1b}']), "{text}");
    let line = &lines(folder.path())[0];
    let subject = line["subject"].as_str().unwrap();
    assert!(subject.starts_with("\u{9b}2J\u{202e}\u{1b}[2J\n\u{e9}"));
    assert!(subject.ends_with("\u{e9}… (8012 bytes)"), "{subject}");
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    for (path, expected) in [
        (
            "/dev/null/audit.jsonl",
            "failed to open audit file `/dev/null/audit.jsonl`",
        ),
        ("/tmp", "failed to open audit file `/tmp`: Is a directory"),
    ] {
        let file = policy(POLICY);
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_thoughtgate"))
            .args(before("http://127.0.0.1:1/mcp", file.path()))
            .args(["--listen", "127.0.0.1:0"])
            .env("THOUGHTGATE_AUDIT", path)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(expected), "{error}");
    }
}
