//! One approval as its owner sees it: data for programs, and a sentence for the agent. Not stored.

use crate::ids::{Digest, Id};
use crate::state::State;

/// One approval as its owner may see it. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Id of the approval; a task made of the call has the same.
    pub id: Id,
    /// Name of the tool to call.
    pub tool: String,
    /// Digest of the call that the approval is for.
    pub digest: Digest,
    /// Digest of the arguments of that call; `None` if an earlier version requested the approval.
    pub arguments: Option<Digest>,
    /// Current state.
    pub state: State,
    /// Time of the request, in milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// Time of the last change of the state, in milliseconds since the Unix epoch.
    pub updated_ms: u64,
    /// Deadline to decide while pending, and to make the call once approved.
    pub expires_ms: u64,
    /// Decider: the Slack id of a user, or `policy` after [`crate::Approvals::revoke`]. Nobody decided
    /// that an approval expires.
    pub decided_by: Option<String>,
    /// Whether an approver had approved it before it got its state.
    pub was_approved: bool,
    /// Reason for the state, where the state alone does not explain it; while pending, the present fault
    /// for which no approver can be asked or heard.
    pub reason: Option<String>,
    /// Number of people who voted without being approvers, 20 at most.
    pub refused_voters: usize,
    /// Ids of the policies that asked for approval.
    pub policies: Vec<String>,
    /// Generation of those policies.
    pub generation: u64,
}

/// Decider of approvals that the policies have ended.
pub(crate) const POLICY: &str = "policy";

/// Reason for an approval that was asked for in another channel than the policies require now.
pub(crate) const SUPERSEDED: &str =
    "the policies now require approval in another channel than the one that was asked";

impl View {
    /// Whether the policies ended the approval, which they had asked for before, since they refuse the
    /// call now.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.decided_by.as_deref() == Some(POLICY) && !self.is_superseded()
    }

    /// Whether the policies ended the approval because they require one in another channel: the same
    /// call sent again asks there.
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        self.reason.as_deref() == Some(SUPERSEDED)
    }

    /// One sentence for the agent: what became of its request, and why.
    #[must_use]
    pub fn explain(&self) -> String {
        let by = self
            .decided_by
            .as_deref()
            .map_or(String::new(), |who| format!(" by {who}"));
        let why = self
            .reason
            .as_deref()
            .map_or(String::new(), |why| format!(": {why}"));
        let ignored = match self.refused_voters {
            0 => String::new(),
            1 => "; votes of 1 person who is not an approver were ignored".to_owned(),
            count => format!("; votes of {count} people who are not approvers were ignored"),
        };
        let tool = &self.tool;
        match self.state {
            State::Pending => {
                let but = self.reason.as_deref();
                let but = but.map_or(String::new(), |fault| format!(", but {fault}"));
                format!("the call to `{tool}` is waiting for approval{but}{ignored}")
            }
            State::Approved => format!("the call to `{tool}` was approved{by}"),
            State::Rejected => format!("the call to `{tool}` was rejected{by}{why}"),
            State::Expired if self.was_approved => {
                format!("the call to `{tool}` was approved, but not made in time{why}")
            }
            State::Expired => {
                format!("no approver decided on the call to `{tool}` in time{why}{ignored}")
            }
            State::Cancelled => {
                format!("the approval request for the call to `{tool}` was cancelled{why}")
            }
            State::Unavailable => {
                format!("the approval request for the call to `{tool}` failed{why}")
            }
            State::Executing => format!("the call to `{tool}` was approved{by} and is running"),
            State::Done => format!("the call to `{tool}` was approved{by} and has run"),
            State::Failed => format!("the call to `{tool}` was approved{by} and failed{why}"),
        }
    }
}
