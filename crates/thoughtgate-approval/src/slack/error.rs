//! Why a call of Slack has no result, and whether it may have taken effect. Retries nothing.

use std::time::Duration;

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    /// Rate limited, with the time to wait; the call had no effect.
    #[error("rate limited by Slack for {0:?}")]
    Limited(Duration),
    /// The connection was never made; the call had no effect.
    #[error("Slack cannot be reached: {0}")]
    Unreachable(String),
    /// No response, or a broken one: the call may or may not have taken effect.
    #[error("Slack call failed: {0}")]
    Lost(String),
    /// Refused; repeating the call would not help.
    #[error("Slack refused: {0}")]
    Refused(String),
}
