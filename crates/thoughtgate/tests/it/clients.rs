//! Real MCP clients and agent frameworks through the proxy: each lists tools, makes a permitted call, a
//! refused one, and one that a human approves.
//!
//! Their scripts, and the versions of all that they need, are in `tests/clients`, one folder each. They
//! are installed below `target/`, once. Models are scripted: no framework needs one that is real.

mod install;

use std::ffi::OsStr;
use std::time::Duration;

use serde::Deserialize;
use thoughtgate_test::mock_mcp;
use thoughtgate_test::mock_slack;
use thoughtgate_test::process::{Output, Process};

use crate::support::{Proxy, before, policy};

/// Environment variable that runs all clients; `cargo xtask test --all-clients` sets it.
const ALL: &str = "ALL_CLIENTS";
/// Environment variable with the seconds after which the approver answers.
const APPROVAL_SECONDS: &str = "APPROVAL_SECONDS";
/// Time for all but the approval, on a loaded machine.
const PATIENCE_SECONDS: u64 = 60;

const POLICIES: &str = r#"
    @id("free") permit (principal == Agent::"alice", action == Action::"tools/call", resource)
    when { ["tool_0", "tool_1"].contains(resource.name) };
    @id("no prod") @reason("production is frozen")
    forbid (principal, action == Action::"tools/call", resource == Tool::"tool_1")
    when { context.arguments has env && context.arguments.env == "prod" };
    @id("ask") @approve
    permit (principal == Agent::"alice", action == Action::"tools/call", resource == Tool::"echo");
"#;

/// What a client's code, or its model, saw.
#[derive(Deserialize)]
struct Report {
    listed: Vec<String>,
    permitted: Answer,
    refused: Answer,
    /// The call that needs approval, and its repetitions.
    approved: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    text: String,
    /// `None` for a client that passes on the text alone.
    is_error: Option<bool>,
}

#[test]
fn python_sdk_2() {
    check("python-2");
}

#[test]
fn typescript_sdk_1() {
    check("typescript-1");
}

#[test]
fn langgraph() {
    check("langgraph");
}

#[test]
fn mcp_remote() {
    check("mcp-remote");
}

#[test]
fn python_sdk_1() {
    check_if_all("python-1");
}

#[test]
fn typescript_sdk_2() {
    check_if_all("typescript-2");
}

#[test]
fn fastmcp() {
    check_if_all("fastmcp");
}

#[test]
fn inspector() {
    check_if_all("inspector");
}

#[test]
fn openai_agents() {
    check_if_all("openai-agents");
}

#[test]
fn pydantic_ai() {
    check_if_all("pydantic-ai");
}

#[test]
fn mcp_use() {
    check_if_all("mcp-use");
}

/// The others take minutes to install, and share their transport with one of the four above.
fn check_if_all(client: &str) {
    if std::env::var_os(ALL).is_some() {
        check(client);
    } else {
        eprintln!("NOT RUN: the client {client} is run by `cargo xtask test --all-clients`");
    }
}

fn check(client: &str) {
    let program = match install::install(client) {
        Ok(program) => program,
        Err(missing) => {
            assert!(
                std::env::var_os("CI").is_none(),
                "the client {client} cannot run: {missing}"
            );
            eprintln!("NOT RUN: the client {client} needs python3, or node and npm: {missing}");
            return;
        }
    };
    let seconds: u64 = std::env::var(APPROVAL_SECONDS)
        .map_or(3, |text| text.parse().expect("a number of seconds"));
    let upstream = mock_mcp::spawn(mock_mcp::Config {
        tools: 3,
        ..mock_mcp::Config::default()
    });
    let upstream = upstream.unwrap();
    let mut config = mock_slack::Config::default();
    config.knobs.decision = Some(mock_slack::Decision {
        after_ms: seconds * 1000,
        user: "U0APPROVER".to_owned(),
        reaction: "white_check_mark".to_owned(),
    });
    let slack = mock_slack::spawn(config).unwrap();
    let file = policy(POLICIES);
    let proxy = Proxy::with(
        &before(&upstream.url(), file.path()),
        &[
            ("THOUGHTGATE_AGENT_HEADER", "x-agent"),
            ("THOUGHTGATE_APPROVAL_SLACK_TOKEN", "xoxb-test"),
            ("THOUGHTGATE_APPROVAL_SLACK_BASE_URL", &slack.url()),
            ("THOUGHTGATE_APPROVAL_SLACK_CHANNEL", "C0APPROVALS"),
            ("THOUGHTGATE_APPROVAL_SLACK_APPROVERS", "U0APPROVER"),
        ],
    );
    let line = run(&program, &proxy.url(), seconds + PATIENCE_SECONDS);
    eprintln!("{client}: {line}");
    let report: Report = serde_json::from_str(&line).unwrap();

    assert_eq!(report.listed, ["echo", "tool_0", "tool_1"]);
    let Answer { text, is_error } = report.permitted;
    assert!(text.contains("ok") && is_error != Some(true), "{text}");
    let Answer { text, is_error } = report.refused;
    for part in ["tool_1", "no prod", "production is frozen"] {
        assert!(text.contains(part), "{part} is not in the refusal: {text}");
    }
    assert_ne!(is_error, Some(false), "{text}");
    let Answer { text, is_error } = report.approved.last().unwrap();
    assert!(text.contains("hello"), "{text}");
    assert_ne!(*is_error, Some(true), "{text}");
    // All tries joined one approval, and the upstream was called once for it, and never for the refusal.
    assert_eq!(slack.messages().len(), 1);
    assert_eq!(upstream.stats().tool_calls, 2);
}

/// Runs a client's script, and returns its report, one line of JSON.
fn run(program: &install::Program, url: &str, patience_seconds: u64) -> String {
    let patience = patience_seconds.to_string();
    let arguments = [
        program.script.as_os_str(),
        OsStr::new(url),
        OsStr::new(&patience),
    ];
    let mut command = std::process::Command::new(&program.interpreter);
    command
        .args(arguments)
        .current_dir(&program.folder)
        // Some keep files in the user's home, and one reports to its makers unless told not to.
        .env("HOME", &program.folder)
        .env("MCP_USE_ANONYMIZED_TELEMETRY", "false");
    let process = Process::spawn(command).unwrap();
    // The last try may begin just before the script's own limit.
    let limit = Duration::from_secs(2 * patience_seconds);
    let line = process.wait_line(Output::Stdout, "{\"listed\"", limit);
    line.unwrap_or_else(|error| panic!("{error}"))
}
