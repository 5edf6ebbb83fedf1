//! Mistakes in the configuration: what their author sees, and that what is valid is accepted.

use std::process::Command;

use crate::support::{ALL, before, outcome, policy};

mod policies;

/// Runs the binary; returns exit code, standard output and standard error.
pub fn run(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thoughtgate"));
    outcome(command.args(arguments).envs(environment.iter().copied()))
}

/// A configuration with this text, beside a policy file `p.cedar`.
pub fn config(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.cedar"), ALL).unwrap();
    let path = folder.path().join("thoughtgate.yaml");
    std::fs::write(&path, text).unwrap();
    (folder, path.to_str().unwrap().to_owned())
}

#[test]
fn check_accepts_what_is_valid() {
    let (_folder, path) = config(
        "upstream:\n  url: http://127.0.0.1:1/mcp\npolicy: p.cedar\ntool_groups:\n  safe: [a, b]\n",
    );
    let (code, out, _) = run(&["--config", &path, "--check"], &[]);
    assert_eq!(
        (code, out.as_str()),
        (
            Some(0),
            "ok: configuration, schema and 1 policies are valid\n"
        )
    );
}

#[test]
fn an_upstream_without_a_path_is_valid_and_warned_of() {
    for (url, warned) in [
        ("http://127.0.0.1:1", true),
        ("http://127.0.0.1:1/", false),
        ("http://127.0.0.1:1/mcp", false),
    ] {
        let (_folder, path) = config("policy: p.cedar\n");
        let (code, _, err) = run(&["--config", &path, "--upstream", url, "--check"], &[]);
        assert_eq!(code, Some(0), "{err}");
        assert_eq!(err.contains("`upstream.url` has no path"), warned, "{err}");
    }
}

#[test]
fn an_upstream_at_the_proxys_own_address_is_a_mistake() {
    let (_folder, path) = config(
        "upstream: {url: 'http://localhost:8080/mcp'}\npolicy: p.cedar\nlisten: 127.0.0.1:8080\n",
    );
    let (code, _, err) = run(&["--config", &path, "--check"], &[]);
    assert_eq!(code, Some(2));
    let expected = "line 1, column 17: `upstream.url` leads to this proxy's own address (`listen`, 127.0.0.1:8080)";
    assert!(err.contains(expected), "{err}");
    let elsewhere = ["--config", &path, "--listen", "127.0.0.1:8081", "--check"];
    assert_eq!(run(&elsewhere, &[]).0, Some(0));
}

#[test]
fn all_mistakes_in_the_configuration_are_reported_at_once() {
    let check = |text: &str, environment: &[(&str, &str)]| {
        let (_folder, path) = config(text);
        let (code, out, err) = run(&["--config", &path, "--check"], environment);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{text}");
        err
    };
    let all_found = |err: &str, expected: &[&str]| {
        assert_eq!(err.lines().count(), expected.len(), "{err}");
        for (line, expected) in err.lines().zip(expected) {
            assert!(line.starts_with("thoughtgate: error: "), "{line}");
            assert!(line.contains(expected), "{line}\n{expected}");
        }
    };
    // By their form, each with its place.
    let err = check(
        "upstream: {ulr: x}\npolicy: p.cedar\ntimeouts: {head: 30, drain: soon}\nmode: obseve\n",
        &[],
    );
    all_found(
        &err,
        &[
            "line 1, column 12: `upstream`: unknown key `ulr`; did you mean `url`?",
            "line 3, column 12: `timeouts.head`: expected a duration with its unit, such as `30s`",
            "line 3, column 22: `timeouts.drain`: expected a duration",
            "line 4, column 7: `mode`: ",
        ],
    );
    // By their values, in every part.
    let err = check(
        "upstream: {url: 'localhost:3000/mcp'}\npolicy: p.cedar\nworkers: 0\n\
         limits: {connections: 0, depth: 1000, list_bytes: 0}\ntimeouts: {head: 0s, body: 0s}\n\
         approval: {timeout: 1s}\nagent: {id: a, header: x}\n",
        &[],
    );
    all_found(
        &err,
        &[
            "expected a URL with its scheme",
            "`workers` is 0",
            "`limits.connections` is 0",
            "`timeouts.head` is 0",
            "`approval` needs `slack.token`",
            "`approval.slack` needs `channel`",
            "`approval.slack.approvers`: nobody may approve",
            "`limits.list_bytes` is 0",
            "`limits.depth` is 1000",
            "`timeouts.body` is 0",
            "are mutually exclusive",
        ],
    );
    let err = check(
        "upstream: {url: 'http://127.0.0.1:1/mcp'}\npolicy: p.cedar\nagent: {id: ' '}\n",
        &[
            ("THOUGHTGATE_WORKERS", "many"),
            ("THOUGHTGATE_LISTEN", "here"),
        ],
    );
    assert!(err.contains("`agent.id` is empty"), "{err}");
    let err = check(
        "upstream: {url: 'http://127.0.0.1:1/mcp'}\npolicy: p.cedar\n",
        &[
            ("THOUGHTGATE_WORKERS", "many"),
            ("THOUGHTGATE_LISTEN", "here"),
        ],
    );
    all_found(&err, &["`THOUGHTGATE_LISTEN`", "`THOUGHTGATE_WORKERS`"]);
}

#[test]
fn each_mistake_is_named_with_the_way_out() {
    let url = "upstream: {url: 'http://127.0.0.1:1/mcp'}\npolicy: p.cedar\n";
    for (text, expected) in [
        ("", "is empty"),
        ("policy: p.cedar\n", "--upstream URL"),
        ("upstream: {url: 'ftp://x'}\npolicy: p.cedar\n", "http://"),
        (
            "upstream: {url: 'http://127.0.0.1:1/mcp'}\npolicy: missing.cedar\n",
            "missing.cedar",
        ),
        (&format!("{url}lsten: 127.0.0.1:1\n"), "lsten"),
        (&format!("{url}listen: nonsense\n"), "listen"),
        (&format!("{url}workers: 0\n"), "`workers` is 0"),
        (
            &format!("{url}public_url: gate.example\n"),
            "failed to use `public_url`: it must be the http:// or https:// URL",
        ),
        (&format!("{url}timeouts: {{drain: soon}}\n"), "drain"),
        (&format!("{url}limits: {{depth: 1000}}\n"), "`limits.depth`"),
        (
            &format!("{url}agent: {{id: a, header: x}}\n"),
            "are mutually exclusive",
        ),
        (
            &format!("{url}agent: {{jwt: {{claim: sub}}}}\n"),
            "key_file",
        ),
        (
            &format!("{url}agent: {{jwt: {{key_file: p.cedar}}}}\n"),
            "PEM public key",
        ),
        (
            &format!("{url}agent: {{jwt: {{jwks_url: 'https://idp.example/secret'}}}}\n"),
            "`agent.jwt.jwks_url` needs `agent.jwt.issuer`",
        ),
        (
            &format!("{url}agent: {{jwt: {{jwks_url: 'http://idp.example/secret', issuer: i}}}}\n"),
            "failed to use `agent.jwt.jwks_url`: it must be an https:// URL",
        ),
        (
            &format!(
                "{url}agent: {{jwt: {{key_file: p.cedar, jwks_url: 'https://idp.example'}}}}\n"
            ),
            "`agent.jwt.key_file` and `agent.jwt.jwks_url` are mutually exclusive",
        ),
        (
            &format!(
                "{url}agent: {{jwt: {{jwks_url: 'https://idp.example', issuer: i, authorization_servers: ['https://idp.example']}}}}\n"
            ),
            "`agent.jwt.authorization_servers` needs `public_url`",
        ),
        (
            &format!(
                "{url}agent: {{jwt: {{jwks_url: 'https://idp.example', issuer: i, scopes: [a]}}}}\n"
            ),
            "`agent.jwt.scopes` needs `agent.jwt.authorization_servers`",
        ),
        (
            &format!(
                "{url}public_url: https://gate.example\nagent: {{jwt: {{jwks_url: 'https://idp.example', issuer: i, authorization_servers: ['http://secret']}}}}\n"
            ),
            "item 1 of `agent.jwt.authorization_servers` is not an issuer's URL",
        ),
        (
            &format!(
                "{url}public_url: gate\nagent: {{jwt: {{jwks_url: 'https://idp.example', issuer: i, authorization_servers: ['https://idp.example']}}}}\n"
            ),
            "failed to use `public_url`",
        ),
        (
            &format!("{url}admin_listen: 127.0.0.1:8080\n"),
            "same address",
        ),
        (&format!("{url}policy: p.cedar\n"), "policy"),
        ("upstream: [", "failed to parse configuration"),
    ] {
        let (_folder, path) = config(text);
        let (code, out, error) = run(&["--config", &path, "--check"], &[]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{text}");
        assert!(error.contains(expected), "{text}\n{error}");
        assert!(!error.contains("secret"), "{text}\n{error}");
        assert_eq!(
            error.lines().filter(|line| line.contains("error")).count(),
            1,
            "{text}\n{error}"
        );
    }
}

/// Checks that `text`, in a configuration that is right otherwise, is refused with `expected` and nothing else.
fn is_refused_alone(text: &str, expected: &str) {
    let url = "upstream: {url: 'http://127.0.0.1:1/mcp'}\npolicy: p.cedar\n";
    let (folder, path) = config(&format!("{url}{text}\n"));
    std::fs::write(folder.path().join("blank"), " \n").unwrap();
    let (code, out, error) = run(&["--config", &path, "--check"], &[]);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{text}");
    assert!(error.contains(expected), "{text}\n{error}");
    assert_eq!(error.lines().count(), 1, "{text}\n{error}");
}

#[test]
fn what_is_given_is_not_empty() {
    let slack = |line: &str| {
        format!(
            "approval: {{slack: {{channel: C0, approvers: [U0], base_url: 'http://127.0.0.1:1', {line}}}}}"
        )
    };
    let empty_file = |line: &str| slack(&format!("token: x, {line}"));
    for (text, expected) in [
        (slack("token: ''"), "`approval.slack.token` is empty"),
        (slack("token: \" \\t\""), "`approval.slack.token` is empty"),
        (
            slack("token: 'xoxb a'"),
            "`approval.slack.token` contains spaces or line breaks",
        ),
        (
            slack("token_file: ''"),
            "`approval.slack.token_file` is empty",
        ),
        (
            slack("token_file: blank"),
            "the file named by `approval.slack.token_file` is empty",
        ),
        (slack("token_file: ."), "directory"),
        (
            empty_file("signing_secret: ''"),
            "`approval.slack.signing_secret` is empty",
        ),
        (
            empty_file("signing_secret_file: blank"),
            "the file named by `approval.slack.signing_secret_file` is empty",
        ),
        (
            empty_file("deny_reactions: [x, '']"),
            "item 2 of 2 is empty",
        ),
        ("agent: {id: ''}".to_owned(), "`agent.id` is empty"),
        ("agent: {id: '  '}".to_owned(), "`agent.id` is empty"),
        ("agent: {header: ''}".to_owned(), "`agent.header` is empty"),
        (
            "agent: {header: Authorization}".to_owned(),
            "holds a credential",
        ),
        ("agent: {header: cookie}".to_owned(), "holds a credential"),
        (
            "agent: {header: Mcp-Name}".to_owned(),
            "another meaning in HTTP or MCP",
        ),
        (
            "agent: {jwt: {key_file: ''}}".to_owned(),
            "key_file` is empty",
        ),
        (
            "agent: {jwt: {key_file: blank}}".to_owned(),
            "PEM public key",
        ),
        ("agent: {jwt: {key_file: .}}".to_owned(), "directory"),
        (
            "agent: {jwt: {jwks_url: 'https://idp.example', issuer: i, audience: ''}}".to_owned(),
            "`agent.jwt.audience` is empty",
        ),
        (
            "agent: {jwt: {jwks_url: 'https://idp.example', issuer: ' '}}".to_owned(),
            "`agent.jwt.issuer` is empty",
        ),
        (
            "agent: {jwt: {jwks_url: 'https://idp.example', issuer: i, claim: ''}}".to_owned(),
            "`agent.jwt.claim` is empty",
        ),
        ("agent: {groups: {'': [a]}}".to_owned(), "agent.groups"),
        ("agent: {groups: {ops: ['']}}".to_owned(), "agent.groups"),
        ("agent: {groups: {ops: []}}".to_owned(), "agent.groups"),
        ("tool_groups: {safe: []}".to_owned(), "tool_groups"),
        (
            "allowed_hosts: [a, ' ']".to_owned(),
            "`allowed_hosts`: item 2 of 2 is empty",
        ),
        (
            "allowed_origins: ['']".to_owned(),
            "`allowed_origins`: item 1 of 1 is empty",
        ),
        ("audit: ''".to_owned(), "`audit.file` is empty"),
        (
            "policy_annotations: ['']".to_owned(),
            "`policy_annotations`",
        ),
    ] {
        is_refused_alone(&text, expected);
    }
}

#[test]
fn what_is_given_has_a_value() {
    for (text, expected) in [
        ("audit:", "line 3, column 1: `audit` is empty"),
        ("audit: {}", "`audit` is empty"),
        ("audit: {file: ~}", "`audit.file` is empty"),
        (
            "agent:\n  header:",
            "line 4, column 3: `agent.header` is empty; give it a value (request header that holds the agent's id) or leave it out",
        ),
        (
            "agent: {jwt: {key_file: null}}",
            "`agent.jwt.key_file` is empty",
        ),
        ("agent: {jwt: {}}", "`agent.jwt` is empty"),
        (
            "agent: {jwt: {jwks_url: 'https://idp.example', issuer: i, audience: }}",
            "`agent.jwt.audience` is empty",
        ),
        (
            "approval: {slack: {token: x, channel: C0, approvers: [U0], signing_secret: Null}}",
            "`approval.slack.signing_secret` is empty",
        ),
        ("timeouts: {head: }", "`timeouts.head`: not a valid value"),
    ] {
        is_refused_alone(text, expected);
    }
}

#[test]
fn a_setting_without_a_value_may_be_set_elsewhere_and_other_words_for_nothing_are_values() {
    let (_folder, path) = config(
        "upstream: {url: 'http://127.0.0.1:1/mcp'}\npolicy: p.cedar\naudit:\n\
         agent: {id: 'null', groups: {ops: ['~']}}\nlimits: {}\n",
    );
    let set = [("THOUGHTGATE_AUDIT", "stdout")];
    let (code, _, error) = run(&["--config", &path, "--check"], &set);
    assert_eq!(code, Some(0), "{error}");
}

#[test]
fn hosts_origins_and_proxies_are_ones_that_can_match() {
    for (text, expected) in [
        (
            "allowed_hosts: [a, 'https://tools.example']",
            "`allowed_hosts`: item 2 of 2 has a scheme",
        ),
        (
            "trusted_proxies: [10.0.0.0/8, proxy.example]",
            "`trusted_proxies`: item 2 of 2 is not an IP address or network",
        ),
        (
            "allowed_hosts: ['*']",
            "`allowed_hosts`: item 1 of 1 accepts every host",
        ),
        (
            "allowed_hosts: ['tools.example:http']",
            "`allowed_hosts`: item 1 of 1 has an invalid port",
        ),
        (
            "allowed_origins: ['https://app.example:8443/', 'app.example']",
            "`allowed_origins`: item 2 of 2 has no scheme",
        ),
        (
            "allowed_origins: ['*']",
            "`allowed_origins`: item 1 of 1 accepts every origin",
        ),
        (
            "allowed_origins: ['https://app.example/mcp']",
            "`allowed_origins`: item 1 of 1 has a path",
        ),
    ] {
        let (_folder, path) = config(&format!(
            "upstream: {{url: 'http://127.0.0.1:1/mcp'}}\npolicy: p.cedar\n{text}\n"
        ));
        let (code, _, error) = run(&["--config", &path, "--check"], &[]);
        assert_eq!(code, Some(2), "{text}");
        assert!(error.contains(expected), "{text}\n{error}");
    }
}

#[test]
fn no_environment_variable_is_set_and_empty() {
    let file = policy(ALL);
    let arguments = before("http://127.0.0.1:1/mcp", file.path());
    let arguments = [&arguments[..], &["--check"]].concat();
    for variable in ["AGENT_ID", "AGENT_JWT_AUDIENCE", "POLICY", "UPSTREAM_NAME"] {
        let name = format!("THOUGHTGATE_{variable}");
        let flags: &[&str] = if variable == "POLICY" {
            &["--check", "--upstream", "http://127.0.0.1:1/mcp"]
        } else {
            &arguments
        };
        let (code, _, error) = run(flags, &[(&name, "")]);
        assert_eq!(code, Some(2), "{name}");
        assert!(error.contains("is empty"), "{name}: {error}");
    }
}
