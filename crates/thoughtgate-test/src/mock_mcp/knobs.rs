//! What the MCP double can be told to do, before it starts and while it runs.
//!
//! Only data: what each knob does to an answer is in `endpoint` and `stream`.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All knobs; the default answers everything at once and correctly. In JSON every field may be
/// left out, and a field that does not exist is refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knobs {
    /// Time from the last byte of a JSON-RPC request to the first byte of its answer, in
    /// microseconds. Never shorter; longer by the wake-up of the machine.
    pub service_time_us: u64,
    /// Length of the text in the result of a `tools/call`, in bytes (0: the text `ok`).
    pub response_bytes: usize,
    /// Share of requests, 0 to 1, that get `error_status`; spread evenly, not at random.
    pub error_rate: f64,
    /// HTTP status of an injected error (0 means 500).
    pub error_status: u16,
    /// Answer as `text/event-stream`: `sse_events` notifications, then the response.
    pub sse: bool,
    /// Notifications before the response of an SSE answer.
    pub sse_events: u32,
    /// Pause before each event after the first, in milliseconds.
    pub sse_gap_ms: u64,
    /// Time over which the body of a JSON answer is spread, in milliseconds.
    pub slow_body_ms: u64,
    /// Time between the comments of a stream that stays open, in milliseconds (0 means 1000).
    pub comment_interval_ms: u64,
    /// Hold answers back until this is `none` again.
    pub hold: Hold,
    /// Break answers in one way.
    pub fault: Fault,
    /// Answer every POST with exactly this, whatever it asked.
    pub canned: Option<Canned>,
    /// JSON-RPC results by method, instead of the built-in ones.
    pub results: BTreeMap<String, Value>,
}

/// How an answer is held back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// Not at all.
    #[default]
    None,
    /// Not a byte is answered.
    Answer,
    /// An SSE answer begins with one event, and the rest waits.
    Stream,
}

/// How an answer is broken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Not at all.
    #[default]
    None,
    /// The connection is closed instead of answering.
    CloseBeforeAnswer,
    /// Half of the announced body is sent, then the connection is closed.
    CloseMidAnswer,
    /// The JSON-RPC id is not the one that was asked with.
    WrongId,
    /// The JSON-RPC response has neither result nor error.
    NoResult,
}

/// A whole HTTP answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Canned {
    /// HTTP status (0 means 200).
    pub status: u16,
    /// Header names and values, in order, repetitions kept.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Knobs {
    /// These knobs with the fields of the JSON object `changes` replaced.
    ///
    /// # Errors
    /// The reason in words: not an object, a field that does not exist, a value out of its type.
    pub fn changed(&self, changes: &[u8]) -> Result<Self, String> {
        let changes: serde_json::Map<String, Value> = serde_json::from_slice(changes)
            .map_err(|error| format!("the knobs are not a JSON object: {error}"))?;
        let mut all = serde_json::to_value(self).map_err(|error| error.to_string())?;
        for (name, value) in changes {
            all[name] = value;
        }
        let knobs: Self =
            serde_json::from_value(all).map_err(|error| format!("bad knob: {error}"))?;
        knobs.check()?;
        Ok(knobs)
    }

    /// The reason in words why a knob is out of its range.
    pub(super) fn check(&self) -> Result<(), String> {
        if !(0.0..=1.0).contains(&self.error_rate) {
            return Err("bad knob: `error_rate` must be between 0 and 1".to_owned());
        }
        let statuses = [
            Some(self.error_status),
            self.canned.as_ref().map(|canned| canned.status),
        ];
        for status in statuses.into_iter().flatten() {
            if !matches!(status, 0 | 200..=999) {
                return Err(format!("bad knob: {status} is no status of a final answer"));
            }
        }
        for (name, value) in self.canned.iter().flat_map(|canned| &canned.headers) {
            if HeaderName::try_from(name).is_err() || HeaderValue::try_from(value).is_err() {
                return Err(format!("bad knob: `{name}: {value}` is no header"));
            }
        }
        Ok(())
    }
}
