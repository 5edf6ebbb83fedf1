//! All mistakes at once, each with the place of its setting, and none that only follows from another one.

use std::path::Path;
use std::process::Command;

use crate::mistakes::config;
use crate::support::{ALL, outcome};

/// The lines of `--check` on `text` beside `p.cedar`, without what all of them begin with.
fn check(text: &str, flags: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
    let (folder, _) = config(text);
    check_in(folder.path(), flags, variables)
}

fn check_in(folder: &Path, flags: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thoughtgate"));
    command
        .current_dir(folder)
        .args(["--config", "thoughtgate.yaml", "--check"])
        .args(flags)
        .envs(variables.iter().copied());
    let (code, out, error) = outcome(&mut command);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{error}");
    assert!(!error.contains("SECRET"), "{error}");
    let line = |line: &str| {
        line.strip_prefix("thoughtgate: error: ")
            .unwrap()
            .to_owned()
    };
    error.lines().map(line).collect()
}

fn assert_begin(found: &[String], expected: &[&str]) {
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
}

const FILE: &str = "configuration `thoughtgate.yaml`, line";

/// `expected` behind the name of the file.
fn at(expected: &[&str]) -> Vec<String> {
    expected
        .iter()
        .map(|rest| format!("{FILE} {rest}"))
        .collect()
}

fn assert_at(found: &[String], expected: &[&str]) {
    let expected = at(expected);
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    assert_begin(found, &expected);
}

#[test]
fn every_item_that_is_wrong_has_its_place() {
    let found = check(
        "\
upstream: {url: 'ftp://SECRET'}
policy: p.cedar
allowed_hosts: ['https://SECRET', fine, '*']
allowed_origins:
  - SECRET
  - http://fine.example
  - 'null'
trusted_proxies: [SECRET, 10.0.0.0/8, SECRET]
public_url: SECRET
timeouts: {connect: 0s}
limits:
  depth: 500
agent:
  header: 'SECRET SECRET'
audit: {file: stdout, arguments: ['*', path, /SECRET]}
approval:
  slack:
    token: x
    channel: SECRET
    approvers: ['@SECRET', U0, SECRET!]
    deny_reactions: [x, ':SECRET:']
    base_url: SECRET
",
        &[],
        &[],
    );
    assert_at(
        &found,
        &[
            "1, column 17: failed to use `upstream.url`: ",
            "10, column 21: `timeouts.connect` is 0",
            "8, column 19: `trusted_proxies`: item 1 of 3 ",
            "8, column 39: `trusted_proxies`: item 3 of 3 ",
            "15, column 35: item 1 of `audit.arguments` ",
            "15, column 46: item 3 of `audit.arguments` ",
            "19, column 14: `approval.slack.channel`: ",
            "20, column 17: `approval.slack.approvers`: approver 1 of 3 ",
            "20, column 32: `approval.slack.approvers`: approver 3 of 3 ",
            "21, column 25: `approval.slack.deny_reactions`: reaction 2 of 2 ",
            "22, column 15: `approval.slack.base_url`: ",
            "12, column 10: `limits.depth` is 500",
            "9, column 13: failed to use `public_url`: ",
            "3, column 17: `allowed_hosts`: item 1 of 3 ",
            "3, column 41: `allowed_hosts`: item 3 of 3 ",
            "5, column 5: `allowed_origins`: item 1 of 3 ",
            "7, column 5: `allowed_origins`: item 3 of 3 ",
            "14, column 11: `agent.header` is not ",
        ],
    );
}

#[test]
fn a_missing_token_hides_no_other_mistake_of_slack() {
    let found = check(
        "upstream: {url: 'http://127.0.0.1:1/mcp'}\npolicy: p.cedar\n\
         approval: {slack: {channel: Foo, approvers: ['@a', U0, '@b']}}\n",
        &[],
        &[],
    );
    assert_at(
        &found,
        &[
            "3, column 1: `approval` needs `slack.token`",
            "3, column 29: `approval.slack.channel`: ",
            "3, column 46: `approval.slack.approvers`: approver 1 of 3",
            "3, column 56: `approval.slack.approvers`: approver 3 of 3",
        ],
    );
}

#[test]
fn mistakes_of_form_hide_neither_those_of_meaning_nor_those_in_policies() {
    let text = "\
upstream: [SECRET]
policy: p.cedar
workers: SECRET
allowed_origins: [SECRET]
tool_groups: {a: SECRET}
limits: {depth: 0, body_bytes: SECRET}
";
    let (folder, _) = config(text);
    let policies = "permit (principal, action, resource in ToolGroup::\"a\");\n\
                    @aprove permit (principal, action, resource);\n";
    std::fs::write(folder.path().join("p.cedar"), policies).unwrap();
    let failed = "failed to parse configuration `thoughtgate.yaml`: line";
    assert_begin(
        &check_in(folder.path(), &[], &[]),
        &[
            &format!("{failed} 1, column 11: `upstream`: "),
            &format!("{failed} 3, column 10: `workers`: "),
            &format!("{failed} 5, column 18: `tool_groups`: "),
            &format!("{failed} 6, column 32: `limits.body_bytes`: "),
            &format!("{FILE} 6, column 17: `limits.depth` is 0"),
            &format!("{FILE} 4, column 19: `allowed_origins`: item 1 of 1"),
            "failed to load policies: p.cedar:2:1: ",
        ],
    );
}

#[test]
fn a_value_from_elsewhere_is_named_by_its_variable_or_flag() {
    let found = check(
        "upstream: {url: 'http://127.0.0.1:1/mcp'}\npolicy: p.cedar\nallowed_hosts: [SECRET!]\nlimits: {depth: SECRET}\n",
        &[
            "--upstream",
            "SECRET",
            "--workers",
            "0",
            "--policy",
            "gone.cedar",
        ],
        &[
            ("THOUGHTGATE_ALLOWED_HOSTS", "a,http://SECRET"),
            ("THOUGHTGATE_LIMITS_DEPTH", "1000"),
            ("THOUGHTGATE_MODE", "SECRET"),
            ("THOUGHTGATE_AGENT_ID", " "),
        ],
    );
    assert_begin(
        &found,
        &[
            "failed to parse configuration `thoughtgate.yaml`: line 4, column 17: `limits.depth`: ",
            "invalid value of `THOUGHTGATE_MODE` (setting `mode`)",
            "variable `THOUGHTGATE_AGENT_ID`: `agent.id` is empty",
            "flag `--upstream`: failed to use `upstream.url`",
            "flag `--workers`: `workers` is 0",
            "flag `--policy`: failed to read policies `gone.cedar`",
            "variable `THOUGHTGATE_LIMITS_DEPTH`: `limits.depth` is 1000",
            "variable `THOUGHTGATE_ALLOWED_HOSTS`: `allowed_hosts`: item 2 of 2 has a scheme",
        ],
    );
}

#[test]
fn a_file_that_is_not_yaml_does_not_hide_policies_that_a_flag_names() {
    let bad = format!("@aprove {ALL}");
    for text in [
        "upstream: {url: SECRET\npolicy: SECRET\n",
        " ",
        "- SECRET\n",
    ] {
        let (folder, _) = config(text);
        std::fs::write(folder.path().join("p.cedar"), &bad).unwrap();
        let found = check_in(folder.path(), &["--policy", "p.cedar"], &[]);
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(
            found[0].contains("configuration `thoughtgate.yaml`"),
            "{found:#?}"
        );
        assert!(
            found[1].starts_with("failed to load policies: p.cedar:1:1: "),
            "{found:#?}"
        );
    }
}

#[test]
fn a_configuration_without_upstream_and_policy_lacks_both() {
    let found = check("workers: 1\n", &[], &[]);
    assert_begin(
        &found,
        &["no upstream is configured", "no policy is configured"],
    );
}

#[test]
fn a_group_that_cannot_be_used_has_its_place() {
    let found = check(
        "upstream: {url: 'http://127.0.0.1:1/mcp'}\npolicy: p.cedar\ntool_groups: {a: []}\n",
        &[],
        &[],
    );
    assert_at(
        &found,
        &["3, column 1: failed to load policies: group `a` of `tool_groups`: "],
    );
}
