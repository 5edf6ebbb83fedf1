//! The right to make one approved call, once. Holding a [`Claim`] means that the fact is on disk.

use std::sync::Arc;

use bytes::Bytes;

use crate::core::Core;
use crate::error::ClaimError;
use crate::ids::{Digest, Id};
use crate::record::{Means, State, now_ms};
use crate::slack::Desk;
use crate::store::Write;
use crate::vote::Vote;

/// Told to an agent whose call was dropped half-way.
const ABANDONED: &str = "the call was abandoned while executing; outcome unknown, not repeated";

/// The right to make one approved call. Settle it with [`Claim::complete`] or [`Claim::fail`];
/// dropping it says that the outcome is unknown.
#[must_use = "a dropped claim counts as a call with an unknown outcome"]
pub struct Claim {
    core: Arc<Core>,
    id: Id,
    settled: bool,
    /// Whether the call ran, and its result is on its way to the disk.
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
    /// Approved → Executing, on disk before this returns. A caller that goes away meanwhile gives
    /// the approval back, since the call cannot have been made.
    pub(crate) async fn take(
        core: &Arc<Core>,
        id: Id,
        principal: &str,
        digest: &Digest,
    ) -> Result<Self, ClaimError> {
        Self::confirm(core, id, principal).await?;
        // A claim that fails to be written uses the approval up, so none is tried in vain.
        if let Some(failure) = core.store.failure() {
            return Err(ClaimError::Store(failure));
        }
        let flush = {
            let mut book = core.book();
            let record = &book.owned(id, principal).ok_or(ClaimError::Unknown)?.record;
            if record.digest != *digest {
                return Err(ClaimError::DigestMismatch);
            }
            let state = record.state;
            if matches!(state, State::Pending | State::Approved) && record.expires_ms <= now_ms() {
                core.change(&mut book, id, State::Expired, |_| {});
                return Err(ClaimError::Expired);
            }
            let flush = core.change(&mut book, id, State::Executing, |_| {});
            flush.ok_or_else(|| refusal(state))?
        };
        let mut undo = Undo {
            core,
            id,
            armed: true,
        };
        let stored = flush.done().await;
        undo.armed = false;
        let mut claim = Self {
            core: Arc::clone(core),
            id,
            settled: false,
            ran: false,
        };
        if let Err(error) = stored {
            // Whether the disk has it is unknown, so it counts as used; nothing was sent.
            claim.settle(State::Failed, |reason| {
                *reason = Some(format!(
                    "the claim could not be stored: {error}; not executed"
                ));
            });
            return Err(ClaimError::Store(error));
        }
        Ok(claim)
    }

    /// Reads the votes again unless that was done within the last poll interval, so that a no which
    /// the approvers' side has had for longer holds.
    pub(crate) async fn confirm(
        core: &Arc<Core>,
        id: Id,
        principal: &str,
    ) -> Result<(), ClaimError> {
        if core.book().owned(id, principal).is_none() {
            return Err(ClaimError::Unknown);
        }
        let confirmed = Desk::confirm(core, id).await;
        confirmed.map_err(ClaimError::Unconfirmed)
    }

    /// The approval claimed.
    #[must_use]
    pub fn id(&self) -> Id {
        self.id
    }

    /// The call ran. A result, given for calls that are answered later, is on disk before anyone is
    /// told, unless the disk takes nothing; one that is larger than allowed leaves the approval failed, with that as reason.
    pub async fn complete(mut self, result: Option<Vec<u8>>) {
        let limit = self.core.settings.result_bytes_max;
        let bytes = result.as_ref().map_or(0, Vec::len);
        if bytes > limit {
            self.fail(&format!(
                "the call ran, but its result of {bytes} bytes exceeds the {limit} that are kept"
            ));
            return;
        }
        let Some(result) = result else {
            self.settle(State::Done, |_| {});
            return;
        };
        // From here on the call counts as done, also for a caller that goes away.
        self.ran = true;
        let core = Arc::clone(&self.core);
        let stored = {
            let mut book = core.book();
            let mut writes = vec![Write::Result(self.id, result.clone())];
            if let Some(entry) = book.get_mut(self.id) {
                entry.record.result_bytes = bytes;
                entry.result = Some(Bytes::from(result));
                let mut done = entry.record.clone();
                done.state = State::Done;
                writes.push(Write::Record(Box::new(done)));
            }
            book.weigh(self.id);
            core.prune(&mut book, 0);
            core.store.submit(writes)
        };
        let stored = stored.done().await;
        self.settle(State::Done, |_| {});
        // Memory lets go of it once the disk has it.
        if stored.is_ok()
            && let Some(entry) = core.book().get_mut(self.id)
        {
            entry.result = None;
        }
    }

    /// The call failed, or its outcome is unknown; it is not made again.
    pub fn fail(mut self, reason: &str) {
        self.settle(State::Failed, |told| *told = Some(reason.to_owned()));
    }

    fn settle(&mut self, state: State, tell: impl FnOnce(&mut Option<String>)) {
        self.settled = true;
        let mut book = self.core.book();
        self.core
            .change(&mut book, self.id, state, |record| tell(&mut record.reason));
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.ran && !self.settled {
            self.settle(State::Done, |_| {});
        } else if !self.settled {
            self.settle(State::Failed, |reason| *reason = Some(ABANDONED.to_owned()));
        }
    }
}

/// Gives an approval back when its claim was never handed out.
struct Undo<'a> {
    core: &'a Core,
    id: Id,
    armed: bool,
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let mut book = self.core.book();
        self.core
            .change(&mut book, self.id, State::Approved, |_| {});
        // A no that seemed too late was not.
        let late_no = book
            .get_mut(self.id)
            .and_then(|entry| entry.record.late_no.take());
        if let Some(by) = late_no {
            let vote = Vote {
                by: &by,
                approve: false,
                means: Means::Press,
            };
            self.core.decide_in(&mut book, self.id, vote);
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
