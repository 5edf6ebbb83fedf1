//! JSON-RPC replies of the MCP double, rendered once per change of the knobs: a reply to a request is
//! then two copies with the id in between.
//!
//! Contains no HTTP.

use std::collections::HashMap;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Value, json};

use super::envelope::{MODERN_VERSION, Params};
use super::knobs::Knobs;

const BEFORE_ID: &[u8] = br#"{"jsonrpc":"2.0","id":"#;
const NO_RESULT: &[u8] = b"}";

/// The newest version of the session-based protocol.
pub(super) const LEGACY_VERSION: &str = "2025-11-25";

/// The bytes after the id, by method, for both eras.
#[derive(Debug)]
pub(super) struct Replies {
    legacy: HashMap<String, Bytes>,
    modern: HashMap<String, Bytes>,
    unknown_method: Bytes,
}

impl Replies {
    pub(super) fn render(tools: usize, knobs: &Knobs) -> Self {
        let mut legacy = built_in(tools, knobs);
        legacy.insert("initialize", initialize());
        legacy.insert("ping", json!({}));
        legacy.insert("logging/setLevel", json!({}));
        let mut modern = built_in(tools, knobs);
        modern.insert("server/discover", discover());
        for (method, result) in &mut modern {
            result["resultType"] = json!("complete");
            if method.ends_with("/list") || matches!(*method, "resources/read" | "server/discover")
            {
                result["ttlMs"] = json!(60_000);
                // A proxy that filters a list by its client has to change this to `private`.
                result["cacheScope"] = json!("public");
            }
        }
        Self {
            legacy: tails(&legacy, knobs),
            modern: tails(&modern, knobs),
            unknown_method: error_tail(-32601, "method not found"),
        }
    }

    /// The bytes after the id in the reply to `method`; `None` for an unknown method.
    pub(super) fn tail(&self, method: &str, modern: bool) -> Option<&Bytes> {
        let replies = if modern { &self.modern } else { &self.legacy };
        replies.get(method)
    }

    pub(super) fn unknown_method(&self) -> &Bytes {
        &self.unknown_method
    }
}

/// A complete reply: `id` in its original spelling, then `tail`.
pub(super) fn reply(id: &str, tail: &[u8]) -> Bytes {
    let mut reply = BytesMut::with_capacity(BEFORE_ID.len() + id.len() + tail.len());
    reply.put_slice(BEFORE_ID);
    reply.put_slice(id.as_bytes());
    reply.put_slice(tail);
    reply.freeze()
}

/// A reply that is neither a result nor an error.
pub(super) fn reply_without_result(id: &str) -> Bytes {
    reply(id, NO_RESULT)
}

pub(super) fn error_tail(code: i64, message: &str) -> Bytes {
    format!(
        r#","error":{{"code":{code},"message":{}}}}}"#,
        json!(message)
    )
    .into()
}

/// The tail of the reply to a call of `echo`: its argument `message`, or else all arguments.
pub(super) fn echo_tail(params: &Params<'_>, modern: bool) -> Bytes {
    let arguments = params.arguments.map_or("{}", |raw| raw.get());
    let parsed: Value = serde_json::from_str(arguments).unwrap_or(Value::Null);
    let mut result = tool_result(parsed["message"].as_str().unwrap_or(arguments));
    if modern {
        result["resultType"] = json!("complete");
    }
    result_tail(&result)
}

fn tails(results: &HashMap<&str, Value>, knobs: &Knobs) -> HashMap<String, Bytes> {
    let mut tails: HashMap<String, Bytes> = results
        .iter()
        .map(|(method, result)| ((*method).to_owned(), result_tail(result)))
        .collect();
    for (method, result) in &knobs.results {
        tails.insert(method.clone(), result_tail(result));
    }
    tails
}

fn result_tail(result: &Value) -> Bytes {
    format!(r#","result":{result}}}"#).into()
}

fn tool_result(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "isError": false })
}

fn built_in(tools: usize, knobs: &Knobs) -> HashMap<&'static str, Value> {
    let text = match knobs.response_bytes {
        0 => "ok".to_owned(),
        length => "x".repeat(length),
    };
    let names = (0..tools).map(|number| format!("tool_{number}"));
    let listed: Vec<Value> = names
        .chain(["echo".to_owned()])
        .map(|name| {
            json!({
                "name": name,
                "description": "A tool of the double",
                "inputSchema": { "type": "object" },
            })
        })
        .collect();
    HashMap::from([
        ("tools/list", json!({ "tools": listed })),
        ("tools/call", tool_result(&text)),
        (
            "resources/list",
            json!({ "resources": [{ "uri": "mock://note", "name": "note" }] }),
        ),
        (
            "resources/templates/list",
            json!({ "resourceTemplates": [] }),
        ),
        (
            "resources/read",
            json!({ "contents": [{ "uri": "mock://note", "mimeType": "text/plain", "text": "note" }] }),
        ),
        ("resources/subscribe", json!({})),
        ("resources/unsubscribe", json!({})),
        ("prompts/list", json!({ "prompts": [{ "name": "greet" }] })),
        (
            "prompts/get",
            json!({ "messages": [{ "role": "user", "content": { "type": "text", "text": "hello" } }] }),
        ),
        (
            "completion/complete",
            json!({ "completion": { "values": [], "hasMore": false } }),
        ),
    ])
}

fn capabilities() -> Value {
    json!({ "tools": {}, "resources": {}, "prompts": {}, "completions": {} })
}

fn server_info() -> Value {
    json!({ "name": "mock-mcp", "version": env!("CARGO_PKG_VERSION") })
}

fn initialize() -> Value {
    json!({
        "protocolVersion": LEGACY_VERSION,
        "capabilities": capabilities(),
        "serverInfo": server_info(),
    })
}

fn discover() -> Value {
    json!({
        "supportedVersions": [MODERN_VERSION, LEGACY_VERSION],
        "capabilities": capabilities(),
        "_meta": { "io.modelcontextprotocol/serverInfo": server_info() },
    })
}
