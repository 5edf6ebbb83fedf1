//! The log on standard error: time and level of each line, refusals, faults as changes, approvals.

use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};
use thoughtgate_test::mock_mcp::{self, Fault};
use thoughtgate_test::process::{Output, Process};

use crate::support::{ALL, PATIENCE, Proxy, before, call, pair, policy};

const JSON: (&str, &str) = ("THOUGHTGATE_LOG_FORMAT", "json");

fn log(proxy: &Proxy) -> Vec<String> {
    proxy.process.output(Output::Stderr)
}

/// Waits for a line with `part`.
pub fn line(proxy: &Proxy, part: &str) -> String {
    proxy
        .process
        .wait_line(Output::Stderr, part, PATIENCE)
        .unwrap()
}

/// Whether `line` begins with a time such as `2026-11-26T16:35:00.123Z`, a level, and the program's name.
fn is_text(line: &str) -> bool {
    let form: String = line.chars().take(24).collect();
    let form = form.replace(|c: char| c.is_ascii_digit(), "0");
    let rest = line.get(24..).unwrap_or_default();
    form == "0000-00-00T00:00:00.000Z"
        && ["ERROR", "WARN", "INFO", "DEBUG"]
            .iter()
            .any(|level| rest.starts_with(&format!(" {level} thoughtgate: ")))
}

#[tokio::test]
async fn every_line_has_a_time_and_a_level() {
    // With a policy: a warning of a set without any would be the first line.
    let (_upstream, mut proxy) = pair(r#"permit (principal, action, resource == Tool::"other");"#);
    proxy.post(&call("echo")).await;
    proxy.process.terminate().unwrap();
    assert_eq!(proxy.process.wait(PATIENCE).unwrap().code(), Some(0));
    line(&proxy, "INFO thoughtgate: stopped");
    let lines = log(&proxy);
    assert!(lines[0].contains(proxy.address()), "{lines:?}");
    for line in lines {
        assert!(is_text(&line), "{line}");
    }
}

#[tokio::test]
async fn json_lines_have_the_same_and_fields() {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let file = policy(r#"@id("no") forbid (principal, action, resource == Tool::"echo");"#);
    let url = upstream.url();
    // Matches no setting: its warning must have the form of the other lines.
    let unknown = ("THOUGHTGATE_TYPO", "SECRET");
    let mut proxy = Proxy::with(&before(&url, file.path()), &[JSON, unknown]);
    proxy.post(&call("echo")).await;
    proxy.process.terminate().unwrap();
    proxy.process.wait(PATIENCE).unwrap();
    line(&proxy, "\"stopped\"");
    let lines = log(&proxy);
    assert!(!lines.concat().contains("SECRET"), "{lines:?}");
    let lines: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    assert_eq!(lines[0]["level"], "warn");
    assert!(lines[0]["message"].as_str().unwrap().contains("TYPO"));
    for line in &lines {
        assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
        assert!(line["message"].is_string(), "{line}");
    }
    let refused = lines.iter().find(|line| line["method"] == "tools/call");
    let mut refused = refused.unwrap().clone();
    refused.as_object_mut().unwrap().remove("time");
    assert_eq!(
        refused,
        json!({"level": "info", "message": "refused by policy", "agent": "agent",
            "method": "tools/call", "name": "echo", "policies": "no"})
    );
}

#[tokio::test]
async fn less_serious_lines_are_left_out() {
    // With a port of its own, because no line tells which one was bound.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let upstream = ["--upstream", "http://127.0.0.1:1/mcp", "--listen", &address];
    let level = ("THOUGHTGATE_LOG_LEVEL", "warn");
    let binary = env!("CARGO_BIN_EXE_thoughtgate");
    let mut process = Process::start(binary, &upstream, &[level]).unwrap();
    // The probe has begun, so that the proxy listens and signals are handled.
    let unreachable = "WARN thoughtgate: the upstream is not reachable";
    process
        .wait_line(Output::Stderr, unreachable, PATIENCE)
        .unwrap();
    process.terminate().unwrap();
    assert_eq!(process.wait(PATIENCE).unwrap().code(), Some(0));
    for line in process.output(Output::Stderr) {
        assert!(line.contains("WARN thoughtgate: "), "{line}");
    }
}

#[test]
fn mistakes_before_the_start_are_plain_text() {
    for arguments in [&["--nonsense"][..], &["--check"], &[]] {
        let output = Command::new(env!("CARGO_BIN_EXE_thoughtgate"))
            .args(arguments)
            .env(JSON.0, JSON.1)
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.starts_with("thoughtgate: error: "), "{error}");
    }
}

#[test]
fn an_error_of_the_start_is_the_last_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_thoughtgate"))
        .args(["--upstream", "http://127.0.0.1:1/mcp", "--listen", &address])
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    let last = error.lines().last().unwrap();
    assert!(is_text(last) && last.contains("ERROR"), "{error}");
    assert!(last.contains(&address), "{error}");
}

#[tokio::test]
async fn a_burst_of_refusals_is_counted() {
    let (_upstream, proxy) = pair("");
    for _ in 0..40 {
        let hostile = r"x\n2026-11-26T16:35:00.123Z ERROR thoughtgate: forged \u202e";
        assert_eq!(proxy.post(&call(hostile)).await.status, 200);
    }
    // The rest of one second, or of two when the machine is slow.
    let counted = |lines: &[String]| -> usize {
        let more = lines.iter().filter_map(|line| {
            let (rest, _) = line.split_once(" more requests were refused")?;
            rest.rsplit(' ').next()?.parse::<usize>().ok()
        });
        let own = lines
            .iter()
            .filter(|line| line.contains("refused by policy"));
        own.count() + more.sum::<usize>()
    };
    let until = tokio::time::Instant::now() + PATIENCE;
    while counted(&log(&proxy)) < 40 {
        assert!(tokio::time::Instant::now() < until, "{:?}", log(&proxy));
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let lines = log(&proxy);
    assert_eq!(counted(&lines), 40);
    assert!(lines.len() < 40, "{lines:?}");
    for line in lines {
        assert!(is_text(&line) && !line.contains('\u{202e}'), "{line}");
    }
}

#[tokio::test]
async fn a_refusal_before_a_decision_has_its_status_and_no_argument() {
    let (_upstream, proxy) = pair(ALL);
    let twice = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","name":"SECRET"}}"#;
    assert_eq!(proxy.post(twice).await.status, 400);
    let line = line(&proxy, "INFO thoughtgate: refused: ");
    assert!(line.ends_with("status=400"), "{line}");
    assert!(!log(&proxy).concat().contains("SECRET"));
}

#[tokio::test]
async fn a_refused_resource_is_named_without_what_may_be_secret_in_its_uri() {
    let (_upstream, proxy) = pair("");
    let read = |uri: &str| {
        json!({"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": uri}})
            .to_string()
    };
    proxy
        .post(&read("https://user:SECRET@host/a/b?key=SECRET#SECRET"))
        .await;
    let first = line(&proxy, "method=\"resources/read\"");
    assert!(first.contains(" name=\"https://host/a/b\""), "{first}");
    proxy
        .post(&read(&format!("file:///{}", "x".repeat(5000))))
        .await;
    let second = line(&proxy, "name=\"file:///xxx");
    assert!(second.len() < 500, "{second}");
    assert!(!log(&proxy).concat().contains("SECRET"));
}

#[tokio::test]
async fn a_fault_of_the_upstream_is_two_lines() {
    let (upstream, proxy) = pair(ALL);
    proxy.post(&call("echo")).await;
    upstream.turn(|knobs| knobs.fault = Fault::CloseBeforeAnswer);
    for _ in 0..5 {
        assert_eq!(proxy.post(&call("echo")).await.status, 502);
    }
    upstream.turn(|knobs| knobs.fault = Fault::None);
    let again = "INFO thoughtgate: requests to the upstream succeed again failures=5";
    let until = tokio::time::Instant::now() + PATIENCE;
    while !log(&proxy).iter().any(|line| line.contains(again)) {
        assert!(tokio::time::Instant::now() < until, "{:?}", log(&proxy));
        assert_eq!(proxy.post(&call("echo")).await.status, 200);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let lines = log(&proxy).join("\n");
    assert_eq!(
        lines.matches("requests to the upstream").count(),
        2,
        "{lines}"
    );
    let failed = "WARN thoughtgate: requests to the upstream fail: ";
    assert!(lines.contains(failed), "{lines}");
}
