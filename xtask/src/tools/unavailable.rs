//! The error for a tool that this machine lacks: its metrics are skipped, and a hint says how to get it.

use std::fmt;

/// A tool that is missing or cannot be used on this machine.
#[derive(Debug)]
pub struct Unavailable {
    pub reason: String,
    /// Step that makes it available.
    pub hint: &'static str,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.reason, self.hint)
    }
}

impl std::error::Error for Unavailable {}
