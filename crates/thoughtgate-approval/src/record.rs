//! One approval as it is stored, and the view of it that its owner gets. Pure data: the rules of
//! change are in `table.rs`, the bytes on disk in `store.rs`.

use serde::{Deserialize, Serialize};
use thoughtgate_mcp::cut;

use crate::ids::{Digest, Id};
use crate::state::State;

/// The message that asks approvers: ids of its channel, and of the message there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MessageRef {
    pub(crate) channel: String,
    /// Stored as Slack names it: an older version of this program reads the same format.
    #[serde(rename = "ts")]
    pub(crate) id: String,
}

/// State of an approval as its message shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rendered {
    pub(crate) state: State,
    /// Whether it names people whose votes do not count.
    pub(crate) noted: bool,
    /// Whether it mentions a denial that came after the call was made.
    #[serde(default)]
    pub(crate) late: bool,
}

/// Way in which an approver voted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Means {
    /// A reaction, which can be removed again.
    Reaction,
    /// A button, whose vote stays until somebody denies.
    #[serde(rename = "press")]
    Interaction,
}

/// One approval as it is stored. Holds the arguments only as approvers see them, redacted and capped.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: Id,
    pub(crate) principal: String,
    pub(crate) tool: String,
    pub(crate) digest: Digest,
    /// Channel to ask in, by name or id.
    pub(crate) channel: String,
    pub(crate) policies: Vec<String>,
    pub(crate) generation: u64,
    pub(crate) arguments: String,
    pub(crate) arguments_complete: bool,
    pub(crate) created_ms: u64,
    pub(crate) updated_ms: u64,
    /// Deadline to decide while pending, and to claim once approved.
    pub(crate) expires_ms: u64,
    pub(crate) state: State,
    pub(crate) decided_by: Option<String>,
    // Fields with `default` were added later: records of earlier versions lack them.
    /// Way in which it was approved; `None` while it is not.
    #[serde(default)]
    pub(crate) means: Option<Means>,
    /// First approver who denied after the call was made.
    #[serde(default)]
    pub(crate) late_no: Option<String>,
    pub(crate) reason: Option<String>,
    /// People who voted without being approvers.
    #[serde(rename = "strangers")]
    pub(crate) non_approvers: Vec<String>,
    pub(crate) message: Option<MessageRef>,
    /// State that the message shows now.
    #[serde(rename = "face")]
    pub(crate) rendered: Option<Rendered>,
    pub(crate) has_body: bool,
    /// Whether a body was ever kept with it: the call is answered later.
    #[serde(default)]
    pub(crate) is_deferred: bool,
    /// Size of the kept body; 0 without one.
    #[serde(default)]
    pub(crate) body_bytes: usize,
    /// Size of the kept result; 0 without one.
    #[serde(default)]
    pub(crate) result_bytes: usize,
}

/// Longest reason and longest name of a decider that are kept, in bytes: either may come from the
/// upstream or from Slack.
const REASON_BYTES_MAX: usize = 1024;
const DECIDED_BY_BYTES_MAX: usize = 128;

/// Bytes that an approval takes besides its texts: the record, and about 256 in the tables.
const ENTRY_BYTES: usize = size_of::<Record>() + 256;

impl Record {
    /// A pending approval without policies, arguments and time to decide, which the caller sets.
    pub(crate) fn new(
        id: Id,
        digest: Digest,
        principal: &str,
        tool: &str,
        channel: &str,
        now_ms: u64,
    ) -> Self {
        Self {
            id,
            principal: principal.to_owned(),
            tool: tool.to_owned(),
            digest,
            channel: channel.to_owned(),
            policies: Vec::new(),
            generation: 0,
            arguments: String::new(),
            arguments_complete: false,
            created_ms: now_ms,
            updated_ms: now_ms,
            expires_ms: now_ms,
            state: State::Pending,
            decided_by: None,
            means: None,
            late_no: None,
            reason: None,
            non_approvers: Vec::new(),
            message: None,
            rendered: None,
            has_body: false,
            is_deferred: false,
            body_bytes: 0,
            result_bytes: 0,
        }
    }

    /// Bytes that count towards the limits, body and result included.
    pub(crate) fn bytes(&self) -> usize {
        let strings = [&self.principal, &self.tool, &self.channel, &self.arguments];
        let optional = [&self.decided_by, &self.late_no, &self.reason];
        let text: usize = strings
            .into_iter()
            .chain(optional.into_iter().flatten())
            .chain(&self.policies)
            .chain(&self.non_approvers)
            .map(|text| text.len() + size_of::<String>())
            .sum();
        ENTRY_BYTES + text + self.body_bytes + self.result_bytes
    }

    /// Shortens the texts whose length others decide.
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

    /// State that the message should show. Calls that ended are shown as claimed: nothing can be
    /// withdrawn any more, and how the call ends concerns the agent, not the approvers.
    pub(crate) fn wanted_rendering(&self) -> Rendered {
        let state = match self.state {
            State::Done | State::Failed => State::Executing,
            other => other,
        };
        Rendered {
            state,
            noted: !self.non_approvers.is_empty(),
            late: self.late_no.is_some(),
        }
    }

    /// Whether the message shows an outdated state.
    pub(crate) fn is_stale(&self) -> bool {
        self.message.is_some() && self.rendered != Some(self.wanted_rendering())
    }

    pub(crate) fn view(&self) -> View {
        View {
            id: self.id,
            tool: self.tool.clone(),
            digest: self.digest,
            state: self.state,
            created_ms: self.created_ms,
            updated_ms: self.updated_ms,
            decided_by: self.decided_by.clone(),
            reason: self.reason.clone(),
            refused_voters: self.non_approvers.len(),
            policies: self.policies.clone(),
            generation: self.generation,
            is_deferred: self.is_deferred,
        }
    }
}

/// One approval as its owner may see it. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Id of the approval; a task made of the call has the same.
    pub id: Id,
    /// Name of the tool to call.
    pub tool: String,
    /// Digest of the call that the approval is for.
    pub digest: Digest,
    /// Current state.
    pub state: State,
    /// When the approval was requested.
    pub created_ms: u64,
    /// When the state last changed.
    pub updated_ms: u64,
    /// Decider: the Slack id of a user, or `policy` after [`crate::Approvals::revoke`].
    pub decided_by: Option<String>,
    /// Reason for the state, where the state alone does not explain it.
    pub reason: Option<String>,
    /// Number of people who voted without being approvers, 20 at most.
    pub refused_voters: usize,
    /// Ids of the policies that asked for approval.
    pub policies: Vec<String>,
    /// Generation of those policies.
    pub generation: u64,
    /// Whether a body was kept at any time: the call is answered later.
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
        let ignored = match self.refused_voters {
            0 => String::new(),
            1 => "; votes of 1 person who is not an approver were ignored".to_owned(),
            count => format!("; votes of {count} people who are not approvers were ignored"),
        };
        let tool = &self.tool;
        match self.state {
            State::Pending => format!("the call to `{tool}` is waiting for approval{ignored}"),
            State::Approved => format!("the call to `{tool}` was approved{by}"),
            State::Rejected => format!("the call to `{tool}` was rejected{by}{why}"),
            // Of the approvals that can expire, only approved ones have a decider.
            State::Expired if self.decided_by.is_some() => {
                format!("the call to `{tool}` was approved{by}, but not made in time")
            }
            State::Expired => {
                format!("no approver decided on the call to `{tool}` in time{ignored}")
            }
            State::Cancelled => {
                format!("the approval request for the call to `{tool}` was cancelled")
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A pending approval of a call of `tool`, requested at `now_ms` and expired by then.
    pub(crate) fn record(tool: &str, now_ms: u64) -> Record {
        let id = Id::random().unwrap();
        let digest = crate::digest("agent-7", tool, None);
        Record {
            generation: 1,
            arguments_complete: true,
            ..Record::new(id, digest, "agent-7", tool, "C1", now_ms)
        }
    }

    /// The names that format 1 has on disk, whatever the fields are called.
    #[test]
    fn stored_names_are_those_of_the_format() {
        let mut record = record("tool", 0);
        record.means = Some(Means::Interaction);
        record.message = Some(MessageRef {
            channel: "C1".to_owned(),
            id: "1.2".to_owned(),
        });
        record.rendered = Some(record.wanted_rendering());
        let stored = serde_json::to_value(&record).unwrap();
        assert_eq!(stored["means"], "press");
        assert_eq!(stored["strangers"], serde_json::json!([]));
        assert_eq!(stored["message"]["ts"], "1.2");
        assert_eq!(stored["face"]["state"], "pending");
        let read: Record = serde_json::from_value(stored).unwrap();
        assert!(!read.is_stale());
    }
}
