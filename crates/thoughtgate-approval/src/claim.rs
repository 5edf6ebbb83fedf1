//! The right to make one approved call, once. When a [`Claim`] exists, its approval is marked as used
//! on disk.

use std::sync::Arc;

use bytes::Bytes;

use crate::cause::chain;
use crate::clock::now_ms;
use crate::error::ClaimError;
use crate::ids::{Digest, Id};
use crate::ledger::Ledger;
use crate::record::{Means, Record};
use crate::state::State;
use crate::store::Write;
use crate::vote::Vote;

/// Reason for an agent whose call was dropped before its outcome was known.
const ABANDONED: &str = "the call was abandoned while running; outcome unknown, not repeated";

/// The right to make one approved call. Settle it with [`Claim::complete`] or [`Claim::fail`]; a
/// claim that is dropped counts as a call whose outcome is unknown.
#[must_use = "a dropped claim counts as a call with an unknown outcome"]
pub struct Claim {
    ledger: Arc<Ledger>,
    id: Id,
    settled: bool,
    /// Whether the call ran and only its result is still being written.
    ran: bool,
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Claim {
    /// Approved → Executing, on disk before this returns; the caller has confirmed the votes. A
    /// caller that goes away while it waits gives the approval back, since it cannot have made the
    /// call.
    pub(crate) async fn take(
        ledger: &Arc<Ledger>,
        id: Id,
        principal: &str,
        digest: &Digest,
    ) -> Result<Self, ClaimError> {
        // A claim whose write fails uses the approval up, so none is tried on a failing disk.
        if let Some(failure) = ledger.store.failure() {
            return Err(ClaimError::Store(failure));
        }
        let flush = {
            let mut table = ledger.table();
            let record = &table
                .owned(id, principal)
                .ok_or(ClaimError::Unknown)?
                .record;
            if record.digest != *digest {
                return Err(ClaimError::DigestMismatch);
            }
            let state = record.state;
            // The sweep may be late, for example after the clock was set, so the deadline is checked again.
            if let Some(end) = record.overdue(now_ms()) {
                ledger.change(&mut table, id, end, |_| {});
                return Err(refusal(end));
            }
            let flush = ledger.change(&mut table, id, State::Executing, |_| {});
            flush.ok_or_else(|| refusal(state))?
        };
        // Armed only across the wait: it runs if the caller is dropped there, before it could make the call.
        let mut undo = Undo {
            ledger,
            id,
            armed: true,
        };
        let stored = flush.done().await;
        undo.armed = false;
        let mut claim = Self {
            ledger: Arc::clone(ledger),
            id,
            settled: false,
            ran: false,
        };
        if let Err(error) = stored {
            let error = ClaimError::Store(error);
            // The write may have reached the disk, so the approval counts as used.
            claim.settle(State::Failed, |reason| {
                *reason = Some(format!("{}; the call was not made", chain(&error)));
            });
            return Err(error);
        }
        Ok(claim)
    }

    /// Settles the claim: the call ran. `result` is for calls that are answered later: it is on disk
    /// before the approval is shown as done, unless the disk takes no writes. A result above
    /// [`crate::Settings::result_bytes_max`] leaves the approval failed, with its size as the reason.
    pub async fn complete(mut self, result: Option<Vec<u8>>) {
        let limit = self.ledger.settings.result_bytes_max;
        let bytes = result.as_ref().map_or(0, Vec::len);
        if bytes > limit {
            self.fail(&format!(
                "the call ran, but its result of {bytes} bytes exceeds the limit of {limit} bytes"
            ));
            return;
        }
        let Some(result) = result else {
            self.settle(State::Done, |_| {});
            return;
        };
        // From here on the call counts as done, even if the caller goes away.
        self.ran = true;
        let ledger = Arc::clone(&self.ledger);
        let stored = {
            let mut table = ledger.table();
            // One commit for the result and the state that refers to it.
            let mut writes = vec![Write::Result(self.id, result.clone())];
            if let Some(entry) = table.get_mut(self.id) {
                entry.record.result_bytes = bytes;
                entry.result = Some(Bytes::from(result));
                // Done on disk first, in memory after the flush: a crash in between does not
                // turn the result into a failure.
                writes.push(Write::Record(Box::new(entry.stored())));
            }
            table.weigh(self.id);
            // A result is not refused for want of room, since the call ran: older ended approvals make room.
            ledger.prune(&mut table, 0);
            ledger.store.submit(writes)
        };
        let stored = stored.done().await;
        self.settle(State::Done, |_| {});
        // A result on disk is read from there.
        if stored.is_ok()
            && let Some(entry) = ledger.table().get_mut(self.id)
        {
            entry.result = None;
        }
    }

    /// Settles the claim: the call failed, or its outcome is unknown. It is not repeated.
    pub fn fail(mut self, reason: &str) {
        self.settle(State::Failed, |told| *told = Some(reason.to_owned()));
    }

    fn settle(&mut self, state: State, tell: impl FnOnce(&mut Option<String>)) {
        self.settled = true;
        let mut table = self.ledger.table();
        let edit = |record: &mut Record| tell(&mut record.reason);
        self.ledger.change(&mut table, self.id, state, edit);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Writes are queued and not waited for, so this may run in a drop.
        if self.ran && !self.settled {
            self.settle(State::Done, |_| {});
        } else if !self.settled {
            self.settle(State::Failed, |reason| *reason = Some(ABANDONED.to_owned()));
        }
    }
}

/// Gives an approval back when its claim was never handed out.
struct Undo<'a> {
    ledger: &'a Ledger,
    id: Id,
    armed: bool,
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let mut table = self.ledger.table();
        self.ledger
            .change(&mut table, self.id, State::Approved, |_| {});
        // A denial that came during the claim was noted as too late; now it counts.
        let late_no = table
            .get_mut(self.id)
            .and_then(|entry| entry.record.late_no.take());
        if let Some(by) = late_no {
            let vote = Vote {
                by: &by,
                approve: false,
                means: Means::Interaction,
            };
            self.ledger.decide_in(&mut table, self.id, vote);
        }
    }
}

fn refusal(state: State) -> ClaimError {
    match state {
        State::Pending => ClaimError::Pending,
        State::Rejected => ClaimError::Rejected,
        State::Expired => ClaimError::Expired,
        State::Cancelled => ClaimError::Cancelled,
        State::Unavailable => ClaimError::Unavailable,
        State::Approved | State::Executing | State::Done | State::Failed => {
            ClaimError::AlreadyExecuted
        }
    }
}
