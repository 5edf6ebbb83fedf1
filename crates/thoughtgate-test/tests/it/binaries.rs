//! The binaries as processes: their first line, their output, their exit.

use std::io::Write;
use std::time::Duration;

use serde_json::Value;
use thoughtgate_test::client;
use thoughtgate_test::mock_mcp::{self, Config};
use thoughtgate_test::process::{Output, Process};

const PATIENCE: Duration = Duration::from_secs(10);
const MOCK_MCP: &str = env!("CARGO_BIN_EXE_mock-mcp");
const MOCK_SLACK: &str = env!("CARGO_BIN_EXE_mock-slack");
const LOAD: &str = env!("CARGO_BIN_EXE_load");

fn listening(process: &Process) -> String {
    let line = process.wait_line(Output::Stdout, "", PATIENCE).unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    format!("http://{}", line["listening"].as_str().unwrap())
}

fn run(program: &str, arguments: &[&str]) -> (i32, Vec<String>, String) {
    let mut process = Process::start(program, arguments, &[]).unwrap();
    process.close_stdin();
    let status = process.wait(PATIENCE).unwrap();
    // The last output may arrive just after the process has ended.
    let _ = process.wait_line(Output::Stdout, "\0", PATIENCE);
    let _ = process.wait_line(Output::Stderr, "\0", PATIENCE);
    let stderr = process.output(Output::Stderr).join("\n");
    (
        status.code().unwrap(),
        process.output(Output::Stdout),
        stderr,
    )
}

#[tokio::test]
async fn mock_mcp_tells_its_address_serves_and_ends_with_its_stdin() {
    let flags = [
        "--tools",
        "1",
        "--service-time-us",
        "200",
        "--exit-on-stdin-close",
    ];
    let mut process = Process::start(MOCK_MCP, &flags, &[]).unwrap();
    let base_url = listening(&process);
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let response = client::post_json(&format!("{base_url}/mcp"), &[], list)
        .await
        .unwrap();
    assert_eq!(
        response.json()["result"]["tools"].as_array().unwrap().len(),
        2
    );
    let stats = client::get(&format!("{base_url}/control/stats"), &[])
        .await
        .unwrap();
    assert_eq!(stats.json()["requests"], 1);
    process.close_stdin();
    assert_eq!(process.wait(PATIENCE).unwrap().code(), Some(0));
}

#[tokio::test]
async fn mock_mcp_outlives_its_stdin_unless_told() {
    let mut process = Process::start::<&str>(MOCK_MCP, &[], &[]).unwrap();
    let base_url = listening(&process);
    process.close_stdin();
    assert!(
        process.wait(Duration::from_millis(100)).is_err(),
        "it still runs"
    );
    let stats = client::get(&format!("{base_url}/control/stats"), &[])
        .await
        .unwrap();
    assert_eq!(stats.status, 200);
    process.terminate().unwrap();
    process.wait(PATIENCE).unwrap();
}

#[test]
fn mock_mcp_refuses_bad_flags_by_name() {
    for (flags, named) in [
        (["--error-rate", "1.5"], "--error-rate 1.5"),
        (["--error-status", "99"], "--error-status 99"),
        (["--listen", "nowhere"], "--listen"),
    ] {
        let (code, _, stderr) = run(MOCK_MCP, &flags);
        assert_ne!(code, 0);
        assert!(stderr.contains(named), "{stderr}");
    }
}

#[test]
fn load_prints_one_line_of_json() {
    let mock = mock_mcp::spawn(Config::default()).unwrap();
    let url = mock.url();
    let flags = [
        "--url",
        &url,
        "--rate",
        "100",
        "--duration-ms",
        "100",
        "--connections",
        "3",
        "--warmup-ms",
        "50",
        "--era",
        "modern",
        "--tool",
        "echo",
        "--header",
        "X-A: b:c",
    ];
    let (code, lines, stderr) = run(LOAD, &flags);
    assert_eq!((code, lines.len()), (0, 1), "{stderr}");
    let outcome: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(outcome["ok"], 10, "{outcome}");
    assert_eq!(outcome["connections"], 3);
    assert!(outcome["latency_us"]["p999"].as_f64().unwrap() > 0.0);
    let last = mock.requests().pop().unwrap();
    assert_eq!(last.header("mcp-name"), Some("echo"));
    assert_eq!(last.header("x-a"), Some("b:c"));
    assert_eq!(
        last.json()["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"],
        "2026-07-28"
    );
}

#[test]
fn load_checks_what_it_is_told_to_expect() {
    let mock = mock_mcp::spawn(Config::default()).unwrap();
    let url = mock.url();
    let flags = ["--url", &url, "--rate", "100", "--duration-ms", "50"];
    let count = |more: &[&str]| {
        let (_, lines, stderr) = run(LOAD, &[&flags[..], more].concat());
        let outcome: Value = serde_json::from_str(&lines.concat()).expect(&stderr);
        (outcome["ok"].as_u64().unwrap(), outcome["errors"].clone())
    };
    assert_eq!(count(&["--expect-body", "\"text\":\"ok\""]).0, 5);
    assert_eq!(count(&["--expect-body", "refused"]).1["wrong_body"], 5);
    assert_eq!(count(&["--expect-status", "403"]).1["status_200"], 5);
}

#[test]
fn load_drives_slices_as_they_are_written() {
    let mock = mock_mcp::spawn(Config::default()).unwrap();
    let mut process = Process::start(LOAD, &["--slices", "-", "--connections", "1"], &[]).unwrap();
    for label in ["a", "b"] {
        let slice = serde_json::json!({ "url": mock.url(), "rate": 100, "duration_ms": 50, "label": label });
        writeln!(process.stdin().unwrap(), "{slice}").unwrap();
        let line = process.wait_line(Output::Stdout, &format!(r#"{{"label":"{label}""#), PATIENCE);
        let outcome: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert_eq!(outcome["ok"], 5);
    }
    process.close_stdin();
    assert_eq!(process.wait(PATIENCE).unwrap().code(), Some(0));
    assert_eq!(mock.stats().connections, 1);
}

#[test]
fn load_refuses_misuse_by_name() {
    let (code, _, stderr) = run(LOAD, &["--url", "http://127.0.0.1:1/mcp"]);
    assert_ne!(code, 0);
    assert!(stderr.contains("--duration-ms"), "{stderr}");
    let missing = [
        "--url",
        "http://127.0.0.1:1/",
        "--duration-ms",
        "1",
        "--body",
        "/no/such",
    ];
    let (code, _, stderr) = run(LOAD, &missing);
    assert_ne!(code, 0);
    assert!(stderr.contains("/no/such"), "{stderr}");
    let mut process = Process::start(LOAD, &["--slices", "-"], &[]).unwrap();
    writeln!(
        process.stdin().unwrap(),
        "{{\"url\":\"x\",\"durtion_ms\":1}}"
    )
    .unwrap();
    assert_ne!(process.wait(PATIENCE).unwrap().code(), Some(0));
    process
        .wait_line(Output::Stderr, "Error: failed to parse slice 1", PATIENCE)
        .unwrap();
}

#[tokio::test]
async fn mock_slack_tells_its_address_serves_and_ends_with_its_stdin() {
    let flags = [
        "--token",
        "xoxb-mine",
        "--decision",
        "thumbsup",
        "--exit-on-stdin-close",
    ];
    let mut process = Process::start(MOCK_SLACK, &flags, &[]).unwrap();
    let base_url = listening(&process);
    let url = format!("{base_url}/api/chat.postMessage");
    let headers = [("Authorization", "Bearer xoxb-mine")];
    let message = r#"{"channel":"C1","text":"x"}"#;
    let answer = client::post_json(&url, &headers, message)
        .await
        .unwrap()
        .json();
    assert_eq!(answer["ok"], true, "{answer}");
    let messages = client::get(&format!("{base_url}/control/messages"), &[])
        .await
        .unwrap();
    assert_eq!(messages.json()[0]["reactions"][0]["users"][0], "U0APPROVER");
    process.close_stdin();
    assert_eq!(process.wait(PATIENCE).unwrap().code(), Some(0));
}
