//! The error of a tool that is not here: no fault of the run, and there is a way out.

use std::fmt;

/// Why something cannot be had on this machine, and what would change that.
#[derive(Debug)]
pub struct Unavailable {
    /// What is missing.
    pub reason: String,
    /// The way out.
    pub hint: &'static str,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.reason, self.hint)
    }
}

impl std::error::Error for Unavailable {}
