//! Whether requests to the upstream succeed, so that the log has each change and not each failure.
//!
//! Counts nothing: the metrics do. That an address can be reached is [`crate::probe`]'s to find out.

use std::fmt::Display;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use thoughtgate_panic::{info, lock, warn};

/// Time without a failure after which a success ends the fault. An upstream that fails now and then must
/// not add two lines for each failure.
const QUIET: Duration = Duration::from_secs(1);

/// State of the requests to the upstream.
#[derive(Default)]
pub struct Exchanges {
    /// Read once per request, and only written when the state changes.
    fails: AtomicBool,
    fault: Mutex<Fault>,
}

#[derive(Default)]
struct Fault {
    failures: u64,
    last: Option<Instant>,
}

impl Exchanges {
    /// Records that a request found no answer for this `reason`.
    #[cold]
    pub fn failed(&self, reason: &dyn Display) {
        if self.fail_at(Instant::now()) {
            warn!("requests to the upstream fail: {reason}");
        }
    }

    /// Records that the upstream has answered a request.
    pub fn worked(&self) {
        if self.fails.load(Ordering::Relaxed) {
            self.recover();
        }
    }

    #[cold]
    fn recover(&self) {
        if let Some(failures) = self.work_at(Instant::now()) {
            info!(failures = failures; "requests to the upstream succeed again");
        }
    }

    /// Whether this failure begins a fault.
    fn fail_at(&self, now: Instant) -> bool {
        let mut fault = lock(&self.fault);
        fault.failures += 1;
        fault.last = Some(now);
        !self.fails.swap(true, Ordering::Relaxed)
    }

    /// The number of failures of the fault that this success ends, if it ends one.
    fn work_at(&self, now: Instant) -> Option<u64> {
        let mut fault = lock(&self.fault);
        let last = fault.last?;
        if now.saturating_duration_since(last) < QUIET {
            return None;
        }
        self.fails.store(false, Ordering::Relaxed);
        Some(std::mem::take(&mut *fault).failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_begins_once_and_ends_once_when_it_is_quiet() {
        let (exchanges, start) = (Exchanges::default(), Instant::now());
        assert_eq!(exchanges.work_at(start), None);
        assert!(exchanges.fail_at(start));
        assert_eq!(exchanges.work_at(start), None);
        assert!(!exchanges.fail_at(start + QUIET / 2));
        assert_eq!(exchanges.work_at(start + QUIET), None);
        assert_eq!(exchanges.work_at(start + QUIET * 2), Some(2));
        assert_eq!(exchanges.work_at(start + QUIET * 3), None);
        assert!(exchanges.fail_at(start + QUIET * 4));
    }
}
