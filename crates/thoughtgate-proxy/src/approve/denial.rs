//! The reasons why a call that needs approval is not made.
//!
//! Only data for the answer to its agent; [`super::waiting`] finds them.

use serde_json::{Value, json};
use thoughtgate_approval::{ClaimError, Id, State, View, chain};
use thoughtgate_mcp::codes;

/// Reason why a call was not made, for its agent.
#[derive(Debug)]
pub struct Denial {
    /// JSON-RPC error code, one of [`codes`].
    pub code: i64,
    pub text: String,
    /// Whether the approval remains usable and the call can be tried again.
    pub passes: bool,
    state: Option<State>,
}

impl Denial {
    pub fn new(code: i64, text: &str) -> Denial {
        Denial {
            code,
            text: text.to_owned(),
            passes: false,
            state: None,
        }
    }

    /// The reason that follows from an approval which does not permit its call.
    pub fn of(view: &View) -> Denial {
        let code = match view.state {
            State::Rejected => codes::APPROVAL_REJECTED,
            State::Expired => codes::APPROVAL_EXPIRED,
            State::Cancelled => codes::APPROVAL_CANCELLED,
            State::Unavailable => codes::APPROVAL_UNAVAILABLE,
            // Such a call could still be made: only a stop of the proxy ends its wait.
            State::Pending | State::Approved => return Denial::stopping(view),
            State::Executing | State::Done | State::Failed => codes::APPROVAL_USED,
        };
        let text = match view.state {
            State::Executing | State::Done => format!(
                "{}; an approval is good for one call, and this one was used",
                view.explain()
            ),
            _ => view.explain(),
        };
        Denial {
            code,
            text,
            passes: false,
            state: Some(view.state),
        }
    }

    /// The proxy is stopping; the approval remains.
    pub fn stopping(view: &View) -> Denial {
        Denial {
            code: codes::DRAINING,
            text: format!("{}; the proxy is stopping, retry later", view.explain()),
            passes: false,
            state: Some(view.state),
        }
    }

    /// The client cancelled a call that was held.
    pub fn taken_back() -> Denial {
        Denial::new(
            codes::APPROVAL_CANCELLED,
            "the call was cancelled and was not made; the same call sent again joins its approval",
        )
    }

    pub fn unclaimed(error: &ClaimError) -> Denial {
        let code = match error {
            ClaimError::Rejected => codes::APPROVAL_REJECTED,
            ClaimError::Cancelled => codes::APPROVAL_CANCELLED,
            ClaimError::AlreadyExecuted => codes::APPROVAL_USED,
            ClaimError::Unavailable | ClaimError::Store(_) | ClaimError::Unconfirmed(_) => {
                codes::APPROVAL_UNAVAILABLE
            }
            _ => codes::APPROVAL_EXPIRED,
        };
        // Votes that cannot be read leave the approval as it was. A claim whose write failed does not pass:
        // the write may have reached the disk, so that the approval counts as used.
        let passes = matches!(error, ClaimError::Unconfirmed(_));
        let advice = if passes { "; try again" } else { "" };
        Denial {
            passes,
            ..Denial::new(code, &format!("{}{advice}", chain(error)))
        }
    }

    /// Data for programs: the approval's id and state.
    pub fn data(&self, id: Id) -> Value {
        json!({ "approval": id.to_string(), "state": self.state.map(State::name) })
    }
}

#[cfg(test)]
mod tests {
    use thoughtgate_approval::StoreError;

    use super::*;

    #[test]
    fn a_claim_that_fails_tells_its_cause() {
        let denial = Denial::unclaimed(&ClaimError::Store(StoreError::Closed));
        let text = "failed to record the approval as used: the approval store is closed";
        assert_eq!((denial.text.as_str(), denial.passes), (text, false));
    }
}
