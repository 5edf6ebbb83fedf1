//! The reasons why there is no outcome of a call that was made as a task.
//!
//! Only the error; [`super::deferred`] finds it.

use std::time::Duration;

use http::StatusCode;
use thoughtgate_approval::chain;
use thoughtgate_mcp::sse;

use crate::problem::Problem;

/// Reason why a call that was made has no outcome to store.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    #[error("{}", Problem::Encoded)]
    Encoded,
    /// More than this number of bytes.
    #[error("the upstream's answer has more than {0} bytes")]
    TooLarge(usize),
    #[error(transparent)]
    Event(#[from] sse::TooLarge),
    #[error("the upstream connection failed")]
    Broken(#[source] hyper::Error),
    #[error("the upstream's stream ended without an answer")]
    StreamEnded,
    #[error("{}", Problem::NoMessage(*.0))]
    NoMessage(StatusCode),
    #[error(
        "the server asked for input or created a task of its own, which is not supported for a call that was made as a task; send the call again without asking for a task"
    )]
    Unfinished,
    #[error("the upstream's answer took longer than `timeouts.response` ({0:?})")]
    Slow(Duration),
}

impl NoAnswer {
    /// The reason for the failure of the call, which its client polls.
    pub fn reason(&self) -> String {
        match self {
            // Its text begins with the same words.
            NoAnswer::Encoded => self.to_string(),
            _ => format!(
                "the call was made, but its answer was lost: {}",
                chain(self)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_says_once_that_the_call_was_made() {
        for error in [
            NoAnswer::Encoded,
            NoAnswer::TooLarge(1),
            NoAnswer::Event(sse::TooLarge(1)),
            NoAnswer::StreamEnded,
            NoAnswer::NoMessage(StatusCode::UNAUTHORIZED),
            NoAnswer::Slow(Duration::from_secs(1)),
        ] {
            let reason = error.reason();
            let begins = "the call was made, but its answer ";
            assert!(reason.starts_with(begins), "{reason}");
            assert_eq!(reason.matches("the call was made").count(), 1, "{reason}");
        }
        assert_eq!(
            NoAnswer::Slow(Duration::from_secs(1)).reason(),
            "the call was made, but its answer was lost: the upstream's answer took longer than `timeouts.response` (1s)"
        );
    }
}
