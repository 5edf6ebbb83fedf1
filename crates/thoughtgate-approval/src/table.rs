//! All approvals of this process in memory, and the rules by which they change. Touches no disk, no
//! network and no clock: the caller passes the time and stores what changed.

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::watch;

use crate::ids::{Digest, Id};
use crate::joinable::Joinable;
use crate::record::Record;
use crate::state::State;
use crate::view::View;

/// Reason for an approval that was withdrawn because its callers went away.
const GONE: &str = "its client went away and did not send the call again within `approval.grace`";

/// Reason for an agent whose call was running when the proxy stopped.
const INTERRUPTED: &str =
    "the proxy stopped while the call was running; outcome unknown, not repeated";

pub(crate) struct Entry {
    pub(crate) record: Record,
    /// Bytes that count towards the limits, body and result included; set by
    /// [`ApprovalTable::weigh`].
    pub(crate) bytes: usize,
    pub(crate) changed: watch::Sender<State>,
    /// A result that is not on disk yet.
    pub(crate) result: Option<Bytes>,
    /// Whether an earlier attempt to ask approvers had an unknown outcome: the channel has to be
    /// searched before they are asked again.
    pub(crate) maybe_asked: bool,
    /// Start of the latest reading of the votes that was judged. Posting counts as a reading: a new
    /// message has no votes.
    pub(crate) votes_read: Option<Instant>,
    /// Callers that wait for it now.
    pub(crate) callers: usize,
    /// Reason why approvers could not be asked, or their votes not be read, the last time; `None` if they
    /// could.
    pub(crate) trouble: Option<Trouble>,
}

/// A fault of the channel in which an approval is asked for.
pub(crate) struct Trouble {
    /// The latest reason.
    pub(crate) reason: String,
    /// Start of the present outage, if it is one.
    pub(crate) since: Option<Instant>,
}

impl Entry {
    fn new(record: Record) -> Self {
        let changed = watch::Sender::new(record.state);
        Self {
            record,
            bytes: 0,
            changed,
            result: None,
            maybe_asked: false,
            votes_read: None,
            callers: 0,
            trouble: None,
        }
    }

    /// The approval as its owner sees it: a pending one with the fault that it waits for.
    pub(crate) fn view(&self) -> View {
        let mut view = self.record.view();
        if view.state == State::Pending {
            view.reason = self.trouble.as_ref().map(|trouble| trouble.reason.clone());
        }
        view
    }

    /// The record as it is written. A call whose result is in the same queue of writes has run: on disk
    /// it stays done, whatever else of it changes before memory says so.
    pub(crate) fn stored(&self) -> Record {
        let mut record = self.record.clone();
        if self.result.is_some() && record.state == State::Executing {
            record.state = State::Done;
        }
        record
    }
}

#[derive(Default)]
pub(crate) struct ApprovalTable {
    entries: HashMap<Id, Entry>,
    pub(crate) joinable: Joinable,
    /// Sum of [`Entry::bytes`].
    bytes: usize,
}

impl ApprovalTable {
    /// Takes over the records of the previous process; returns those that changed because of it.
    pub(crate) fn restore(&mut self, records: Vec<Record>, now_ms: u64) -> Vec<Id> {
        let mut changed = Vec::new();
        for record in records {
            let (id, state) = (record.id, record.state);
            self.insert(record);
            // The previous process may have posted the message and stopped before it recorded that.
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.maybe_asked = true;
            }
            if state == State::Executing {
                self.change(id, State::Failed, now_ms, |record| {
                    record.reason = Some(INTERRUPTED.to_owned());
                });
                changed.push(id);
            }
        }
        changed.extend(self.end_overdue(now_ms));
        changed
    }

    pub(crate) fn insert(&mut self, record: Record) {
        let id = record.id;
        self.entries.insert(id, Entry::new(record));
        self.index(id);
        self.weigh(id);
    }

    /// Counts an approval's bytes again after it changed.
    pub(crate) fn weigh(&mut self, id: Id) {
        if let Some(entry) = self.entries.get_mut(&id) {
            let bytes = entry.record.bytes();
            self.bytes = self.bytes.saturating_sub(entry.bytes).saturating_add(bytes);
            entry.bytes = bytes;
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn get(&self, id: Id) -> Option<&Entry> {
        self.entries.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> Option<&mut Entry> {
        self.entries.get_mut(&id)
    }

    /// The entry, if it belongs to `principal`.
    pub(crate) fn owned(&self, id: Id, principal: &str) -> Option<&Entry> {
        self.entries
            .get(&id)
            .filter(|entry| entry.record.principal == principal)
    }

    /// The approval that a call with this digest joins, among those that `fits` accepts: not an overdue
    /// one, and of refusals only one that was given less than `told_for_ms` ago.
    pub(crate) fn joinable(
        &self,
        digest: &Digest,
        (now_ms, told_for_ms): (u64, u64),
        fits: impl Fn(&Record) -> bool,
    ) -> Option<Id> {
        let is_due = |record: &Record| match record.untold_ms {
            Some(since) => since.saturating_add(told_for_ms) <= now_ms,
            None => record.overdue(now_ms).is_some(),
        };
        let records = self
            .joinable
            .ids(digest)
            .iter()
            .filter_map(|id| Some(&self.get(*id)?.record));
        let mut records = records.filter(|record| !is_due(record) && fits(record));
        // An open one comes first: a task does not get the refusal of the call before it.
        let first = records.next()?;
        let open = std::iter::once(first)
            .chain(records)
            .find(|record| !record.is_untold());
        Some(open.unwrap_or(first).id)
    }

    /// Notes whether another call may join the approval.
    pub(crate) fn index(&mut self, id: Id) {
        if let Some(entry) = self.entries.get(&id) {
            self.joinable.note(&entry.record);
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.entries().map(|entry| &entry.record)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Moves an approval to the state `next` and wakes everyone who waits for it; returns false when
    /// the rules forbid it.
    pub(crate) fn change(
        &mut self,
        id: Id,
        next: State,
        now_ms: u64,
        edit: impl FnOnce(&mut Record),
    ) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else {
            return false;
        };
        let record = &mut entry.record;
        if !record.state.may_become(next) {
            return false;
        }
        match next {
            // Time decided this, and not who had approved it.
            State::Expired => record.decided_by = None,
            State::Cancelled if record.overdue(now_ms) == Some(next) => {
                record.reason = Some(GONE.to_owned());
            }
            _ => {}
        }
        record.state = next;
        record.updated_ms = now_ms;
        edit(record);
        record.cap();
        if !next.is_open() {
            record.has_body = false;
            record.body_bytes = 0;
        }
        record.untold_ms = record.refuses().then_some(now_ms);
        // `send` would keep the old state while nobody waits.
        entry.changed.send_replace(next);
        self.index(id);
        self.weigh(id);
        true
    }

    /// Ends what is due; returns the ended ids.
    pub(crate) fn end_overdue(&mut self, now_ms: u64) -> Vec<Id> {
        let due = |record: &Record| Some((record.id, record.overdue(now_ms)?));
        let due: Vec<(Id, State)> = self.records().filter_map(due).collect();
        for (id, state) in &due {
            let entry = self.entries.get_mut(id);
            let trouble = entry.and_then(|entry| entry.trouble.take());
            self.change(*id, *state, now_ms, |record| {
                // Withdrawn ones have their own.
                if *state == State::Expired {
                    record.reason = trouble.map(|trouble| trouble.reason);
                }
            });
        }
        due.into_iter().map(|(id, _)| id).collect()
    }

    pub(crate) fn remove(&mut self, id: Id) {
        if let Some(entry) = self.entries.remove(&id) {
            self.joinable.forget(entry.record.digest, id);
            self.bytes = self.bytes.saturating_sub(entry.bytes);
        }
    }

    /// Time at which [`ApprovalTable::end_overdue`] or [`ApprovalTable::prune`] next has something to do, in
    /// milliseconds since the Unix epoch.
    pub(crate) fn next_due_ms(&self, retention_ms: u64) -> Option<u64> {
        // A running call has no deadline: its claim settles it.
        self.records()
            .filter(|record| record.state != State::Executing)
            .map(|record| {
                if record.state.is_open() {
                    record.due_ms()
                } else {
                    record.updated_ms.saturating_add(retention_ms)
                }
            })
            .min()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn record(tool: &str, state: State, expires_ms: u64) -> Record {
        Record {
            state,
            expires_ms,
            has_body: true,
            is_deferred: true,
            ..crate::record::tests::record(tool, 0)
        }
    }

    #[test]
    fn a_restart_never_repeats_a_call_that_was_running() {
        let mut table = ApprovalTable::default();
        let running = record("a", State::Executing, 100);
        let approved = record("b", State::Approved, 100);
        let pending = record("c", State::Pending, 100);
        let overdue = record("d", State::Pending, 10);
        let ids = [running.id, approved.id, pending.id, overdue.id];
        let changed = table.restore(vec![running, approved, pending, overdue], 50);
        let states = ids.map(|id| table.get(id).unwrap().record.state);
        assert_eq!(
            states,
            [
                State::Failed,
                State::Approved,
                State::Pending,
                State::Expired
            ]
        );
        assert_eq!(changed, [ids[0], ids[3]]);
    }

    #[test]
    fn it_is_decided_once() {
        let mut table = ApprovalTable::default();
        let pending = record("a", State::Pending, 100);
        let id = pending.id;
        table.insert(pending);
        assert!(table.change(id, State::Rejected, 1, |_| {}));
        assert!(!table.change(id, State::Approved, 2, |_| {}));
        assert_eq!(table.get(id).unwrap().record.updated_ms, 1);
    }

    #[test]
    fn calls_join_until_it_is_claimed() {
        let mut table = ApprovalTable::default();
        let pending = record("a", State::Pending, 100);
        let (id, digest) = (pending.id, pending.digest);
        table.insert(pending);
        let joined =
            |table: &ApprovalTable, now_ms| table.joinable(&digest, (now_ms, 10), |_| true);
        assert_eq!(joined(&table, 1), Some(id));
        assert_eq!(joined(&table, 100), None);
        table.change(id, State::Approved, 1, |_| {});
        assert_eq!(joined(&table, 1), Some(id));
        table.change(id, State::Executing, 1, |_| {});
        assert_eq!(joined(&table, 1), None);
        assert!(table.joinable.is_empty());
    }

    #[test]
    fn a_call_joins_the_approval_that_fits_it() {
        let mut table = ApprovalTable::default();
        let [low, high] = ["C1", "C2"].map(|channel| Record {
            channel: channel.to_owned(),
            ..record("a", State::Pending, 100)
        });
        let (digest, ids) = (low.digest, [low.id, high.id]);
        table.insert(low);
        table.insert(high);
        let joined = |table: &ApprovalTable, channel: &str| {
            table.joinable(&digest, (1, 10), |record| record.channel == channel)
        };
        assert_eq!(joined(&table, "C1"), Some(ids[0]));
        assert_eq!(joined(&table, "C2"), Some(ids[1]));
        assert_eq!(joined(&table, "C3"), None);
        table.change(ids[0], State::Cancelled, 1, |_| {});
        assert_eq!(joined(&table, "C1"), None);
        assert_eq!(joined(&table, "C2"), Some(ids[1]));
    }

    #[test]
    fn the_body_is_not_kept_longer_than_it_is_needed() {
        let mut table = ApprovalTable::default();
        let pending = record("a", State::Pending, 100);
        let id = pending.id;
        table.insert(pending);
        table.change(id, State::Approved, 1, |_| {});
        assert!(table.get(id).unwrap().record.has_body);
        table.change(id, State::Cancelled, 1, |_| {});
        assert!(!table.get(id).unwrap().record.has_body);
    }
}
