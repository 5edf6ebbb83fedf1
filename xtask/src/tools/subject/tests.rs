//! Errors of a failed start, and of a process that dies later, show the last lines of its stderr.

use super::server::Server;
use crate::tools::process::{Launch, Stream};

/// A server played by a shell: it announces an address where nobody listens, then does `then`.
fn server(then: &str) -> Server {
    let script = format!("echo at 127.0.0.1:1; {then}");
    let launch = Launch::new("sh").args(["-c", &script]);
    Server::start("the proxy", launch, Stream::Stdout, |text| {
        text.split_once('\n')?.0.strip_prefix("at ")?.parse().ok()
    })
    .unwrap()
}

#[test]
fn a_refused_start_is_told() {
    let launch = Launch::new("sh").args(["-c", "echo address in use >&2; exit 2"]);
    let error = Server::start("the proxy", launch, Stream::Stdout, |_| None).unwrap_err();
    let message = format!("{error:#}");
    assert!(
        message.starts_with("failed to start the proxy: `sh"),
        "{message}"
    );
    assert!(message.contains("(exit status: 2)"), "{message}");
    assert!(message.ends_with("  address in use"), "{message}");
}

#[test]
fn a_missing_binary_is_named() {
    let setup = super::Setup {
        binary: "/nowhere/thoughtgate".into(),
        config: "c".into(),
        policy: "p".into(),
        upstream: "http://127.0.0.1:1/mcp".to_owned(),
        slowdown: String::new(),
    };
    let error = super::Proxy::start(&setup).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("failed to start `/nowhere/thoughtgate"),
        "{error}"
    );
}

#[test]
fn a_death_in_the_middle_is_told_with_the_last_words() {
    let mut server = server("sleep 0.2; echo out of luck >&2; kill -SEGV $$");
    let message = loop {
        if let Err(error) = server.check_running() {
            break format!("{error:#}");
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    assert!(message.starts_with("the proxy died: `sh"), "{message}");
    assert!(message.contains("signal: 11"), "{message}");
    assert!(message.contains("out of luck"), "{message}");
}

#[test]
fn a_question_that_fails_names_whom_it_was_put_to() {
    let mut server = server("sleep 300");
    let message = format!("{:#}", server.get_ok("/metrics").unwrap_err());
    assert!(
        message.contains("failed to query the proxy at `http://127.0.0.1:1/metrics`"),
        "{message}"
    );
}
