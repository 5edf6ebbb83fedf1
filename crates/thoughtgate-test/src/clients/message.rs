//! A message in the form of either era, and its answer, streamed or not.

use std::io;

use serde_json::{Value, json};

use crate::client;
use crate::client::sse::is_event_stream;

#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) body: Value,
    headers: Vec<(&'static str, String)>,
}

impl Message {
    pub(super) fn legacy(method: &str, params: &Value, agent: &str) -> Message {
        Message {
            body: json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}),
            headers: vec![("x-agent", agent.to_owned())],
        }
    }

    /// `capabilities` are what the client declares.
    pub(super) fn modern(
        method: &str,
        params: &Value,
        capabilities: &Value,
        agent: &str,
    ) -> Message {
        let name = params["name"].as_str().or(params["taskId"].as_str());
        let name = name.unwrap_or_default().to_owned();
        let mut message = Message::legacy(method, params, agent);
        message.body["params"]["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": capabilities,
        });
        message.headers.extend([
            ("mcp-protocol-version", "2026-07-28".to_owned()),
            ("mcp-method", method.to_owned()),
            ("mcp-name", name),
        ]);
        message
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        let headers = self.headers.iter();
        headers
            .map(|(name, value)| (*name, value.as_str()))
            .collect()
    }

    /// Sends it and reads an answer that is not streamed.
    pub(super) async fn send(&self, url: &str) -> io::Result<Value> {
        let response = client::post_json(url, &self.headers(), self.body.to_string()).await?;
        Ok(serde_json::from_slice(&response.body).unwrap_or(Value::Null))
    }

    /// Sends it and reads up to its answer, streamed or not.
    pub(super) async fn answer(&self, url: &str) -> io::Result<Value> {
        let mut stream = client::post_stream(url, &self.headers(), self.body.to_string()).await?;
        if !is_event_stream(&stream.headers) {
            let body = stream.rest().await?;
            return Ok(serde_json::from_slice(&body).unwrap_or(Value::Null));
        }
        loop {
            // Notifications may come before the answer.
            let message = stream.next_data().await?.json();
            if message["result"].is_object() || message["error"].is_object() {
                return Ok(message);
            }
        }
    }
}
