//! One stretch of load: the call that it repeats, its rate and duration, and its result.
//!
//! Starts no process. Counts wrong answers, and leaves it to the caller to judge them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The call that all scenarios send.
pub const MESSAGE: &str = include_str!("../../../subject/call.json");
/// Time that a run may take beyond that of its slices.
pub(super) const SLACK: Duration = Duration::from_secs(30);

/// One stretch of load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Slice {
    /// URL of the endpoint.
    pub url: String,
    /// Requests per second; none for a closed loop, where each connection sends once it was answered.
    pub rate: Option<f64>,
    /// Measured time, in milliseconds.
    pub duration_ms: u64,
    /// The same load before that, not measured, in milliseconds.
    pub warmup_ms: u64,
    /// Keep-alive connections.
    pub connections: usize,
}

/// Result of one slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Correct answers per second.
    pub rate_achieved: f64,
    /// Time from the first measured moment to the last answer, in milliseconds.
    pub duration_ms: f64,
    /// Requests measured, those that failed or never started included.
    pub requests: u64,
    /// Requests that were answered correctly.
    pub ok: u64,
    /// Numbers of the other requests, by kind of error.
    pub errors: BTreeMap<String, u64>,
    /// Text of the first error.
    pub first_error: Option<String>,
    /// Time from the intended start to the last byte, over the correct answers, in microseconds.
    pub latency_us: Option<Percentiles>,
    /// All these times: pairs of microseconds and count, ascending.
    #[serde(default)]
    pub histogram: Vec<(f64, u64)>,
    /// Requests that started more than a millisecond after their intended start.
    pub late_starts: u64,
    /// CPU time of the driver while measuring, in microseconds.
    pub cpu_us: u64,
}

impl Outcome {
    /// Why this slice may not be counted; none when every request was answered correctly.
    pub fn fault(&self) -> Option<String> {
        if self.requests == 0 {
            return Some("the load driver sent no request".to_owned());
        }
        if self.ok == self.requests {
            return None;
        }
        let kinds: Vec<String> = self
            .errors
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        let first = self.first_error.as_deref().unwrap_or("unknown");
        Some(format!(
            "of {} requests, {}; the first: {first}",
            self.requests,
            kinds.join(", ")
        ))
    }
}

/// A distribution of times, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

/// The headers that repeat fields of the message, as its version of MCP demands of clients.
pub fn headers(message: &str) -> anyhow::Result<[String; 3]> {
    let message: Value = serde_json::from_str(message).context("failed to read `call.json`")?;
    let text = |pointer: &str| {
        let value = message.pointer(pointer).and_then(Value::as_str);
        value.with_context(|| format!("failed to find `{pointer}` in `call.json`"))
    };
    let version = text("/params/_meta/io.modelcontextprotocol~1protocolVersion")?;
    Ok([
        format!("mcp-protocol-version: {version}"),
        format!("mcp-method: {}", text("/method")?),
        format!("mcp-name: {}", text("/params/name")?),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_repeat_the_message() {
        assert_eq!(
            headers(MESSAGE).unwrap(),
            [
                "mcp-protocol-version: 2026-07-28",
                "mcp-method: tools/call",
                "mcp-name: tool_0"
            ]
        );
        let error = headers("{}").unwrap_err().to_string();
        assert!(error.contains("protocolVersion` in `call.json`"), "{error}");
    }
}
