//! The reasons why a call that needs approval is not made.
//!
//! Only data for the answer to its agent; [`super::waiting`] finds them.

use serde_json::{Value, json};
use thoughtgate_approval::{ClaimError, Id, State, View, chain};
use thoughtgate_mcp::codes;
use thoughtgate_policy::{Decision, Outcome};

use super::timestamp::timestamp;

/// Reason why a call was not made, for its agent.
#[derive(Debug, Clone)]
pub struct Denial {
    /// JSON-RPC error code, one of [`codes`].
    pub code: i64,
    pub text: String,
    pub state: Option<State>,
    /// Ids of the policies that refuse the call if `by_policy`, or else of those that require approval.
    pub policies: Vec<String>,
    pub by_policy: bool,
    /// Time at which a pending approval expires, in milliseconds since the Unix epoch.
    pub expires_ms: Option<u64>,
    /// Reason why approvers cannot be asked now, or their votes not be read, while an approval is pending.
    pub fault: Option<String>,
}

impl Denial {
    /// A reason without facts about an approval.
    pub fn new(code: i64, text: &str) -> Denial {
        Denial {
            code,
            text: text.to_owned(),
            state: None,
            policies: Vec::new(),
            by_policy: false,
            expires_ms: None,
            fault: None,
        }
    }

    /// The reason that follows from an approval which does not permit its call.
    pub fn of(view: &View) -> Denial {
        let code = match view.state {
            State::Rejected if view.is_superseded() => codes::APPROVAL_EXPIRED,
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
            state: Some(view.state),
            ..Denial::about(view)
        }
    }

    /// With the policies that have refused the call since it was approved, if they ended the approval.
    pub fn because_of(mut self, decision: &Decision) -> Denial {
        if self.by_policy && decision.outcome == Outcome::Reject {
            let ids = decision.policies.iter().map(ToString::to_string);
            self.policies = ids.collect();
        }
        self
    }

    /// The proxy is stopping; the approval remains.
    pub fn stopping(view: &View) -> Denial {
        Denial {
            code: codes::DRAINING,
            text: format!("{}; the proxy is stopping, retry later", view.explain()),
            state: Some(view.state),
            ..Denial::about(view)
        }
    }

    /// Nobody has decided yet; the approval remains.
    pub fn pending(view: &View) -> Denial {
        Denial {
            code: codes::APPROVAL_PENDING,
            text: format!(
                "{}; the call was not executed; send the same call again, with the same arguments, to get its result",
                view.explain()
            ),
            state: Some(view.state),
            expires_ms: Some(view.expires_ms),
            fault: view.reason.clone(),
            ..Denial::about(view)
        }
    }

    /// The client cancelled a call that was held; its approval remains.
    pub fn taken_back() -> Denial {
        Denial::new(
            codes::APPROVAL_CANCELLED,
            "the call was cancelled and was not executed; the same call sent again joins its approval",
        )
    }

    /// The approval was not marked as used, so that the call must not be made.
    pub fn unclaimed(error: &ClaimError, view: &View) -> Denial {
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
        let advice = match error {
            ClaimError::Unconfirmed(_) => "; try again",
            _ => "",
        };
        Denial {
            code,
            text: format!("{}{advice}", chain(error)),
            ..Denial::about(view)
        }
    }

    /// Whether it tells the agent that the approval has ended as a refusal.
    pub fn is_end(&self) -> bool {
        match self.code {
            codes::APPROVAL_REJECTED | codes::APPROVAL_EXPIRED => true,
            // Votes that cannot be read now end nothing.
            codes::APPROVAL_UNAVAILABLE => self.state == Some(State::Unavailable),
            _ => false,
        }
    }

    /// The policies of `view`, to be completed.
    fn about(view: &View) -> Denial {
        let by_policy = view.is_revoked();
        Denial {
            // Those of `view` asked before; which refuse now, only the decision knows.
            policies: if by_policy {
                Vec::new()
            } else {
                view.policies.clone()
            },
            by_policy,
            ..Denial::new(codes::INTERNAL_ERROR, "")
        }
    }

    /// Data for programs: the approval's id and state, and until when it is pending.
    pub fn data(&self, id: Id) -> Value {
        let mut data = json!({ "approval": id.to_string(), "state": self.state.map(State::name) });
        if let Some(ms) = self.expires_ms {
            data["expires"] = json!(timestamp(ms));
        }
        data
    }
}

#[cfg(test)]
mod tests {
    use thoughtgate_approval::{StoreError, digest};

    use super::*;

    fn view(state: State) -> View {
        View {
            id: Id::parse("tg-00000000000000000000000000000000").unwrap(),
            tool: "deploy".to_owned(),
            digest: digest("alice", "deploy", None),
            arguments: None,
            state,
            created_ms: 0,
            updated_ms: 0,
            decided_by: None,
            was_approved: false,
            expires_ms: 0,
            reason: None,
            refused_voters: 0,
            policies: vec!["risky".to_owned()],
            generation: 1,
        }
    }

    #[test]
    fn a_claim_that_fails_tells_its_cause() {
        let view = view(State::Approved);
        let denial = Denial::unclaimed(&ClaimError::Store(StoreError::Closed), &view);
        let text = "failed to record the approval as used: the approval store is closed";
        assert_eq!(denial.text, text);
        assert_eq!(denial.policies, ["risky"]);
    }

    #[test]
    fn policies_that_end_an_approval_are_told_from_those_that_asked_for_it() {
        let decision = Decision {
            policies: ["freeze".into()].into(),
            ..Decision::error("")
        };
        let policies = |view: &View| Denial::of(view).because_of(&decision).policies;
        let mut view = view(State::Rejected);
        view.decided_by = Some("U0APPROVER".to_owned());
        assert_eq!(policies(&view), ["risky"]);
        view.decided_by = Some("policy".to_owned());
        assert_eq!(policies(&view), ["freeze"]);
    }
}
