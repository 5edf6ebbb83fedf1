//! The start: which settings win, the policies of a directory, addresses, and the lines about them.

use thoughtgate_test::process::Output;

use crate::mistakes::{config, run};
use crate::support::{ALL, PATIENCE, Proxy, before, call, is_permitted, policy, refusal};

#[test]
fn the_environment_and_the_flags_win_in_this_order() {
    let (_folder, path) =
        config("upstream: {url: 'http://127.0.0.1:1/mcp'}\npolicy: p.cedar\nworkers: 1\n");
    let arguments = ["--config", &path, "--check"];
    assert_eq!(run(&arguments, &[("THOUGHTGATE_WORKERS", "2")]).0, Some(0));
    let (code, _, error) = run(&arguments, &[("THOUGHTGATE_WORKERS", "many")]);
    assert_eq!(code, Some(2));
    assert!(
        error.contains("`THOUGHTGATE_WORKERS`") && error.contains("not a whole number"),
        "{error}"
    );
    let flag = [&arguments[..], &["--workers", "3"]].concat();
    assert_eq!(
        run(&flag, &[("THOUGHTGATE_WORKERS", "0")]).0,
        Some(0),
        "the flag wins"
    );
    assert_eq!(run(&arguments, &[("THOUGHTGATE_WORKERS", "0")]).0, Some(2));
}

#[test]
fn a_misspelt_variable_is_told() {
    let file = policy(ALL);
    let arguments = [
        &before("http://127.0.0.1:1/mcp", file.path())[..],
        &["--check"],
    ]
    .concat();
    let (code, _, error) = run(&arguments, &[("THOUGHTGATE_UPSTREAM", "http://x/")]);
    assert_eq!(code, Some(0));
    assert!(
        error.contains("environment variable `THOUGHTGATE_UPSTREAM` matches no setting"),
        "{error}"
    );
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let file = policy(ALL);
    let arguments = [
        &before("http://127.0.0.1:1/mcp", file.path())[..],
        &["--listen", &address],
    ]
    .concat();
    let (code, _, error) = run(&arguments, &[]);
    assert_eq!(code, Some(2));
    assert!(
        error.contains(&format!("failed to listen on {address}")),
        "{error}"
    );
}

#[tokio::test]
async fn policies_of_a_directory_are_joined() {
    let upstream =
        thoughtgate_test::mock_mcp::spawn(thoughtgate_test::mock_mcp::Config::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (name, tool) in [("a.cedar", "a"), ("b.cedar", "b"), ("ignored.txt", "c")] {
        let text = format!(
            "permit (principal, action == Action::\"tools/call\", resource == Tool::\"{tool}\");"
        );
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let proxy = Proxy::start(&upstream.url(), folder.path());
    assert!(is_permitted(&proxy.post(&call("a")).await.json()));
    assert!(is_permitted(&proxy.post(&call("b")).await.json()));
    let answer = proxy.post(&call("c")).await.json();
    assert_eq!(refusal(&answer)["code"], 40301);
}

#[test]
fn a_line_at_the_start_says_where_everything_is() {
    let file = policy(ALL);
    let arguments = before("http://127.0.0.1:1/mcp", file.path());
    let apart = [&arguments[..], &["--admin-listen", "127.0.0.1:0"]].concat();
    for (arguments, has_admin) in [(&arguments[..], false), (&apart, true)] {
        let proxy = Proxy::with(arguments, &[]);
        let line = proxy
            .process
            .wait_line(Output::Stderr, "thoughtgate: MCP at ", PATIENCE)
            .unwrap();
        let main = proxy.address();
        let admin = if has_admin {
            proxy.admin_address()
        } else {
            main.to_owned()
        };
        let places = format!(
            " INFO thoughtgate: MCP at http://{main}/mcp, health at http://{admin}/health and \
             http://{admin}/ready, metrics at http://{admin}/metrics"
        );
        assert!(line.ends_with(&places), "{line}");
    }
}

#[test]
fn an_address_for_others_without_verified_agents_is_warned_of() {
    let file = policy(ALL);
    // No address is opened: the port is taken.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (ip, agent, expected) in [
        ("0.0.0.0", None, Some("as the configured agent")),
        ("0.0.0.0", Some("x-agent"), Some("as any agent")),
        ("127.0.0.1", Some("x-agent"), None),
    ] {
        let address = format!("{ip}:{port}");
        let arguments = before("http://127.0.0.1:1/mcp", file.path());
        let arguments = [&arguments[..], &["--listen", &address]].concat();
        let header = agent.map(|agent| ("THOUGHTGATE_AGENT_HEADER", agent));
        let environment: Vec<_> = header.into_iter().collect();
        let (_, _, log) = run(&arguments, &environment);
        assert!(log.contains("failed to listen"), "{log}");
        let warnings = log
            .lines()
            .filter(|line| line.contains("anyone who can connect"));
        let warnings: Vec<_> = warnings.collect();
        assert_eq!(warnings.len(), usize::from(expected.is_some()), "{log}");
        if let Some(expected) = expected {
            assert!(warnings[0].contains(" WARN thoughtgate: "), "{log}");
            assert!(warnings[0].contains(expected), "{log}");
        }
    }
}
