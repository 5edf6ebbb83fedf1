//! States of an approval, and which may follow which. What moves an approval from one to the next is
//! decided elsewhere.

use serde::{Deserialize, Serialize};

/// State of an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waiting for a decision.
    Pending,
    /// Approved; the call may be claimed once.
    Approved,
    /// Denied, withdrawn after the approval, or refused by the policies after the decision.
    Rejected,
    /// Not decided in time, or approved and not claimed in time.
    Expired,
    /// Cancelled by the agent, or withdrawn because its client went away.
    Cancelled,
    /// Approvers could not be asked, their message was deleted before they decided, or their votes can no
    /// longer be read.
    Unavailable,
    /// Claimed: the call is running.
    Executing,
    /// The call ran.
    Done,
    /// The call failed, or whether it ran is unknown; it is not repeated.
    Failed,
}

impl State {
    /// All states in the order of their declaration, by which the counters are indexed.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Approved,
        Self::Rejected,
        Self::Expired,
        Self::Cancelled,
        Self::Unavailable,
        Self::Executing,
        Self::Done,
        Self::Failed,
    ];

    /// Whether the state can still change.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Approved | Self::Executing)
    }

    /// Whether the rules allow a change from `self` to `next`.
    pub(crate) fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending => matches!(
                next,
                Self::Approved
                    | Self::Rejected
                    | Self::Expired
                    | Self::Cancelled
                    | Self::Unavailable
            ),
            Self::Approved => matches!(
                next,
                Self::Executing
                    | Self::Rejected
                    | Self::Expired
                    | Self::Cancelled
                    | Self::Unavailable
            ),
            // Back to Approved only when the claim was never handed out: see `Approvals::claim`.
            Self::Executing => matches!(next, Self::Done | Self::Failed | Self::Approved),
            _ => false,
        }
    }

    /// Lower-case name, as in the label `state` of the metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Unavailable => "unavailable",
            Self::Executing => "executing",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_approval_never_changes() {
        for from in State::ALL {
            let leaves = State::ALL.iter().any(|to| from.may_become(*to));
            assert_eq!(leaves, from.is_open(), "{from:?}");
        }
    }

    #[test]
    fn only_an_approved_call_can_run() {
        for from in State::ALL {
            assert_eq!(
                from.may_become(State::Executing),
                from == State::Approved,
                "{from:?}"
            );
        }
    }
}
