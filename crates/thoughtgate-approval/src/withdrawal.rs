//! Cancels the request of a caller that goes away. Does not decide for which callers: whoever waits
//! takes the guard.

use crate::approvals::Approvals;
use crate::ids::Id;

/// Cancels an approval when dropped, unless [`Withdrawal::keep`] was called.
#[must_use]
pub struct Withdrawal {
    approvals: Approvals,
    id: Id,
    principal: String,
    armed: bool,
}

impl Approvals {
    /// Guard of a caller that waits: from 2026-07-28 a client cancels by disconnecting.
    pub fn withdrawn_on_drop(&self, id: Id, principal: &str) -> Withdrawal {
        Withdrawal {
            approvals: self.clone(),
            id,
            principal: principal.to_owned(),
            armed: true,
        }
    }
}

impl Withdrawal {
    /// Leaves the approval as it is.
    pub fn keep(mut self) {
        self.armed = false;
    }
}

impl Drop for Withdrawal {
    fn drop(&mut self) {
        if self.armed {
            // Queues its write and waits for nothing, so it may run in a drop.
            self.approvals.cancel(self.id, &self.principal);
        }
    }
}
