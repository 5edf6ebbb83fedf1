//! Faults that may come and go, each logged when it begins, changes or ends.

use thoughtgate_panic::{info, warn};

/// A fault that may come and go, with the reason that was logged last.
pub struct Reported {
    trouble: &'static str,
    /// What is the case again when the fault is over.
    remedy: &'static str,
    reason: Option<String>,
}

impl Reported {
    #[must_use]
    pub fn of(trouble: &'static str, remedy: &'static str) -> Reported {
        Reported {
            trouble,
            remedy,
            reason: None,
        }
    }

    /// Logs a new `reason`, or that the fault is over; nothing if that is logged already.
    pub fn report(&mut self, reason: Option<String>) {
        // A fault that lasts would otherwise add a line at each interval.
        if reason == self.reason {
            return;
        }
        match &reason {
            Some(reason) => warn!("{}: {reason}", self.trouble),
            None => info!("resolved: {}", self.remedy),
        }
        self.reason = reason;
    }

    /// Forgets the fault without a line: whether it is over cannot be seen.
    pub fn forget(&mut self) {
        self.reason = None;
    }
}
