//! Real MCP clients and agent frameworks through the proxy: each lists tools, makes a permitted call, a
//! refused one, and one that a human approves. Python's SDK 2 also logs in.
//!
//! Their scripts, and the versions of all that they need, are in `tests/clients`, one folder each. They
//! are installed below `target/`, once. Models are scripted: no framework needs one that is real.

mod install;
mod login;

use std::time::{Duration, Instant};

use serde::Deserialize;
use thoughtgate_test::mock_mcp::{self, MockMcp};
use thoughtgate_test::mock_slack::{self, MockSlack};
use thoughtgate_test::process::{Output, Process};

use crate::support::{PATIENCE, Proxy, before, policy};

const APPROVER: &str = "U0APPROVER";
/// The name of the reaction that approves.
const APPROVAL: &str = "white_check_mark";

/// Environment variable that runs all clients; `cargo xtask test --all-clients` sets it.
const ALL: &str = "ALL_CLIENTS";
/// Environment variable with the seconds that the approver takes, to see what clients do meanwhile. By
/// default the approver waits only until the client has been told that approval is pending.
const APPROVAL_SECONDS: &str = "APPROVAL_SECONDS";
/// Time for all but the approval, on a loaded machine.
const PATIENCE_SECONDS: u64 = 60;
/// Clients of the session era, whose code or model is told to send the call again. The others do so by
/// themselves, or show a message of their own.
const TOLD: [&str; 6] = [
    "python-1",
    "typescript-1",
    "langgraph",
    "inspector",
    "mcp-remote",
    "mcp-use",
];

const POLICIES: &str = r#"
    @id("free") permit (principal == Agent::"alice", action == Action::"tools/call", resource)
    when { ["tool_0", "tool_1"].contains(resource.name) };
    @id("no prod") @reason("production is frozen")
    forbid (principal, action == Action::"tools/call", resource == Tool::"tool_1")
    when { context.arguments has env && context.arguments.env == "prod" };
    @id("ask") @approve
    permit (principal == Agent::"alice", action == Action::"tools/call", resource == Tool::"echo");
"#;

/// The answers that a client's code, or its model, saw.
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
    if let Some(program) = check("python-2") {
        login::check(&program);
    }
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

/// Returns the client, unless it cannot run here.
fn check(client: &str) -> Option<install::Program> {
    let program = match install::install(client) {
        Ok(program) => program,
        Err(missing) => {
            assert!(
                std::env::var_os("CI").is_none(),
                "the client {client} cannot run: {missing}"
            );
            eprintln!("NOT RUN: the client {client} needs python3, or node and npm: {missing}");
            return None;
        }
    };
    let seconds = std::env::var(APPROVAL_SECONDS).ok();
    let seconds: Option<u64> = seconds.map(|text| text.parse().expect("a number of seconds"));
    let scene = Scene::start(seconds);
    let is_told = TOLD.contains(&client) && seconds.is_none();
    let line = scene.report(&program, seconds, is_told);
    eprintln!("{client}: {line}");
    scene.judge(serde_json::from_str(&line).unwrap(), is_told);
    Some(program)
}

/// A proxy between an upstream and a Slack.
struct Scene {
    upstream: MockMcp,
    slack: MockSlack,
    proxy: Proxy,
}

impl Scene {
    /// With an approver who takes `seconds`, or else only answers to [`approve`].
    fn start(seconds: Option<u64>) -> Scene {
        let upstream = mock_mcp::spawn(mock_mcp::Config {
            tools: 3,
            ..mock_mcp::Config::default()
        });
        let upstream = upstream.unwrap();
        let slack = mock_slack::spawn(mock_slack::Config::default()).unwrap();
        slack.turn(|knobs| knobs.decision = seconds.map(after));
        let file = policy(POLICIES);
        let hold = if seconds.is_some() { "50s" } else { "1s" };
        let proxy = Proxy::with(
            &before(&upstream.url(), file.path()),
            &[
                ("THOUGHTGATE_AGENT_HEADER", "x-agent"),
                ("THOUGHTGATE_APPROVAL_SLACK_TOKEN", "xoxb-test"),
                ("THOUGHTGATE_APPROVAL_SLACK_BASE_URL", &slack.url()),
                ("THOUGHTGATE_APPROVAL_SLACK_CHANNEL", "C0APPROVALS"),
                ("THOUGHTGATE_APPROVAL_SLACK_APPROVERS", APPROVER),
                ("THOUGHTGATE_APPROVAL_HOLD", hold),
            ],
        );
        Scene {
            upstream,
            slack,
            proxy,
        }
    }

    /// Runs a client, and returns its report, one line of JSON. The call is approved after `seconds`, or as
    /// soon as the client was told to come back, if it is.
    fn report(&self, program: &install::Program, seconds: Option<u64>, is_told: bool) -> String {
        let patience = PATIENCE_SECONDS + seconds.unwrap_or(0);
        let process = start(program, &self.proxy.url(), patience);
        // The last try may begin just before the script's own limit.
        let limit = Duration::from_secs(2 * patience);
        let wait = |prefix| {
            let line = process.wait_line(Output::Stdout, prefix, limit);
            line.unwrap_or_else(|error| panic!("{error}"))
        };
        if is_told {
            wait("{\"try\"");
        }
        if seconds.is_none() {
            approve(&self.slack);
        }
        wait("{\"listed\"")
    }

    fn judge(&self, report: Report, is_told: bool) {
        assert_eq!(report.listed, ["echo", "tool_0", "tool_1"]);
        let Answer { text, is_error } = report.permitted;
        assert!(text.contains("ok") && is_error != Some(true), "{text}");
        let Answer { text, is_error } = report.refused;
        for part in ["tool_1", "no prod", "production is frozen"] {
            assert!(text.contains(part), "{part} is not in the refusal: {text}");
        }
        assert_ne!(is_error, Some(false), "{text}");
        if is_told {
            let Answer { text, is_error } = &report.approved[0];
            assert!(text.contains("Send the same call again"), "{text}");
            assert_eq!(*is_error, Some(true), "{text}");
        }
        let Answer { text, is_error } = report.approved.last().unwrap();
        assert!(text.contains("hello"), "{text}");
        assert_ne!(*is_error, Some(true), "{text}");
        // All tries joined one approval, and the upstream was called once for it, and never for the refusal.
        assert_eq!(self.slack.messages().len(), 1);
        assert_eq!(self.upstream.stats().tool_calls, 2);
    }
}

/// The approver's answer to each message, after these seconds.
fn after(seconds: u64) -> mock_slack::Decision {
    mock_slack::Decision {
        after_ms: seconds * 1000,
        user: APPROVER.to_owned(),
        reaction: APPROVAL.to_owned(),
    }
}

/// Approves the one call that is asked about.
fn approve(slack: &MockSlack) {
    let until = Instant::now() + PATIENCE;
    while slack.messages().is_empty() {
        assert!(Instant::now() < until, "nobody was asked");
        std::thread::sleep(Duration::from_millis(10));
    }
    slack.react(&slack.messages()[0].ts, APPROVER, APPROVAL);
}

/// Starts a client's script.
fn start(program: &install::Program, url: &str, patience_seconds: u64) -> Process {
    let patience = patience_seconds.to_string();
    let mut command = std::process::Command::new(&program.interpreter);
    command
        .args([program.script.as_os_str(), url.as_ref(), patience.as_ref()])
        .current_dir(&program.folder)
        // Some keep files in the user's home, and one reports to its makers unless told not to.
        .env("HOME", &program.folder)
        .env("MCP_USE_ANONYMIZED_TELEMETRY", "false");
    Process::spawn(command).unwrap()
}
