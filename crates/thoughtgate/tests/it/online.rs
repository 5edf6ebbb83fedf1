//! `--check --online`: the upstream and Slack as they are.

use std::process::Command;

use thoughtgate_test::{mock_mcp, mock_slack};

use crate::support::{ALL, policy};
use crate::upstream::scripted::{self, Scripted};

/// Exit code and standard output of a check of `upstream`, with Slack at this address.
fn check(upstream: &str, slack: Option<&str>) -> (Option<i32>, String) {
    check_policy(ALL, "C0APPROVALS", upstream, slack)
}

/// As `check`, with these policies, and the default channel of approvals.
fn check_policy(
    text: &str,
    channel: &str,
    upstream: &str,
    slack: Option<&str>,
) -> (Option<i32>, String) {
    let file = policy(text);
    let mut command = Command::new(env!("CARGO_BIN_EXE_thoughtgate"));
    command.args(["--check", "--online", "--upstream", upstream, "--policy"]);
    command.arg(file.path());
    if let Some(url) = slack {
        command.envs([
            ("THOUGHTGATE_APPROVAL_SLACK_TOKEN", "xoxb-test"),
            ("THOUGHTGATE_APPROVAL_SLACK_BASE_URL", url),
            ("THOUGHTGATE_APPROVAL_SLACK_CHANNEL", channel),
            ("THOUGHTGATE_APPROVAL_SLACK_APPROVERS", "U0APPROVER"),
        ]);
    }
    let output = command.output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn each_fact_has_a_line_and_a_failure_ends_with_2() {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let slack = mock_slack::spawn(mock_slack::Config::default()).unwrap();
    let (code, out) = check(&upstream.url(), Some(&slack.url()));
    assert_eq!(code, Some(0), "{out}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[1], "ok: the upstream answers MCP requests");
    assert!(lines.len() > 2, "nothing about Slack: {out}");
    assert!(!out.contains("xoxb-test"), "{out}");
    let dead = "http://127.0.0.1:9/mcp";
    let (code, out) = check(dead, Some(&slack.url()));
    assert_eq!(code, Some(2), "{out}");
    assert!(out.contains("\nfailed: the upstream: "), "{out}");
    assert!(out.contains("check that the server runs"), "{out}");
    let (code, out) = check(&upstream.url(), Some("http://127.0.0.1:9"));
    assert_eq!(code, Some(2), "{out}");
    assert!(out.contains("\nok: the upstream answers"), "{out}");
    assert!(
        out.lines().skip(2).any(|line| line.starts_with("failed: ")),
        "{out}"
    );
    let (code, out) = check(&upstream.url(), None);
    assert_eq!((code, out.lines().count()), (Some(0), 2), "{out}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_compresses_whatever_is_asked_is_a_warning() {
    let upstream = Scripted::start(|_| {
        let answer = scripted::json(200, "?");
        answer.replacen("\r\n", "\r\ncontent-encoding: gzip\r\n", 1)
    })
    .await;
    let (code, out) = check(&upstream.url("/mcp"), None);
    assert_eq!(code, Some(0), "{out}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[1], "ok: the upstream answers MCP requests");
    assert!(lines[2].starts_with("warning: the upstream: it compresses"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_upstream_is_asked_by_ping_for_a_complete_answer() {
    let upstream = Scripted::start(|request| match &*request.method {
        "GET" => scripted::json(405, ""),
        _ => scripted::json(404, "{}"),
    })
    .await;
    let (code, out) = check(&upstream.url("/mcp"), None);
    assert_eq!(code, Some(2), "{out}");
    assert!(out.contains("\nfailed: the upstream: status 404"), "{out}");
    let probes = upstream.probes();
    assert_eq!((probes.len(), &*probes[0].method), (1, "POST"));
}

#[test]
fn a_channel_that_does_not_exist_fails_also_if_a_policy_names_it() {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let slack = mock_slack::spawn(mock_slack::Config::default()).unwrap();
    let named = format!("@approve(\"#no-such-channel\") {ALL}");
    let general = format!("@approve(\"#general\") {ALL}");
    for (policy, channel, expected) in [
        (
            ALL,
            "#no-such-channel",
            Some("\nfailed: the channel of `approval.slack.channel` was not found"),
        ),
        (
            &named,
            "C0APPROVALS",
            Some("\nfailed: the channel `#no-such-channel` of `@approve` was not found"),
        ),
        (&general, "#general", None),
    ] {
        let (code, out) = check_policy(policy, channel, &upstream.url(), Some(&slack.url()));
        assert_eq!(code, Some(if expected.is_some() { 2 } else { 0 }), "{out}");
        assert!(expected.is_none_or(|line| out.contains(line)), "{out}");
    }
}

#[test]
fn online_is_a_part_of_check() {
    let output = Command::new(env!("CARGO_BIN_EXE_thoughtgate"))
        .args(["--online", "--upstream", "http://127.0.0.1:9/mcp"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}
