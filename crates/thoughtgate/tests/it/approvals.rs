//! Calls that need human approval: the real binary between the upstream double and the Slack double.

mod answers;
mod bounds;
mod channels;
mod claims;
mod ends;
mod hostile;
mod large;
mod leaving;
mod logged;
mod pending;
mod restart;
mod revoking;
mod running;
mod set_up;
mod slack;
mod surroundings;
mod tasks;
mod told;
mod untold;
mod users;
mod ways;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use thoughtgate_test::client::{self, EventStream, Response};
use thoughtgate_test::mock_mcp::{self, MockMcp};
use thoughtgate_test::mock_slack::{self, MockSlack};
use thoughtgate_test::process::Output;

use crate::support::{PATIENCE, Proxy, before};

const APPROVER: &str = "U0APPROVER";
const STRANGER: &str = "U0STRANGER";
const CHANNEL: &str = "C0APPROVALS";

/// `deploy` needs approval, `echo` does not.
const POLICY: &str = r#"
    @id("risky") @approve
    permit (principal, action == Action::"tools/call", resource == Tool::"deploy");
    @id("harmless")
    permit (principal, action == Action::"tools/call", resource == Tool::"echo");
"#;

/// An upstream, a Slack, and the policies and environment of a proxy between them.
struct Scene {
    upstream: MockMcp,
    slack: MockSlack,
    folder: TempDir,
    environment: Vec<(String, String)>,
}

impl Scene {
    fn new() -> Scene {
        let slack = mock_slack::spawn(mock_slack::Config::default()).unwrap();
        let scene = Scene {
            upstream: mock_mcp::spawn(mock_mcp::Config::default()).unwrap(),
            folder: tempfile::tempdir().unwrap(),
            environment: Vec::new(),
            slack,
        };
        scene.write_policy(POLICY);
        let base_url = scene.slack.url();
        scene
            .with("APPROVAL_SLACK_TOKEN", "xoxb-test")
            .with("APPROVAL_SLACK_BASE_URL", &base_url)
            .with("APPROVAL_SLACK_CHANNEL", CHANNEL)
            .with("APPROVAL_SLACK_APPROVERS", APPROVER)
            .with("APPROVAL_SLACK_POLL_INTERVAL", "20ms")
            .with("APPROVAL_SLACK_POST_INTERVAL", "1ms")
            .with("APPROVAL_SLACK_TIMEOUT", "1s")
            .with("APPROVAL_KEEP_ALIVE", "50ms")
            .with("APPROVAL_HOLD", "50ms")
            .with("AGENT_HEADER", "x-agent")
    }

    /// With this setting added or changed.
    fn with(mut self, setting: &str, value: &str) -> Scene {
        let name = format!("THOUGHTGATE_{setting}");
        self.environment.retain(|(known, _)| *known != name);
        self.environment.push((name, value.to_owned()));
        self
    }

    /// With approvals stored in a file.
    fn kept(self) -> Scene {
        let store = self.folder.path().join("approvals.redb");
        self.with("APPROVAL_STORE", store.to_str().unwrap())
    }

    /// With an audit.
    fn audited(self) -> Scene {
        let file = self.audit_file();
        self.with("AUDIT", file.to_str().unwrap())
    }

    fn audit_file(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    /// Ends the proxy, and returns the lines of its audit.
    fn audit(&self, proxy: &mut Proxy) -> Vec<Value> {
        proxy.process.terminate().unwrap();
        proxy.process.wait(PATIENCE).unwrap();
        let text = std::fs::read_to_string(self.audit_file()).unwrap();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn policy(&self) -> PathBuf {
        self.folder.path().join("policies.cedar")
    }

    fn write_policy(&self, text: &str) {
        let new = self.folder.path().join("policies.new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.policy()).unwrap();
    }

    fn start(&self) -> Proxy {
        self.start_before(&self.upstream.url())
    }

    /// With another upstream.
    fn start_before(&self, url: &str) -> Proxy {
        let environment: Vec<(&str, &str)> = self
            .environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let policy = self.policy();
        let arguments = before(url, &policy);
        Proxy::with(&arguments, &environment)
    }

    /// Waits for the approval request number `count` and lets `user` answer it with `reaction`.
    async fn react(&self, count: usize, user: &str, reaction: &str) {
        let messages = self.slack.wait_for_messages(count).await;
        self.slack.react(&messages[count - 1].ts, user, reaction);
    }

    async fn approve(&self) {
        self.react(1, APPROVER, "white_check_mark").await;
    }

    /// Waits until the first message contains `text`.
    async fn message_says(&self, text: &str) {
        let says = |slack: &MockSlack| {
            let messages = slack.messages();
            let updates = messages.first().map_or(&[][..], |first| &first.updates);
            serde_json::to_string(updates).unwrap().contains(text)
        };
        self.slack.wait_for(says).await;
    }

    fn calls(&self) -> u64 {
        self.upstream.stats().tool_calls
    }
}

/// A message of one era, in the form that its clients send.
#[derive(Clone)]
struct Message {
    body: Value,
    headers: Vec<(&'static str, String)>,
}

impl Message {
    fn legacy(method: &str, params: &Value) -> Message {
        Message {
            body: json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}),
            headers: vec![("x-agent", "alice".to_owned())],
        }
    }

    /// `capabilities` are what the client declares.
    fn modern(method: &str, params: &Value, capabilities: &Value) -> Message {
        let mut message = Message::legacy(method, params);
        message.body["params"]["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": capabilities,
        });
        let params = &message.body["params"];
        let name = params["name"].as_str().or(params["taskId"].as_str());
        let name = name.unwrap_or_default().to_owned();
        message.headers.extend([
            ("mcp-protocol-version", "2026-07-28".to_owned()),
            ("mcp-method", method.to_owned()),
            ("mcp-name", name),
        ]);
        message
    }

    fn of(mut self, agent: &str) -> Message {
        agent.clone_into(&mut self.headers[0].1);
        self
    }

    fn header(mut self, name: &'static str, value: &str) -> Message {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn borrowed(&self) -> Vec<(&str, &str)> {
        crate::support::borrowed(&self.headers)
    }

    async fn send(&self, proxy: &Proxy) -> Response {
        client::post_json(&proxy.url(), &self.borrowed(), self.body.to_string())
            .await
            .unwrap()
    }

    /// Sends it as a client that accepts a stream, and reads up to the answer.
    async fn end(&self, proxy: &Proxy) -> Value {
        answer(&mut self.open(proxy).await).await
    }

    async fn open(&self, proxy: &Proxy) -> EventStream {
        client::post_stream(&proxy.url(), &self.borrowed(), self.body.to_string())
            .await
            .unwrap()
    }
}

/// Waits until the log has a line with `part`.
fn log(proxy: &Proxy, part: &str) {
    let found = proxy.process.wait_line(Output::Stderr, part, PATIENCE);
    found.unwrap();
}

/// The answer on a stream, or the whole of one that came before a stream was needed.
async fn answer(stream: &mut EventStream) -> Value {
    if stream.headers["content-type"] == "application/json" {
        return serde_json::from_slice(&stream.rest().await.unwrap()).unwrap();
    }
    loop {
        let message = stream.next_data().await.unwrap().json();
        if message["method"].is_null() {
            return message;
        }
    }
}

/// A call of `deploy` as each kind of client makes it.
fn held_call() -> Message {
    let mut call = repeated_call();
    call.body["params"]["_meta"] = json!({"progressToken": "p"});
    call
}

fn repeated_call() -> Message {
    Message::legacy(
        "tools/call",
        &json!({"name": "deploy", "arguments": {"to": "prod"}}),
    )
}

fn legacy_task_call() -> Message {
    let mut call = repeated_call();
    call.body["params"]["task"] = json!({"ttl": 60000});
    call
}

fn retried_call() -> Message {
    let params = json!({"name": "deploy", "arguments": {"to": "prod"}});
    Message::modern("tools/call", &params, &json!({}))
}

fn task_call() -> Message {
    let params = json!({"name": "deploy", "arguments": {"to": "prod"}});
    Message::modern("tools/call", &params, &with_tasks())
}

fn with_tasks() -> Value {
    json!({"extensions": {"io.modelcontextprotocol/tasks": {}}})
}

/// Retries `call` with the `requestState` of the previous answer while the answer is `input_required`.
async fn come_back(proxy: &Proxy, call: &Message, mut answer: Value) -> Value {
    while answer["result"]["resultType"] == "input_required" {
        let mut again = call.clone();
        again.body["params"]["requestState"] = answer["result"]["requestState"].clone();
        answer = again.send(proxy).await.json();
    }
    answer
}

/// Polls a task until it is no longer `working`.
async fn task_end(proxy: &Proxy, id: &str) -> Value {
    end_of(proxy, &get_task(id)).await
}

fn get_task(id: &str) -> Message {
    Message::modern("tasks/get", &json!({"taskId": id}), &with_tasks())
}

/// Sends `get` until its task is no longer `working`.
async fn end_of(proxy: &Proxy, get: &Message) -> Value {
    loop {
        let task = get.send(proxy).await.json()["result"].clone();
        if task["status"] != "working" {
            return task;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
