//! How the Slack double can be told to fail, to be slow, and to decide.
//!
//! Only data. Knobs that begin with `next_` count down by one for each call that they hit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// All knobs; the default answers everything at once and correctly. In JSON every field may be
/// left out, and a field that does not exist is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knobs {
    /// Time from a whole call to its answer, in milliseconds.
    pub latency_ms: u64,
    /// Method that the `next_` knobs are limited to, such as `chat.postMessage`.
    pub only_method: Option<String>,
    /// Calls to answer with HTTP 429 and `Retry-After`; they have no effect.
    pub next_too_many_requests: u32,
    /// The `Retry-After` of these, in seconds.
    pub retry_after_s: u64,
    /// Calls to answer with HTTP 200 and `{"ok":false,"error":"ratelimited"}`; no effect.
    pub next_ratelimited: u32,
    /// Calls to answer with `server_error_status`; no effect.
    pub next_server_errors: u32,
    /// HTTP status of these (0 means 503).
    pub server_error_status: u16,
    /// Calls to answer with `{"ok":false,"error":…}`; no effect.
    pub next_refused: u32,
    /// The `error` of these (empty means `internal_error`).
    pub refusal: String,
    /// Calls that take effect but whose answer is lost: the connection is closed instead.
    pub next_lost: u32,
    /// What someone decides on each message that is posted from now on.
    pub decision: Option<Decision>,
    /// Members of user groups, by group id.
    pub usergroups: BTreeMap<String, Vec<String>>,
}

/// A reaction that is added to a message without further ado.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Time from the arrival of the message, in milliseconds.
    #[serde(default)]
    pub after_ms: u64,
    /// Id of the reacting user, such as `U0APPROVER`.
    pub user: String,
    /// Name of the reaction, without colons, such as `white_check_mark`.
    pub reaction: String,
}

/// How one call fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    TooManyRequests { retry_after_s: u64 },
    Ratelimited,
    Server { status: u16 },
    Refused { error: String },
    Lost,
}

impl Knobs {
    /// These knobs with the fields of the JSON object `changes` replaced.
    ///
    /// # Errors
    /// The reason in words: not an object, a field that does not exist, a value out of its type.
    pub fn changed(&self, changes: &[u8]) -> Result<Self, String> {
        let changes: Map<String, Value> = serde_json::from_slice(changes)
            .map_err(|error| format!("the knobs are not a JSON object: {error}"))?;
        let mut all = serde_json::to_value(self).map_err(|error| error.to_string())?;
        for (name, value) in changes {
            all[name] = value;
        }
        let knobs: Self =
            serde_json::from_value(all).map_err(|error| format!("bad knob: {error}"))?;
        if !matches!(knobs.server_error_status, 0 | 500..=599) {
            return Err("bad knob: `server_error_status` must be between 500 and 599".to_owned());
        }
        Ok(knobs)
    }

    /// How this call of `method` fails, if it does; counts down.
    pub(super) fn take_failure(&mut self, method: &str) -> Option<Failure> {
        if self
            .only_method
            .as_deref()
            .is_some_and(|only| only != method)
        {
            return None;
        }
        let mut take = |left: fn(&mut Self) -> &mut u32| {
            let left = left(self);
            let hit = *left > 0;
            *left = left.saturating_sub(1);
            hit
        };
        if take(|knobs| &mut knobs.next_too_many_requests) {
            let retry_after_s = self.retry_after_s;
            Some(Failure::TooManyRequests { retry_after_s })
        } else if take(|knobs| &mut knobs.next_ratelimited) {
            Some(Failure::Ratelimited)
        } else if take(|knobs| &mut knobs.next_server_errors) {
            let status = match self.server_error_status {
                0 => 503,
                status => status,
            };
            Some(Failure::Server { status })
        } else if take(|knobs| &mut knobs.next_refused) {
            let error = match self.refusal.as_str() {
                "" => "internal_error",
                refusal => refusal,
            };
            Some(Failure::Refused {
                error: error.to_owned(),
            })
        } else if take(|knobs| &mut knobs.next_lost) {
            Some(Failure::Lost)
        } else {
            None
        }
    }
}
