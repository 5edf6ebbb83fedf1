//! Mistakes in configuration and policies: what their author sees, and that what is valid is accepted.

use std::process::Command;

use thoughtgate_test::process::Output;

use crate::support::{ALL, Proxy, before, outcome, policy};

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
fn files_without_a_policy_are_a_mistake_unless_they_say_so() {
    let (folder, path) = config("upstream: {url: 'http://127.0.0.1:1/mcp'}\npolicy: policies\n");
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    let write = |text| std::fs::write(policies.join("p.cedar"), text).unwrap();
    let explain = ["explain", "--config", &path, "--tool", "a"];
    for text in ["", "\n// permit (principal, action, resource);\n"] {
        write(text);
        for arguments in [&["--config", &path, "--check"][..], &explain] {
            let (code, out, err) = run(arguments, &[]);
            assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}");
            assert_eq!(
                err,
                "thoughtgate: error: the policy files contain no policy; to refuse everything, write \
                 `forbid (principal, action, resource);`\n"
            );
        }
    }
    let proxy = Proxy::with(&["--config", &path], &[]);
    let log = proxy.process.output(Output::Stderr);
    let warned = "every tool call is refused: the policy files contain no policy";
    assert!(log.iter().any(|line| line.contains(warned)), "{log:?}");
    write("forbid (principal, action, resource);");
    let (code, _, err) = run(&["--config", &path, "--check"], &[]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
}

#[test]
fn a_file_without_a_policy_beside_others_is_told() {
    let (folder, path) = config("upstream: {url: 'http://127.0.0.1:1/mcp'}\npolicy: policies\n");
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    std::fs::write(policies.join("permits.cedar"), ALL).unwrap();
    std::fs::write(policies.join("forbids.cedar"), "\n").unwrap();
    let expected = format!(
        "policy file `{}` contains no policy",
        policies.join("forbids.cedar").display()
    );
    let (code, out, err) = run(&["--config", &path, "--check"], &[]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("ok: "), "{out}");
    assert_eq!(err, format!("thoughtgate: warning: {expected}\n"));
    let proxy = Proxy::with(&["--config", &path], &[]);
    let log = proxy.process.output(Output::Stderr);
    assert!(log.iter().any(|line| line.contains(&expected)), "{log:?}");
    assert!(!log.iter().any(|line| line.contains("permits.cedar")));
    // A reload that empties another file says so, too.
    std::fs::write(policies.join("more.cedar"), "// later").unwrap();
    let more = format!(
        "policy file `{}` contains no policy",
        policies.join("more.cedar").display()
    );
    let patience = crate::support::PATIENCE;
    proxy
        .process
        .wait_line(Output::Stderr, &more, patience)
        .unwrap();
}

#[test]
fn policies_that_do_not_mean_what_they_say() {
    let (folder, path) = config(
        "upstream: {url: 'http://127.0.0.1:1/mcp'}\npolicy: p.cedar\npolicy_annotations: [team]\n\
         tool_groups: {destructive: [drop]}\nagent: {groups: {ops: [alice]}}\n",
    );
    let check = |policy: &str| {
        std::fs::write(folder.path().join("p.cedar"), policy).unwrap();
        let (code, out, err) = run(&["--config", &path, "--check"], &[]);
        (code, out + &err)
    };
    for (policy, expected) in [
        ("@aprove", "p.cedar:1:1: policy `policy0@"),
        ("@Approve", "did you mean `@approve`?"),
        ("@Team", "unknown annotation `@Team`"),
        ("@risk", "`policy_annotations`"),
    ] {
        let (code, said) = check(&format!("{policy}(\"x\") {ALL}"));
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    let (code, said) = check(
        r#"forbid (principal, action == Action::"tools/call", resource in ToolGroup::"destructve");"#,
    );
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("did you mean `ToolGroup::\"destructive\"`?"),
        "{said}"
    );
    assert_eq!(check(&format!("@team(\"x\") {ALL}")).0, Some(0));
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
fn all_mistakes_in_policies_are_reported_at_once() {
    let (folder, path) = config("upstream: {url: 'http://127.0.0.1:1/mcp'}\npolicy: .\n");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "p.cedar",
        "@aprove permit (principal, action, resource)\npermit (principal == \"bob\", action, resource);\n",
    );
    write(
        "q.cedar",
        "@id(\"q\") permit (principal, action, resource == Tol::\"x\");\n",
    );
    let (code, out, err) = run(&["--config", &path, "--check"], &[]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(lines.len(), 4, "{err}");
    for (line, expected) in lines.iter().zip([
        "p.cedar:1:1: policy `policy0@",
        "p.cedar:1:45: expected `;`",
        "p.cedar:2:22: expected an entity uid",
        "q.cedar:1:49: for policy `q`, unrecognized entity type `Tol`; did you mean `Tool`?",
    ]) {
        assert!(
            line.starts_with("thoughtgate: error: failed to load policies: "),
            "{line}"
        );
        assert!(line.contains(expected), "{line}\n{expected}");
    }
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
        let url = "upstream: {url: 'http://127.0.0.1:1/mcp'}\npolicy: p.cedar\n";
        let (folder, path) = config(&format!("{url}{text}\n"));
        std::fs::write(folder.path().join("blank"), " \n").unwrap();
        let (code, out, error) = run(&["--config", &path, "--check"], &[]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{text}");
        assert!(error.contains(expected), "{text}\n{error}");
        assert_eq!(error.lines().count(), 1, "{text}\n{error}");
    }
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

#[test]
fn a_bad_policy_is_named_with_its_place() {
    let file = policy(
        "permit (principal, action, resource);\npermit (principal, action == Action::\"tool/call\", resource);\n",
    );
    let arguments = before("http://127.0.0.1:1/mcp", file.path());
    let (code, _, error) = run(&arguments, &[]);
    assert_eq!(code, Some(2));
    assert!(
        error.contains(&format!("{}:2:", file.path().display())),
        "{error}"
    );
    assert!(error.contains("tools/call"), "{error}");
}

#[test]
fn approval_needs_a_channel() {
    let file = policy("@id(\"pay\") @approve permit (principal, action, resource);");
    let arguments = [
        &before("http://127.0.0.1:1/mcp", file.path())[..],
        &["--check"],
    ]
    .concat();
    let (code, _, error) = run(&arguments, &[]);
    assert_eq!(code, Some(2));
    assert!(
        error.contains("`pay` asks for approval, but no approval channel is configured"),
        "{error}"
    );
}
