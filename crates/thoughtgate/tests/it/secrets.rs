//! No part of a refused configuration is printed: a value in the wrong place may be a secret. The log,
//! `--check`, `/ready` and `/metrics` name the place and the setting instead.

use std::path::Path;
use std::process::Command;

use thoughtgate_test::mock_mcp;
use thoughtgate_test::process::Output;

use crate::support::{ALL, PATIENCE, Proxy, refused_reloads};

/// Mistakes: a text of the valid configuration, and its replacement.
const TOKEN: &str = "    token: xoxb-SECRET\n";
const MISTAKES: &[(&str, &str)] = &[
    (TOKEN, "    token: xoxb-SECRET\n    tokn: 3\n"),
    (TOKEN, "    token: \"xoxb-SECRET\n"),
    (TOKEN, "    token: xoxb-SECRET\n   oops: 1\n"),
    (TOKEN, "    token: [xoxb-SECRET]\n"),
    (TOKEN, "    token: {xoxb-SECRET: 1}\n"),
    (TOKEN, "\ttoken: xoxb-SECRET\n"),
    (TOKEN, "    token: xoxb-SECRET\n    token: xoxb-SECRET\n"),
    (TOKEN, "    token: *xoxb-SECRET\n"),
    (TOKEN, "    token: &xoxb-SECRET [1]\n"),
    (TOKEN, "    token: \"xoxb-SECRET\\n\\x01\"\n"),
    (TOKEN, "    token: \"\\qSECRET\"\n"),
    (TOKEN, "    xoxb-SECRET\n"),
    (TOKEN, "    token_file: xoxb-SECRET\n"),
    (TOKEN, "    token: x\n    signing_secret_file: SECRET\n"),
    (TOKEN, "    token: x\n    timeout: SECRET\n"),
    ("[U0APPROVER]", "xoxb-SECRET"),
    ("[U0APPROVER]", "[U0APPROVER, xoxb-SECRET]"),
    ("[U0APPROVER]", "[U0APPROVER, {SECRET: 1}]"),
    ("base_url: http://127.0.0.1:1", "base_url: SECRET"),
    (
        "base_url: http://127.0.0.1:1",
        "base_url: http://a:SECRET@b/",
    ),
    (
        "base_url: http://127.0.0.1:1",
        "base_url: 'http://SECRET here'",
    ),
    ("workers: 1\n", "xoxb-SECRET: 1\n"),
    ("workers: 1\n", "workers: SECRET\n"),
    ("workers: 1\n", "listen: SECRET\n"),
    ("workers: 1\n", "audit: [SECRET]\n"),
    ("workers: 1\n", "audit: {when_full: SECRET}\n"),
    ("workers: 1\n", "policy_annotations: SECRET\n"),
    ("workers: 1\n", "agent: {header: 'x SECRET'}\n"),
    ("workers: 1\n", "agent: {jwt: {key_file: '-----SECRET'}}\n"),
    (
        "workers: 1\n",
        "agent: {jwt: {key_file: thoughtgate.yaml}}\n",
    ),
    ("workers: 1\n", "agent: {groups: {SECRET: SECRET}}\n"),
    ("workers: 1\n", "tool_groups: {a: [SECRET, [SECRET]]}\n"),
    ("workers: 1\n", "limits: {depth: SECRET}\n"),
    ("workers: 1\n", "timeouts: {head: SECRET}\n"),
    ("upstream: {", "upstream: xoxb-SECRET\nx: {"),
    ("upstream: {", "upstream: {naem: SECRET, "),
];

fn config(upstream: &str, mistake: (&str, &str)) -> String {
    let good = format!(
        "workers: 1\nupstream: {{url: '{upstream}'}}\npolicy: p.cedar\napproval:\n  slack:\n{TOKEN}    base_url: http://127.0.0.1:1\n    channel: C0123456789\n    approvers: [U0APPROVER]\n"
    );
    let bad = good.replacen(mistake.0, mistake.1, 1);
    assert!(bad != good || mistake.0.is_empty(), "{mistake:?}");
    bad
}

fn write(folder: &Path, text: &str) -> String {
    let path = folder.join("thoughtgate.yaml");
    std::fs::write(folder.join("new"), text).unwrap();
    std::fs::rename(folder.join("new"), &path).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Runs `--check`; returns the exit code, and standard output with standard error.
fn check(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_thoughtgate"))
        .arg("--check")
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(printed).unwrap())
}

#[tokio::test]
async fn a_refused_configuration_is_not_quoted() {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.cedar"), ALL).unwrap();
    let path = write(folder.path(), &config(&upstream.url(), ("", "")));
    let proxy = Proxy::with(&["--config", &path], &[]);
    for (index, mistake) in MISTAKES.iter().enumerate() {
        write(folder.path(), &config(&upstream.url(), *mistake));
        let (code, printed) = check(&["--config", &path], &[]);
        assert_eq!(code, Some(2), "{mistake:?}\n{printed}");
        assert!(!printed.contains("SECRET"), "{mistake:?}\n{printed}");
        refused_reloads(&proxy, index + 1).await;
        let ready = proxy.get("/ready").await.text();
        let metrics = proxy.get("/metrics").await.text();
        for text in [ready, metrics] {
            assert!(!text.contains("SECRET"), "{mistake:?}\n{text}");
        }
    }
    let ready = proxy.get("/ready").await.json();
    assert_eq!(
        ready["checks"]["policies"]["last_reload_error"],
        "the configuration was refused; see the log for the reason"
    );
    let log = proxy.process.output(Output::Stderr).join("\n");
    assert!(
        log.matches("reload refused").count() >= MISTAKES.len(),
        "{log}"
    );
    assert!(!log.contains("SECRET"), "{log}");
}

#[test]
fn nor_are_the_environment_and_the_arguments() {
    for (variable, text) in [
        ("APPROVAL_SLACK_TOKEN", "xoxb-SECRET\u{1}"),
        ("APPROVAL_OPEN", "xoxb-SECRET"),
        ("APPROVAL_HOLD", "xoxb-SECRET"),
        ("LISTEN", "SECRET"),
        ("AGENT_GROUPS", "{xoxb-SECRET"),
        ("AGENT_GROUPS", "{xoxb-SECRET: {a: 1}}"),
        ("TOOL_GROUPS", "[SECRET]"),
        ("TOOL_GROUPS", "SECRET"),
        ("UPSTREAM_URL", "http://user:SECRET@127.0.0.1/"),
        ("UPSTREAM_URL", "http://user:SECRET @127.0.0.1/"),
        ("UPSTREAM_URL", "ftp://127.0.0.1/SECRET"),
        ("AGENT_JWT_KEY_FILE", "SECRET"),
        ("AGENT_HEADER", "SECRET SECRET"),
    ] {
        let name = format!("THOUGHTGATE_{variable}");
        let (code, printed) = check(&[], &[(&name, text)]);
        assert_eq!(code, Some(2), "{name}={text}\n{printed}");
        assert!(!printed.contains("SECRET"), "{name}={text}\n{printed}");
    }
    for arguments in [
        &["--upstream", "http://user:SECRET@127.0.0.1/"][..],
        &["--workers", "SECRET"],
        &["--workers=1", "--workers=SECRET"],
        &["--listen", "SECRET"],
        &["--check=SECRET"],
        &["--token=SECRET"],
        &["--xoxb-SECRET"],
        &["SECRET"],
    ] {
        let (code, printed) = check(arguments, &[]);
        assert_eq!(code, Some(2), "{arguments:?}\n{printed}");
        assert!(!printed.contains("SECRET"), "{arguments:?}\n{printed}");
    }
}

#[tokio::test]
async fn the_path_of_the_upstream_stays_out_of_log_and_readiness() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.cedar"), ALL).unwrap();
    let policy = folder.path().join("p.cedar");
    let proxy = Proxy::start("http://127.0.0.1:1/s/SECRET/mcp", &policy);
    // Waits for the first probe: before it, `/ready` gives another reason.
    let line = "WARN thoughtgate: the upstream is not reachable: ";
    proxy
        .process
        .wait_line(Output::Stderr, line, PATIENCE)
        .unwrap();
    let ready = proxy.ready_is(503).await;
    assert_eq!(
        ready["checks"]["upstream"]["reason"],
        "not reachable; see the log for the reason"
    );
    let log = proxy.process.output(Output::Stderr).join("\n");
    assert!(log.contains("upstream http://127.0.0.1:1)"), "{log}");
    assert!(!log.contains("SECRET"), "{log}");
}
