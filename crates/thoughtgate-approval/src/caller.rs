//! Callers that wait for an approval, and the effect of their going away. Does not decide which
//! callers cancel by going away: whoever waits says so.

use crate::approvals::Approvals;
use crate::clock::{millis, now_ms};
use crate::ids::Id;
use crate::record::Departure;
use crate::state::State;
use crate::table::ApprovalTable;

/// A caller that waits for an approval, until dropped.
///
/// From 2026-07-28 on a client cancels a call by disconnecting, which also happens when it only lost
/// patience. So the approval stays open for [`crate::Settings::grace`], and the same call sent again
/// joins it; nobody makes the call meanwhile.
#[must_use = "a dropped caller counts as one that went away"]
pub struct Caller {
    approvals: Approvals,
    id: Id,
    cancels_on_drop: bool,
}

impl Approvals {
    /// Counts a caller that waits for the approval. With `cancels_on_drop` the approval is withdrawn
    /// some time after its last caller went away, unless another one comes.
    pub fn caller(&self, id: Id, cancels_on_drop: bool) -> Caller {
        let mut table = self.ledger.table();
        if let Some(entry) = table.get_mut(id) {
            entry.callers += 1;
        }
        self.ledger.edit_in(&mut table, id, |record| {
            let has_left = matches!(record.departure, Departure::Withdraws(_));
            if has_left {
                record.departure = Departure::None;
            }
            has_left
        });
        drop(table);
        Caller {
            approvals: self.clone(),
            id,
            cancels_on_drop,
        }
    }
}

impl Caller {
    /// Ends the wait of a caller that was answered: the approval stays as it is.
    pub fn answered(&mut self) {
        self.cancels_on_drop = false;
    }

    /// Cancels the request of a caller that asks for that. The approval is withdrawn at once, unless
    /// another call needs it.
    pub fn cancel(&mut self) {
        let ledger = &self.approvals.ledger;
        let mut table = ledger.table();
        if self.cancels_on_drop && self.is_alone(&table) {
            ledger.change(&mut table, self.id, State::Cancelled, |_| {});
        }
        drop(table);
        self.cancels_on_drop = false;
    }

    /// Whether the approval waits for a decision that no other call needs.
    fn is_alone(&self, table: &ApprovalTable) -> bool {
        table.get(self.id).is_some_and(|entry| {
            let is_pending = entry.record.state == State::Pending;
            // This caller is still counted.
            entry.callers <= 1 && is_pending && entry.record.departure != Departure::Ignored
        })
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let ledger = &self.approvals.ledger;
        let mut table = ledger.table();
        // Queues its write and waits for nothing, so it may run in a drop.
        if self.cancels_on_drop && self.is_alone(&table) {
            let at = now_ms().saturating_add(millis(ledger.settings.grace));
            ledger.edit_in(&mut table, self.id, |record| {
                record.departure = Departure::Withdraws(at);
                true
            });
            // This deadline may be earlier than the one that is waited for.
            ledger.keeper.notify_one();
        }
        if let Some(entry) = table.get_mut(self.id) {
            entry.callers = entry.callers.saturating_sub(1);
        }
    }
}
