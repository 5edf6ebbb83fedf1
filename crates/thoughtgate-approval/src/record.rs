//! One approval as it is stored. Pure data: the rules of change are in `table.rs`, the bytes on disk in
//! `store.rs`, what its owner sees in `view.rs`.

use serde::{Deserialize, Serialize};
use thoughtgate_mcp::cut;

use crate::ids::{Digest, Id};
use crate::state::State;
use crate::user::UserDigest;
use crate::view::{POLICY, View};

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

/// Effect on a pending approval when its callers go away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Departure {
    /// None yet: a caller waits, or was answered.
    #[default]
    None,
    /// The last one has gone: the request is withdrawn at this time, unless one comes back.
    Withdraws(u64),
    /// None ever: a call needs the approval whose caller may go away.
    Ignored,
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
    /// Digest of all arguments, unredacted; `None` in records of earlier versions.
    #[serde(default)]
    pub(crate) arguments_digest: Option<Digest>,
    pub(crate) created_ms: u64,
    pub(crate) updated_ms: u64,
    /// Deadline to decide while pending, and to claim once approved.
    pub(crate) expires_ms: u64,
    #[serde(default)]
    pub(crate) departure: Departure,
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
    /// User who asked: whose body that is, and who gets the result, or the refusal. `None` if several asked
    /// for calls that are not answered later, and in records of earlier versions.
    #[serde(default)]
    pub(crate) user: Option<UserDigest>,
    /// Time at which it ended as a refusal, if no caller was told.
    #[serde(default)]
    pub(crate) untold_ms: Option<u64>,
    /// Size of the kept body; 0 without one.
    #[serde(default)]
    pub(crate) body_bytes: usize,
    /// Size of the kept result; 0 without one.
    #[serde(default)]
    pub(crate) result_bytes: usize,
}

/// Longest reason and longest name of a decider that are kept, in bytes: either may come from the
/// upstream or from Slack.
pub(crate) const REASON_BYTES_MAX: usize = 1024;
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
            arguments_digest: None,
            created_ms: now_ms,
            updated_ms: now_ms,
            expires_ms: now_ms,
            departure: Departure::None,
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
            user: None,
            untold_ms: None,
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

    /// State that follows from a deadline that has passed.
    pub(crate) fn overdue(&self, now_ms: u64) -> Option<State> {
        let is_due = |at: u64| at <= now_ms;
        match self.state {
            State::Pending | State::Approved if is_due(self.expires_ms) => Some(State::Expired),
            State::Pending => match self.departure {
                Departure::Withdraws(at) if is_due(at) => Some(State::Cancelled),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether its end refuses the call, and nobody can know that before a caller is told. Whoever polls a
    /// task reads its end; an approval that nobody used was no refusal, and policies refuse by themselves.
    pub(crate) fn refuses(&self) -> bool {
        let refuses = match self.state {
            State::Rejected => self.decided_by.as_deref() != Some(POLICY),
            State::Expired => self.means.is_none(),
            State::Unavailable => true,
            _ => false,
        };
        refuses && !self.is_deferred
    }

    /// Whether it has ended as a refusal that no caller was told.
    pub(crate) fn is_untold(&self) -> bool {
        self.untold_ms.is_some()
    }

    /// Whether an equal call gets it instead of a new one: it may still permit that call, or has to tell
    /// its refusal.
    pub(crate) fn is_joinable(&self) -> bool {
        self.is_untold() || matches!(self.state, State::Pending | State::Approved)
    }

    /// Whether the call is answered later, to `user`.
    pub(crate) fn is_task_of(&self, user: UserDigest) -> bool {
        self.is_deferred && self.user.is_none_or(|own| own == user)
    }

    /// The next deadline of an approval that is pending or approved.
    pub(crate) fn due_ms(&self) -> u64 {
        match self.departure {
            Departure::Withdraws(at) if self.state == State::Pending => at.min(self.expires_ms),
            _ => self.expires_ms,
        }
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
            arguments: self.arguments_digest,
            state: self.state,
            created_ms: self.created_ms,
            updated_ms: self.updated_ms,
            expires_ms: self.expires_ms,
            decided_by: self.decided_by.clone(),
            was_approved: self.means.is_some(),
            reason: self.reason.clone(),
            refused_voters: self.non_approvers.len(),
            policies: self.policies.clone(),
            generation: self.generation,
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

    #[test]
    fn only_an_undecided_request_is_withdrawn() {
        let mut record = record("tool", 0);
        (record.expires_ms, record.departure) = (20, Departure::Withdraws(10));
        assert_eq!((record.overdue(9), record.due_ms()), (None, 10));
        assert_eq!(record.overdue(10), Some(State::Cancelled));
        assert_eq!(record.overdue(20), Some(State::Expired));
        record.state = State::Approved;
        assert_eq!((record.overdue(19), record.due_ms()), (None, 20));
        assert_eq!(record.overdue(20), Some(State::Expired));
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
