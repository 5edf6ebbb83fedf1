//! The knobs of the MCP double, which can be set before it starts and while it runs.
//!
//! Only data: the effect of each knob is implemented in `exchange` and `stream`.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::knobs;

/// All knobs; by default every request is answered at once and correctly. In JSON every field is
/// optional, and an unknown field is refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knobs {
    /// Time from the last byte of a JSON-RPC request to the first byte of its answer, in
    /// microseconds. Never shorter, but longer by the system's wake-up latency.
    pub service_time_us: u64,
    /// Length of the text in the result of a `tools/call`, in bytes (0: the text `ok`).
    pub response_bytes: usize,
    /// Share of requests, from 0 to 1, that get `error_status`; spread evenly, not randomly.
    pub error_rate: f64,
    /// HTTP status of an injected error (0 means 500).
    pub error_status: u16,
    /// Answer as `text/event-stream`: `sse_events` notifications, then the response.
    pub sse: bool,
    /// Number of notifications before the response of an SSE answer.
    pub sse_events: u32,
    /// Pause before each event after the first, in milliseconds.
    pub sse_gap_ms: u64,
    /// Time over which the body of a JSON answer is spread, in milliseconds.
    pub slow_body_ms: u64,
    /// Time between the comments of a stream that stays open, in milliseconds (0 means 1000).
    pub comment_interval_ms: u64,
    /// Holds answers back until this is `none` again.
    pub hold: Hold,
    /// Breaks answers.
    pub fault: Fault,
    /// Answer to every POST, whatever it requests.
    pub canned: Option<Canned>,
    /// JSON-RPC results by method, instead of the built-in ones.
    pub results: BTreeMap<String, Value>,
}

/// The part of an answer that is held back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// Nothing is held back.
    #[default]
    None,
    /// The complete answer.
    Answer,
    /// All of an SSE answer but its first event.
    Stream,
}

/// A fault of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// No fault.
    #[default]
    None,
    /// The connection is closed instead of answering.
    CloseBeforeAnswer,
    /// Half of the announced body is sent, then the connection is closed.
    CloseMidAnswer,
    /// The JSON-RPC id is not that of the request.
    WrongId,
    /// The JSON-RPC response has neither result nor error.
    NoResult,
}

/// A complete HTTP answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Canned {
    /// HTTP status (0 means 200).
    pub status: u16,
    /// Header names and values, in order, including repeated ones.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl Knobs {
    /// These knobs with the fields of the JSON object `changes` replaced.
    ///
    /// # Errors
    /// A message with the reason: not an object, an unknown field, a value of the wrong type or range.
    pub(super) fn changed(&self, changes: &[u8]) -> Result<Self, String> {
        let knobs: Self = knobs::changed(self, changes)?;
        knobs.check()?;
        Ok(knobs)
    }

    /// Refuses knobs that are out of their range.
    pub(super) fn check(&self) -> Result<(), String> {
        if !(0.0..=1.0).contains(&self.error_rate) {
            return Err("invalid knob: `error_rate` must be between 0 and 1".to_owned());
        }
        let statuses = [
            Some(self.error_status),
            self.canned.as_ref().map(|canned| canned.status),
        ];
        for status in statuses.into_iter().flatten() {
            // A status below 200 is interim (RFC 9110, section 15.2) and ends no request.
            if !matches!(status, 0 | 200..=999) {
                return Err(format!("invalid knob: status {status} must be 200 to 999"));
            }
        }
        for (name, value) in self.canned.iter().flat_map(|canned| &canned.headers) {
            if HeaderName::try_from(name).is_err() || HeaderValue::try_from(value).is_err() {
                return Err(format!("invalid knob: header `{name}: {value}`"));
            }
        }
        Ok(())
    }
}
