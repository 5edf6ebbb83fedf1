//! Effects of a list of tools: open streams are notified when a reload changes it, and a name in a policy that
//! the upstream does not list is reported.

use std::sync::Arc;

use serde_json::json;
use thoughtgate_test::client;
use thoughtgate_test::mock_mcp::{self, MockMcp};
use thoughtgate_test::process::Output;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::support::{PATIENCE, Proxy, before, policy};

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
const CHANGED: &str = "notifications/tools/list_changed";

/// Policies that permit calls of these tools.
fn permitting(tools: &[&str]) -> String {
    let permit = |tool: &&str| {
        format!(
            r#"permit (principal, action == Action::"tools/call", resource == Tool::"{tool}");"#
        )
    };
    let stream = r#"permit (principal, action == Action::"stream", resource);"#;
    let permits: Vec<String> = tools.iter().map(permit).collect();
    stream.to_owned() + &permits.concat()
}

/// A policy file, whose text is replaced in one step.
struct Policies(tempfile::TempDir);

impl Policies {
    fn new(tools: &[&str]) -> Policies {
        let policies = Policies(tempfile::tempdir().unwrap());
        std::fs::write(policies.path(), permitting(tools)).unwrap();
        policies
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("p.cedar")
    }

    /// Replaces the text and waits until it is in force.
    async fn replace(&self, proxy: &Proxy, tools: &[&str], generation: f64) {
        let aside = self.0.path().join("new");
        std::fs::write(&aside, permitting(tools)).unwrap();
        std::fs::rename(aside, self.path()).unwrap();
        proxy
            .metric_is("thoughtgate_policy_generation", generation)
            .await;
    }
}

/// An upstream with the tools `a` and `b`.
fn upstream() -> MockMcp {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    upstream.turn(|knobs| {
        let tools = json!({ "tools": [{ "name": "a" }, { "name": "b" }] });
        knobs.results.insert("tools/list".to_owned(), tools);
    });
    upstream
}

fn pushed(number: u8) -> String {
    json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "data": number } })
        .to_string()
}

#[tokio::test]
async fn a_session_hears_of_a_reload_that_changes_its_tools_and_of_no_other() {
    let upstream = upstream();
    let policies = Policies::new(&["a"]);
    let proxy = Proxy::start(&upstream.url(), &policies.path());
    let mut stream = client::get_stream(&proxy.url(), &[]).await.unwrap();
    upstream.wait_for(|stats| stats.open_streams == 1).await;
    proxy.post(LIST).await;
    // Neither of these changes what a list with `a` and `b` shows.
    policies.replace(&proxy, &["a", "c"], 2.0).await;
    upstream.push(&pushed(1));
    let event = stream.next_data().await.unwrap().json();
    assert_eq!(event["params"]["data"], 1, "{event}");
    policies.replace(&proxy, &["a", "b"], 3.0).await;
    let event = stream.next_data().await.unwrap().json();
    assert_eq!(event, json!({ "jsonrpc": "2.0", "method": CHANGED }));
    upstream.push(&pushed(2));
    let event = stream.next_data().await.unwrap().json();
    assert_eq!(event["params"]["data"], 2, "{event}");
    drop(stream);
    upstream.wait_for(|stats| stats.open_streams == 0).await;
}

#[tokio::test]
async fn a_subscription_hears_of_it_if_it_asked() {
    let upstream = upstream();
    let policies = Policies::new(&["a"]);
    let proxy = Proxy::start(&upstream.url(), &policies.path());
    let listen = |id: &str, asked: bool| {
        let body = json!({
            "jsonrpc": "2.0", "id": id, "method": "subscriptions/listen",
            "params": {
                "notifications": { "toolsListChanged": asked },
                "_meta": {
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientCapabilities": {},
                },
            },
        });
        let url = proxy.url();
        let headers = [
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "subscriptions/listen"),
        ];
        async move {
            let mut stream = client::post_stream(&url, &headers, body.to_string())
                .await
                .unwrap();
            let first = stream.next_data().await.unwrap().json();
            assert!(
                first["method"].as_str().unwrap().ends_with("acknowledged"),
                "{first}"
            );
            stream
        }
    };
    let (mut asking, mut other) = (listen("s-1", true).await, listen("s-2", false).await);
    policies.replace(&proxy, &["b"], 2.0).await;
    let event = asking.next_data().await.unwrap().json();
    assert_eq!(event["method"], CHANGED);
    let id = &event["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
    assert_eq!(id, "s-1");
    upstream.push(&pushed(1));
    for stream in [&mut asking, &mut other] {
        let event = stream.next_data().await.unwrap().json();
        assert_eq!(event["params"]["data"], 1, "{event}");
    }
}

#[tokio::test]
async fn the_notification_waits_for_the_end_of_an_event() {
    let (sent, rest) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let (told, goes_on) = (Arc::clone(&sent), Arc::clone(&rest));
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let (told, goes_on) = (Arc::clone(&told), Arc::clone(&goes_on));
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let read = connection.read(&mut request).await.unwrap_or(0);
                if String::from_utf8_lossy(&request[..read]).contains("thoughtgate-probe/") {
                    return;
                }
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: open\n\n";
                let _ = connection.write_all(head.as_bytes()).await;
                let _ = connection.write_all(b"data: {\"a\":").await;
                told.notify_one();
                goes_on.notified().await;
                let _ = connection.write_all(b"1}\n\n").await;
                let _ = connection.read(&mut request).await;
            });
        }
    });
    let policies = Policies::new(&["a"]);
    let proxy = Proxy::start(&url, &policies.path());
    let mut stream = client::get_stream(&proxy.url(), &[]).await.unwrap();
    sent.notified().await;
    stream.next_event().await.unwrap();
    policies.replace(&proxy, &["b"], 2.0).await;
    rest.notify_one();
    assert_eq!(stream.next_data().await.unwrap().data, "{\"a\":1}");
    assert_eq!(stream.next_data().await.unwrap().json()["method"], CHANGED);
}

#[tokio::test]
async fn a_tool_that_only_policies_name_is_reported_once_a_list_was_seen() {
    let upstream = upstream();
    let policies = Policies::new(&["a", "tpyo"]);
    let proxy = Proxy::start(&upstream.url(), &policies.path());
    let ready = proxy.ready_is(200).await;
    assert!(
        ready["checks"]["policies"]["unlisted_tools"].is_null(),
        "{ready}"
    );
    proxy.post(LIST).await;
    let ready = proxy.ready_is(200).await;
    let unlisted = &ready["checks"]["policies"]["unlisted_tools"];
    assert_eq!(*unlisted, json!({ "count": 1, "names": ["tpyo"] }));
    proxy.post(LIST).await;
    policies.replace(&proxy, &["a", "b"], 2.0).await;
    proxy
        .process
        .wait_line(
            Output::Stderr,
            "thoughtgate: resolved: the upstream lists",
            PATIENCE,
        )
        .unwrap();
    let ready = proxy.ready_is(200).await;
    assert!(
        ready["checks"]["policies"]["unlisted_tools"].is_null(),
        "{ready}"
    );
    let mut log = proxy.process.output(Output::Stderr);
    log.retain(|line| line.contains("policies name tools that the upstream does not list"));
    assert!(log.len() == 1 && log[0].contains("\"tpyo\""), "{log:?}");
}

#[tokio::test]
async fn a_tool_that_policies_name_by_a_group_or_a_text_is_reported_too() {
    let upstream = upstream();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.yaml");
    std::fs::write(
        &config,
        "tool_groups: {destructive: [drop_bd, a], unused: [x]}\n",
    )
    .unwrap();
    let policies = policy(
        r#"permit (principal, action == Action::"tools/call", resource);
           forbid (principal, action == Action::"tools/call", resource in ToolGroup::"destructive");
           forbid (principal, action == Action::"tools/call", resource) when { resource.name == "rm_al" };
           forbid (principal, action == Action::"tools/call", resource) when { ["b", "tpyo"].contains(resource.name) };"#,
    );
    let url = upstream.url();
    let arguments = [
        &before(&url, policies.path())[..],
        &["--config", config.to_str().unwrap()],
    ];
    let proxy = Proxy::with(&arguments.concat(), &[]);
    proxy.ready().await;
    proxy.post(LIST).await;
    let ready = proxy.ready_is(200).await;
    let expected = json!({ "count": 3, "names": ["drop_bd", "rm_al", "tpyo"] });
    assert_eq!(ready["checks"]["policies"]["unlisted_tools"], expected);
    let warning = "thoughtgate: policies name tools that the upstream does not list: \
                   \"drop_bd\", \"rm_al\", \"tpyo\"";
    let stderr = &proxy.process;
    stderr.wait_line(Output::Stderr, warning, PATIENCE).unwrap();
}
