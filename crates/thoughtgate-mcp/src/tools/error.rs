//! The reasons why an answer or a stream that may have a list of tools is refused.
//!
//! Only types: `list.rs` and `events.rs` decide.

use crate::sse::TooLarge;

/// The reason why a message that may have a list of tools cannot be filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not JSON in UTF-8.
    #[error("not valid JSON in UTF-8")]
    NotJson,
    /// Another parser may find a different list.
    #[error("`result` or `tools` is duplicated, in an unusual spelling, or in the wrong place")]
    Ambiguous,
}

/// The reason for ending a stream: the rest of it could not be filtered reliably.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// An event exceeds the size limit.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The data of an event cannot be filtered.
    #[error("failed to read an event")]
    Data(#[from] Unreadable),
    /// A line that only some clients take for `data`.
    #[error("an event has a line that only some clients read as data")]
    Lines,
}
