//! Which approvals another call with the same digest may join: pending and unclaimed ones, and refusals that no
//! caller was told. Only the index; the table says which of them are due.

use std::collections::HashMap;

use crate::ids::{Digest, Id};
use crate::record::Record;

/// Usually one for each digest; more when policies have asked in several channels.
#[derive(Default)]
pub(crate) struct Joinable(HashMap<Digest, Vec<Id>>);

impl Joinable {
    pub(crate) fn ids(&self, digest: &Digest) -> &[Id] {
        self.0.get(digest).map_or(&[], Vec::as_slice)
    }

    /// Notes whether another call may join the approval.
    pub(crate) fn note(&mut self, record: &Record) {
        self.forget(record.digest, record.id);
        if record.is_joinable() {
            self.0.entry(record.digest).or_default().push(record.id);
        }
    }

    pub(crate) fn forget(&mut self, digest: Digest, id: Id) {
        if let Some(ids) = self.0.get_mut(&digest) {
            ids.retain(|known| *known != id);
            if ids.is_empty() {
                self.0.remove(&digest);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;
    use crate::table::ApprovalTable;
    use crate::table::tests::record;

    #[test]
    fn a_refusal_is_joined_for_a_while_until_it_is_told() {
        let rejected_by = |by: &str, is_deferred| {
            let mut table = ApprovalTable::default();
            let pending = Record {
                is_deferred,
                ..record("a", State::Pending, 100)
            };
            let (id, digest) = (pending.id, pending.digest);
            table.insert(pending);
            table.change(id, State::Rejected, 1, |record| {
                record.decided_by = Some(by.to_owned());
            });
            (table, id, digest)
        };
        let joined = |table: &ApprovalTable, digest: &Digest, now_ms| {
            table.joinable(digest, (now_ms, 10), |_| true)
        };
        let (mut table, id, digest) = rejected_by("U1", false);
        assert_eq!(joined(&table, &digest, 10), Some(id));
        assert_eq!(joined(&table, &digest, 11), None);
        table.remove(id);
        assert!(table.joinable.is_empty());
        // Policies refuse by themselves, and the end of a task is polled.
        for (by, is_deferred) in [("policy", false), ("U1", true)] {
            let (table, _, digest) = rejected_by(by, is_deferred);
            assert_eq!(joined(&table, &digest, 2), None);
            assert!(table.joinable.is_empty());
        }
        let (mut table, id, digest) = rejected_by("U1", false);
        table.get_mut(id).unwrap().record.untold_ms = None;
        table.index(id);
        assert_eq!(joined(&table, &digest, 2), None);
    }

    #[test]
    fn an_open_approval_is_joined_before_a_refusal() {
        let mut table = ApprovalTable::default();
        let mut refused = record("a", State::Rejected, 100);
        refused.untold_ms = Some(1);
        let (digest, told) = (refused.digest, refused.id);
        table.insert(refused);
        let joined = |table: &ApprovalTable| table.joinable(&digest, (1, 10), |_| true);
        assert_eq!(joined(&table), Some(told));
        let open = record("a", State::Pending, 100);
        let id = open.id;
        table.insert(open);
        assert_eq!(joined(&table), Some(id));
    }
}
