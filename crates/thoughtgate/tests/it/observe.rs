//! `mode: observe`: decisions are told and not carried out.

use serde_json::json;
use thoughtgate_test::client::{self, EventStream};
use thoughtgate_test::mock_mcp;
use thoughtgate_test::process::Output;

use crate::support::{PATIENCE, Proxy, call};

/// Permits one tool, asks about another, fails for a third, and refuses all else.
const POLICIES: &str = r#"
@id("a") permit (principal, action == Action::"tools/call", resource == Tool::"permitted");
@id("b") @approve permit (principal, action == Action::"tools/call", resource == Tool::"held");
@id("c") permit (principal, action == Action::"tools/call", resource == Tool::"fails")
when { context.arguments has n && context.arguments.n > 0 };
"#;

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

/// A folder with the policies and a configuration in this mode.
fn folder(url: &str, mode: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.cedar"), POLICIES).unwrap();
    configure(&folder, url, mode);
    folder
}

fn configure(folder: &tempfile::TempDir, url: &str, mode: &str) {
    let text = format!(
        "upstream: {{url: '{url}'}}\npolicy: p.cedar\nmode: {mode}\naudit: audit.jsonl\n\
         approval: {{slack: {{token: x, channel: C0, approvers: [U0], base_url: 'http://127.0.0.1:9'}}}}\n"
    );
    // In one step, as a reload expects it.
    let new = folder.path().join("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, folder.path().join("thoughtgate.yaml")).unwrap();
}

fn start(folder: &tempfile::TempDir) -> Proxy {
    let config = folder.path().join("thoughtgate.yaml");
    Proxy::with(&["--config", config.to_str().unwrap()], &[])
}

fn logged(proxy: &Proxy, text: &str) -> bool {
    let log = proxy.process.output(Output::Stderr);
    log.iter().any(|line| line.contains(text))
}

#[tokio::test]
async fn what_policies_would_refuse_or_hold_is_forwarded_and_told() {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let folder = folder(&upstream.url(), "observe");
    let proxy = start(&folder);
    assert!(logged(&proxy, "policies are NOT enforced"));
    let ready = proxy.ready_is(200).await;
    assert_eq!(ready["enforcing"], false);
    let failing = call("fails").replace("{}", r#"{"n":"text"}"#);
    for body in [call("permitted"), call("held"), call("refused"), failing] {
        let response = proxy.post(&body).await;
        assert_eq!(response.status, 200, "{body}: {}", response.text());
        assert!(
            response.json()["error"].is_null(),
            "{body}: {}",
            response.text()
        );
        assert!(response.json()["result"]["isError"] != true, "{body}");
    }
    assert_eq!(proxy.metric("thoughtgate_enforcing").await, Some(0.0));
    for decision in ["forward", "approve", "reject", "error"] {
        let series = format!("thoughtgate_observed_decisions_total{{decision=\"{decision}\"}}");
        proxy.metric_is(&series, 1.0).await;
        let carried_out = format!("thoughtgate_decisions_total{{outcome=\"{decision}\"}}");
        assert_eq!(proxy.metric(&carried_out).await, Some(0.0), "{decision}");
    }
    // Lists are uncut.
    let url = upstream.url();
    let direct = thoughtgate_test::client::post_json(&url, &[], LIST.to_owned());
    let direct = direct.await.unwrap();
    assert_eq!(proxy.post(LIST).await.text(), direct.text());
    // What is no valid message is refused.
    assert_eq!(proxy.post("{").await.status, 400);
    proxy
        .process
        .wait_line(
            Output::Stderr,
            "WARN thoughtgate: not enforced (`mode: observe`): requests that would have been refused: ",
            PATIENCE,
        )
        .unwrap();
    drop(proxy);
    let audit = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    for decision in ["forward", "approve", "reject", "error"] {
        let line = audit
            .lines()
            .find(|line| line.contains(&format!("\"decision\":\"{decision}\"")));
        assert!(line.unwrap().contains("\"observed\":true"), "{line:?}");
    }
}

#[tokio::test]
async fn a_reload_changes_the_mode() {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let folder = folder(&upstream.url(), "enforce");
    let proxy = start(&folder);
    proxy.ready().await;
    assert_eq!(proxy.metric("thoughtgate_enforcing").await, Some(1.0));
    assert!(!logged(&proxy, "NOT enforced"));
    let is_forwarded = || async {
        let answer = proxy.post(&call("refused")).await.json();
        answer["error"].is_null() && answer["result"]["isError"] != true
    };
    assert!(!is_forwarded().await);
    configure(&folder, &upstream.url(), "observe");
    proxy.metric_is("thoughtgate_enforcing", 0.0).await;
    assert!(is_forwarded().await);
    let line = "thoughtgate: mode changed: policies are observed";
    proxy
        .process
        .wait_line(Output::Stderr, line, PATIENCE)
        .unwrap();
    let line = "WARN thoughtgate: policies are NOT enforced";
    proxy
        .process
        .wait_line(Output::Stderr, line, PATIENCE)
        .unwrap();
    configure(&folder, &upstream.url(), "enforce");
    proxy.metric_is("thoughtgate_enforcing", 1.0).await;
    assert!(!is_forwarded().await);
    assert!(proxy.ready_is(200).await["enforcing"].is_null());
}

/// The next event's tools, or its method.
async fn next(stream: &mut EventStream) -> String {
    let event = stream.next_data().await.unwrap().json();
    let tools = event["result"]["tools"].as_array();
    let names = tools.map(|tools| tools.iter().map(|tool| tool["name"].as_str().unwrap()));
    names.map_or_else(
        || event["method"].as_str().unwrap().to_owned(),
        |names| names.collect::<Vec<_>>().join(","),
    )
}

#[tokio::test]
async fn lists_on_an_open_stream_follow_the_mode() {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let tools = json!({ "tools": [{ "name": "permitted" }, { "name": "refused" }] });
    upstream.turn(|knobs| {
        knobs.results.insert("tools/list".to_owned(), tools.clone());
    });
    let pushed = json!({ "jsonrpc": "2.0", "id": 1, "result": tools }).to_string();
    let folder = folder(&upstream.url(), "observe");
    let proxy = start(&folder);
    let mut stream = client::get_stream(&proxy.url(), &[]).await.unwrap();
    upstream.wait_for(|stats| stats.open_streams == 1).await;
    // Names the tools whose change is to be notified.
    proxy.post(LIST).await;
    upstream.push(&pushed);
    assert_eq!(next(&mut stream).await, "permitted,refused");
    for (mode, enforcing, listed) in [
        ("enforce", 1.0, "permitted"),
        ("observe", 0.0, "permitted,refused"),
    ] {
        configure(&folder, &upstream.url(), mode);
        proxy.metric_is("thoughtgate_enforcing", enforcing).await;
        assert_eq!(next(&mut stream).await, "notifications/tools/list_changed");
        upstream.push(&pushed);
        assert_eq!(next(&mut stream).await, listed, "{mode}");
    }
}

#[tokio::test]
async fn without_policies_there_is_nothing_to_observe() {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let url = upstream.url();
    let proxy = Proxy::with(&["--upstream", &url], &[("THOUGHTGATE_MODE", "observe")]);
    let answer = proxy.post(&call("refused")).await.json();
    assert!(
        !answer["error"].is_null() || answer["result"]["isError"] == true,
        "{answer}"
    );
}
