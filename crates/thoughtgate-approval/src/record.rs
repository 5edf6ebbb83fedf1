//! One approval as it is kept, and as its owner may see it. Pure data: the rules of change are in
//! `book.rs`, the bytes on disk in `store.rs`.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::ids::{Digest, Id};
use crate::text::cut;

/// Where an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody has decided yet.
    Pending,
    /// An approver said yes; the call may be claimed once.
    Approved,
    /// An approver said no or took the yes back, or the policy refused it after the decision.
    Rejected,
    /// Nobody decided in time, or nobody claimed in time.
    Expired,
    /// The agent took it back.
    Cancelled,
    /// No approver could be asked.
    Unavailable,
    /// The call was claimed and is running.
    Executing,
    /// The call ran.
    Done,
    /// The call may or may not have run; it is not run again.
    Failed,
}

impl State {
    /// All of them, for tables and metrics.
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

    /// Whether anything can still happen.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Approved | Self::Executing)
    }

    /// Whether `self` may become `next`.
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
                Self::Executing | Self::Rejected | Self::Expired | Self::Cancelled
            ),
            // Back to Approved only when the claim was never handed out: see `Approvals::claim`.
            Self::Executing => matches!(next, Self::Done | Self::Failed | Self::Approved),
            _ => false,
        }
    }

    /// The lower-case name, as in metrics.
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

/// Where approvers were asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) channel: String,
    pub(crate) ts: String,
}

/// What the message says at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Face {
    pub(crate) state: State,
    /// Whether it tells that somebody who may not decide has tried to.
    pub(crate) noted: bool,
    /// Whether it tells of a no that came after the call was made.
    #[serde(default)]
    pub(crate) late: bool,
}

/// How somebody answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Means {
    /// A reaction, which can be removed again.
    Reaction,
    /// A press of a button.
    Press,
}

/// One approval as it is kept. Arguments are in it only as approvers see them, redacted and capped.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: Id,
    pub(crate) principal: String,
    pub(crate) tool: String,
    pub(crate) digest: Digest,
    /// The channel asked for, by name or id.
    pub(crate) channel: String,
    pub(crate) policies: Vec<String>,
    pub(crate) generation: u64,
    pub(crate) arguments: String,
    pub(crate) arguments_complete: bool,
    pub(crate) created_ms: u64,
    pub(crate) updated_ms: u64,
    pub(crate) expires_ms: u64,
    pub(crate) state: State,
    pub(crate) decided_by: Option<String>,
    /// How it was approved.
    #[serde(default)]
    pub(crate) means: Option<Means>,
    /// Who said no after the call was made.
    #[serde(default)]
    pub(crate) late_no: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) strangers: Vec<String>,
    pub(crate) message: Option<Message>,
    pub(crate) face: Option<Face>,
    pub(crate) has_body: bool,
    /// Whether a body was ever kept with it.
    #[serde(default)]
    pub(crate) is_deferred: bool,
    /// Size of the body that is kept.
    #[serde(default)]
    pub(crate) body_bytes: usize,
    /// Size of the result that is kept.
    #[serde(default)]
    pub(crate) result_bytes: usize,
}

/// Longest reason and longest name of who decided that is kept, in bytes: either may come from the
/// upstream or from Slack.
const REASON_BYTES_MAX: usize = 1024;
const DECIDED_BY_BYTES_MAX: usize = 128;

/// What an approval takes beside its text: itself, and its places in the tables.
const ENTRY_BYTES: usize = size_of::<Record>() + 256;

impl Record {
    /// What it counts for, body and result included.
    pub(crate) fn bytes(&self) -> usize {
        let strings = [&self.principal, &self.tool, &self.channel, &self.arguments];
        let optional = [&self.decided_by, &self.late_no, &self.reason];
        let text: usize = strings
            .into_iter()
            .chain(optional.into_iter().flatten())
            .chain(&self.policies)
            .chain(&self.strangers)
            .map(|text| text.len() + size_of::<String>())
            .sum();
        ENTRY_BYTES + text + self.body_bytes + self.result_bytes
    }

    /// Shortens what others may have made long.
    pub(crate) fn cap(&mut self) {
        if let Some(reason) = &mut self.reason {
            reason.truncate(cut(reason, REASON_BYTES_MAX).len());
        }
        for name in [&mut self.decided_by, &mut self.late_no]
            .into_iter()
            .flatten()
        {
            name.truncate(cut(name, DECIDED_BY_BYTES_MAX).len());
        }
    }

    /// What the message should say. From the claim on nothing can be taken back, and how the call
    /// ends is the agent's business, not the approvers'.
    pub(crate) fn wanted_face(&self) -> Face {
        let state = match self.state {
            State::Done | State::Failed => State::Executing,
            other => other,
        };
        Face {
            state,
            noted: !self.strangers.is_empty(),
            late: self.late_no.is_some(),
        }
    }

    pub(crate) fn view(&self) -> View {
        View {
            id: self.id,
            tool: self.tool.clone(),
            digest: self.digest,
            state: self.state,
            created_ms: self.created_ms,
            updated_ms: self.updated_ms,
            expires_ms: self.expires_ms,
            decided_by: self.decided_by.clone(),
            reason: self.reason.clone(),
            refused_voters: self.strangers.len(),
            policies: self.policies.clone(),
            generation: self.generation,
            has_body: self.has_body,
            is_deferred: self.is_deferred,
        }
    }
}

/// One approval as its owner may see it. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its id.
    pub id: Id,
    /// The tool that the call names.
    pub tool: String,
    /// What it is bound to.
    pub digest: Digest,
    /// Where it stands.
    pub state: State,
    /// When it was asked for.
    pub created_ms: u64,
    /// When it last changed.
    pub updated_ms: u64,
    /// When the present state ends by itself: the time to decide, then the time to claim.
    pub expires_ms: u64,
    /// Who decided.
    pub decided_by: Option<String>,
    /// Why it is where it is, when the state does not say it all.
    pub reason: Option<String>,
    /// How many people tried to decide who may not.
    pub refused_voters: usize,
    /// The policies that asked for approval.
    pub policies: Vec<String>,
    /// The generation of the policies that asked for it.
    pub generation: u64,
    /// Whether the request's body is kept, to answer it later.
    pub has_body: bool,
    /// Whether it was kept at any time: the call is one that is answered later.
    pub is_deferred: bool,
}

impl View {
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
        let strangers = match self.refused_voters {
            0 => String::new(),
            1 => "; 1 person answered who may not approve".to_owned(),
            count => format!("; {count} people answered who may not approve"),
        };
        let tool = &self.tool;
        match self.state {
            State::Pending => format!("the call of `{tool}` waits for approval{strangers}"),
            State::Approved => format!("the call of `{tool}` was approved{by}"),
            State::Rejected => format!("the call of `{tool}` was rejected{by}{why}"),
            State::Expired if self.decided_by.is_some() => {
                format!("the call of `{tool}` was approved{by}, but not made in time")
            }
            State::Expired => {
                format!("nobody who may approve the call of `{tool}` answered in time{strangers}")
            }
            State::Cancelled => {
                format!("the request to approve the call of `{tool}` was cancelled")
            }
            State::Unavailable => format!("no approver could be asked about `{tool}`{why}"),
            State::Executing => format!("the call of `{tool}` was approved{by} and is running"),
            State::Done => format!("the call of `{tool}` was approved{by} and has run"),
            State::Failed => format!("the call of `{tool}` was approved{by} and failed{why}"),
        }
    }
}

/// Milliseconds since the Unix epoch by the wall clock: deadlines have to outlive the process.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
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
