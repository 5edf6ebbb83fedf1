//! The light load driver of `thoughtgate-test`: many short slices in one cheap process.
//!
//! Sends the very message that the k6 scripts send. Knows nothing of metrics, and does not
//! judge whether the answers were good; it tells.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::process::Launch;
use super::scratch::Scratch;

mod driver;

pub use driver::Driver;

/// The call that all scenarios send.
pub const MESSAGE: &str = include_str!("../../subject/call.json");
/// What a run may take beyond the time of its slices.
const SLACK: Duration = Duration::from_secs(30);

/// One stretch of load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Slice {
    /// The endpoint.
    pub url: String,
    /// Requests per second; none: each connection sends when it was answered.
    pub rate: Option<f64>,
    /// Measured time, in milliseconds.
    pub duration_ms: u64,
    /// The same load before that, not measured, in milliseconds.
    pub warmup_ms: u64,
    /// Keep-alive connections.
    pub connections: usize,
}

/// What came of one slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Right answers per second.
    pub rate_achieved: f64,
    /// From the first moment measured to the last answer, in milliseconds.
    pub duration_ms: f64,
    /// Requests measured, those that failed or never started included.
    pub requests: u64,
    /// Those that were answered rightly.
    pub ok: u64,
    /// The others by kind.
    pub errors: BTreeMap<String, u64>,
    /// The first of them in words.
    pub first_error: Option<String>,
    /// From the intended start to the last byte of the right answers, in microseconds.
    pub latency_us: Option<Percentiles>,
    /// All of those times: pairs of microseconds and count, ascending.
    #[serde(default)]
    pub histogram: Vec<(f64, u64)>,
    /// Requests that started more than a millisecond after their intended start.
    pub late_starts: u64,
    /// CPU time of the driver while measuring, in microseconds.
    pub cpu_us: u64,
}

/// A distribution of times, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Outcome {
    /// Why this slice may not be counted; none when every request was answered well.
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

/// Drives `slices` one after another with the driver from `release_dir`, and returns one outcome
/// for each; calls `look` meanwhile, some times a second.
///
/// # Errors
/// The driver failed or took much longer than its slices; or the error of `look`.
pub fn run(
    release_dir: &Path,
    slices: &[Slice],
    look: &mut dyn FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Outcome>> {
    let directory = Scratch::new("the load driver")?;
    let mut lines = String::new();
    for slice in slices {
        lines.push_str(&serde_json::to_string(slice)?);
        lines.push('\n');
    }
    let mut launch = Launch::bare(release_dir.join("load"))
        .arg("--slices")
        .arg(directory.write("slices.jsonl", &lines)?)
        .arg("--body")
        .arg(directory.write("call.json", MESSAGE)?);
    for header in headers(MESSAGE)? {
        launch = launch.arg("--header").arg(header);
    }
    let planned_ms = slices
        .iter()
        .map(|slice| slice.duration_ms + slice.warmup_ms)
        .sum();
    let mut child = launch.start()?;
    let status = child.wait_watching(Duration::from_millis(planned_ms) + SLACK, look)?;
    let output = child.output(status).success()?;
    let outcomes = parse(&output.stdout.text())?;
    ensure!(
        outcomes.len() == slices.len(),
        "`{}` told the outcome of {} slices instead of {}",
        output.name,
        outcomes.len(),
        slices.len()
    );
    Ok(outcomes)
}

/// The headers that repeat what the message says, as a client of its era sends them.
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

/// Reads one outcome per line.
fn parse(stdout: &str) -> anyhow::Result<Vec<Outcome>> {
    let read = |line| {
        serde_json::from_str(line)
            .with_context(|| format!("failed to read what the load driver said: {line:?}"))
    };
    stdout.lines().map(read).collect()
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

    #[test]
    fn outcomes_of_all_slices_are_read() {
        let outcomes = parse(include_str!("../../test_data/load/slices.jsonl")).unwrap();
        let faults: Vec<Option<String>> = outcomes.iter().map(Outcome::fault).collect();
        expect_test::expect![[r#"
            [
                None,
                None,
                Some(
                    "of 29 requests, 2 status_503; the first: status_503",
                ),
                Some(
                    "of 10 requests, 10 connect; the first: connect: Connection refused (os error 111)",
                ),
            ]
        "#]].assert_debug_eq(&faults);
        let closed = &outcomes[0];
        assert_eq!(closed.ok, closed.requests);
        assert!(closed.latency_us.unwrap().p50 > 0.0);
    }

    #[test]
    fn what_is_no_outcome_is_refused() {
        let error = parse("panicked\n").unwrap_err().to_string();
        assert_eq!(
            error,
            "failed to read what the load driver said: \"panicked\""
        );
    }
}
