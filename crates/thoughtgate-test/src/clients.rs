//! MCP clients of all kinds at once: permitted and denied calls, calls that need approval in each
//! delivery, clients that disconnect, lists, and invalid messages.
//!
//! Each call has a unique mark in its arguments. The calls and their results are written to a journal,
//! one line each; the reader of the journal judges them.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::client;

mod message;

use message::Message;

/// A tool that the policies must permit.
pub const PERMITTED: &str = "echo";
/// A tool that the policies must not permit.
pub const DENIED: &str = "tool_1";
/// A tool that must need approval.
pub const APPROVED: &str = "deploy";

/// The action that a client repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Calls a permitted tool, in both eras in turn.
    Permitted,
    /// Calls a denied tool.
    Denied,
    /// Lets its call be held until an approver has decided, with progress or by sending it again.
    Held,
    /// Retries with the `requestState` of the answer.
    Retried,
    /// Accepts a task, and polls it until it ends.
    Task,
    /// Disconnects during a call.
    Aborted,
    /// Lists tools.
    Lists,
    /// Sends invalid messages.
    Broken,
}

impl Role {
    /// All roles, with the number of clients of each, and their mean pause between calls.
    pub const ALL: [(Role, u64, Duration); 8] = [
        (Role::Permitted, 4, Duration::from_millis(20)),
        (Role::Denied, 1, Duration::from_millis(40)),
        (Role::Held, 3, Duration::from_millis(200)),
        (Role::Retried, 2, Duration::from_millis(200)),
        (Role::Task, 2, Duration::from_millis(200)),
        (Role::Aborted, 2, Duration::from_millis(300)),
        (Role::Lists, 1, Duration::from_millis(150)),
        (Role::Broken, 1, Duration::from_millis(100)),
    ];

    fn name(self) -> &'static str {
        match self {
            Role::Permitted => "permitted",
            Role::Denied => "denied",
            Role::Held => "held",
            Role::Retried => "retried",
            Role::Task => "task",
            Role::Aborted => "aborted",
            Role::Lists => "lists",
            Role::Broken => "broken",
        }
    }
}

/// Code of the refusal that says that an approval is pending.
const PENDING: i64 = 42501;

/// State that all clients share.
#[derive(Debug)]
pub struct Clients {
    /// URL of the MCP endpoint.
    pub url: String,
    /// File that gets one line per call.
    pub journal: File,
    /// Makes the clients finish their calls and stop.
    pub stop: AtomicBool,
}

/// Runs all clients until [`Clients::stop`] is set.
///
/// # Errors
/// The journal cannot be written.
pub async fn run(clients: Arc<Clients>) -> io::Result<()> {
    let mut running = tokio::task::JoinSet::new();
    let mut number = 0;
    for (role, count, rest) in Role::ALL {
        for _ in 0..count {
            running.spawn(again_and_again(Arc::clone(&clients), role, number, rest));
            number += 1;
        }
    }
    while let Some(ended) = running.join_next().await {
        ended.map_err(io::Error::other)??;
    }
    Ok(())
}

async fn again_and_again(
    clients: Arc<Clients>,
    role: Role,
    client: u64,
    rest: Duration,
) -> io::Result<()> {
    let mut count = 0;
    while !clients.stop.load(Ordering::Relaxed) {
        let call = Call {
            url: &clients.url,
            agent: format!("{}-{client}", role.name()),
            mark: format!("{}-{client}-{count}", role.name()),
            count,
        };
        // A proxy that is down is expected in a soak test: the call is recorded as lost.
        let end = call.make(role).await.unwrap_or_else(|_| "lost".to_owned());
        let line = json!({ "role": role.name(), "mark": call.mark, "how": end });
        // One write per line, so that a killed process leaves no half line.
        (&clients.journal).write_all(format!("{line}\n").as_bytes())?;
        count += 1;
        tokio::time::sleep(spread(rest, count)).await;
    }
    Ok(())
}

/// One call of one client.
struct Call<'c> {
    url: &'c str,
    agent: String,
    mark: String,
    count: u64,
}

impl Call<'_> {
    async fn make(&self, role: Role) -> io::Result<String> {
        match role {
            Role::Permitted => self.plain(PERMITTED).await,
            Role::Denied => self.plain(DENIED).await,
            Role::Held => self.held().await,
            Role::Retried => self.retried().await,
            Role::Task => self.task().await,
            Role::Aborted => self.aborted().await,
            Role::Lists => self.lists().await,
            Role::Broken => self.broken().await,
        }
    }

    fn message(&self, tool: &str) -> Message {
        let params = json!({"name": tool, "arguments": {"mark": self.mark}});
        if self.count.is_multiple_of(2) {
            Message::legacy("tools/call", &params, &self.agent)
        } else {
            Message::modern("tools/call", &params, &json!({}), &self.agent)
        }
    }

    async fn plain(&self, tool: &str) -> io::Result<String> {
        Ok(end(&self.message(tool).send(self.url).await?))
    }

    async fn held(&self) -> io::Result<String> {
        let params = json!({"name": APPROVED, "arguments": {"mark": self.mark}});
        let mut call = Message::legacy("tools/call", &params, &self.agent);
        if self.count.is_multiple_of(2) {
            call.body["params"]["_meta"] = json!({ "progressToken": self.mark });
        }
        loop {
            let answer = call.answer(self.url).await?;
            // Without progress it has to send the same call again. The timeout of the approval ends the loop.
            if answer["result"]["_meta"]["thoughtgate/refusal"]["code"] != PENDING {
                return Ok(end(&answer));
            }
        }
    }

    async fn retried(&self) -> io::Result<String> {
        let params = json!({"name": APPROVED, "arguments": {"mark": self.mark}});
        let call = Message::modern("tools/call", &params, &json!({}), &self.agent);
        let mut answer = call.send(self.url).await?;
        // No limit of its own: the timeout of the approval ends the loop.
        while answer["result"]["resultType"] == "input_required" {
            let mut again = call.clone();
            again.body["params"]["requestState"] = answer["result"]["requestState"].clone();
            answer = again.send(self.url).await?;
        }
        Ok(end(&answer))
    }

    async fn task(&self) -> io::Result<String> {
        let tasks = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
        let params = json!({"name": APPROVED, "arguments": {"mark": self.mark}});
        let call = Message::modern("tools/call", &params, &tasks, &self.agent);
        let created = call.send(self.url).await?;
        let Some(id) = created["result"]["taskId"].as_str() else {
            return Ok(end(&created));
        };
        let get = Message::modern("tasks/get", &json!({ "taskId": id }), &tasks, &self.agent);
        loop {
            let answer = get.send(self.url).await?;
            let task = &answer["result"];
            match task["status"].as_str() {
                Some("working") => tokio::time::sleep(Duration::from_millis(100)).await,
                Some("completed") => return Ok(end(&json!({ "result": task["result"] }))),
                Some("failed") => return Ok(end(&json!({ "error": task["error"] }))),
                Some(status) => return Ok(status.to_owned()),
                None => return Ok(end(&answer)),
            }
        }
    }

    async fn aborted(&self) -> io::Result<String> {
        let tool = [PERMITTED, APPROVED][usize::from(self.count.is_multiple_of(3))];
        let patience = spread(Duration::from_millis(40), self.count);
        let call = self.message(tool);
        Ok(
            match tokio::time::timeout(patience, call.answer(self.url)).await {
                Ok(answer) => end(&answer?),
                Err(_) => "left".to_owned(),
            },
        )
    }

    async fn lists(&self) -> io::Result<String> {
        let list = Message::legacy("tools/list", &json!({}), &self.agent);
        let answer = list.answer(self.url).await?;
        let shown = answer["result"]["tools"].to_string().contains(DENIED);
        Ok(if shown {
            "shown".to_owned()
        } else {
            end(&answer)
        })
    }

    async fn broken(&self) -> io::Result<String> {
        const BODIES: [&str; 6] = [
            "",
            "{",
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","Name":"deploy"}}"#,
            r#"[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"deploy"}}]"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo\u0000"}}"#,
        ];
        let body = BODIES[usize::try_from(self.count).unwrap_or(0) % BODIES.len()];
        let headers = [("x-agent", self.agent.as_str())];
        let response = client::post_json(self.url, &headers, body).await?;
        Ok(format!("status {}", response.status))
    }
}

/// From a half to eleven eighths of `time`, so that clients do not run in lockstep.
fn spread(time: Duration, count: u64) -> Duration {
    let eighths = 4 + u32::try_from(count.wrapping_mul(5) % 8).unwrap_or(0);
    time * eighths / 8
}

/// The result of a call, as the journal words it.
fn end(answer: &Value) -> String {
    let refused = &answer["result"]["_meta"]["thoughtgate/refusal"]["code"];
    if refused.is_number() {
        return format!("refused {refused}");
    }
    // A result too, but one that says that the tool failed.
    if answer["result"]["isError"] == true {
        return "tool error".to_owned();
    }
    match (&answer["result"], &answer["error"]["code"]) {
        (Value::Object(_), _) => "result".to_owned(),
        (_, Value::Number(code)) => format!("error {code}"),
        _ => "no answer".to_owned(),
    }
}
