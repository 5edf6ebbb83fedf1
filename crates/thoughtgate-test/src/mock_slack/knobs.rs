//! The knobs of the Slack double: failures, latency, and automatic reactions.
//!
//! Only data; `endpoint` applies it. Knobs that begin with `next_` count down by one for each call
//! that they affect.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use crate::knobs;

/// All knobs; by default every call is answered at once and correctly. In JSON every field is
/// optional, and an unknown field is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knobs {
    /// Time from the end of a call to its answer, in milliseconds.
    pub latency_ms: u64,
    /// The only method that the `next_` knobs apply to, such as `chat.postMessage`.
    pub only_method: Option<String>,
    /// Number of calls to answer with HTTP 429 and `Retry-After`, without effect.
    pub next_too_many_requests: u32,
    /// `Retry-After` for `next_too_many_requests`, in seconds.
    pub retry_after_s: u64,
    /// Number of calls to answer with HTTP 200 and `{"ok":false,"error":"ratelimited"}`, without
    /// effect.
    pub next_ratelimited: u32,
    /// Number of calls to answer with `server_error_status`, without effect.
    pub next_server_errors: u32,
    /// HTTP status for `next_server_errors` (0 means 503).
    pub server_error_status: u16,
    /// Number of calls to answer with `{"ok":false,"error":…}`, without effect.
    pub next_refused: u32,
    /// `error` for `next_refused` (empty means `internal_error`).
    pub refusal: String,
    /// Number of calls that take effect but whose answer is lost: the connection is closed instead.
    pub next_lost: u32,
    /// Channel, as the call names it, in which a `chat.postMessage` is never answered and has no effect.
    pub stuck_channel: Option<String>,
    /// Most messages on a page of `conversations.history`, even if the call asks for more (0: as many
    /// as it asks for).
    pub page_size: usize,
    /// Scopes of the token (absent: all that the methods of this double need).
    pub scopes: Option<Vec<String>>,
    /// Error code of every call (empty: the token is valid), such as `token_revoked`.
    pub token_error: String,
    /// Channels, as calls name them, that do not exist for the bot.
    pub unknown_channels: Vec<String>,
    /// Channels, as calls name them, of which the bot is not a member.
    pub foreign_channels: Vec<String>,
    /// Ids of channels that are private.
    pub private_channels: Vec<String>,
    /// Reaction to each message that is posted from now on.
    pub decision: Option<Decision>,
    /// Members of user groups, by group id.
    pub usergroups: BTreeMap<String, Vec<String>>,
}

/// A reaction that is added to a message automatically.
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

impl Knobs {
    /// These knobs with the fields of the JSON object `changes` replaced.
    ///
    /// # Errors
    /// A message with the reason: not an object, an unknown field, a value of the wrong type or range.
    pub(super) fn changed(&self, changes: &[u8]) -> Result<Self, String> {
        let knobs: Self = knobs::changed(self, changes)?;
        if !matches!(knobs.server_error_status, 0 | 500..=599) {
            return Err("invalid knob: `server_error_status` must be 500 to 599".to_owned());
        }
        Ok(knobs)
    }

    /// The fault of this call of `method`, if it meets one. Counts the knob down.
    pub(super) fn take_fault(&mut self, method: &str) -> Option<Fault> {
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
            Some(Fault::TooManyRequests { retry_after_s })
        } else if take(|knobs| &mut knobs.next_ratelimited) {
            let retry_after_s = None;
            Some(Fault::Ratelimited { retry_after_s })
        } else if take(|knobs| &mut knobs.next_server_errors) {
            let status = StatusCode::from_u16(self.server_error_status);
            let status = status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            Some(Fault::ServerError(status))
        } else if take(|knobs| &mut knobs.next_refused) {
            let error = match self.refusal.as_str() {
                "" => "internal_error",
                refusal => refusal,
            };
            Some(Fault::Refused(error.to_owned()))
        } else if take(|knobs| &mut knobs.next_lost) {
            Some(Fault::CloseAfterEffect)
        } else {
            None
        }
    }
}
