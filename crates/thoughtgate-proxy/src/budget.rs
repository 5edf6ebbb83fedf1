//! One budget of bytes for what this process buffers: request bodies, tool lists and results that are
//! being gathered. Audit lines have room of their own, see [`crate::audit`].
//!
//! Counts bytes and allocates none. A request that finds no room is refused with 503; an approved call
//! waits for room.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus_client::metrics::counter::Counter;

/// Holdings up to this size, as those of most calls, may use the whole budget. The last quarter of the
/// default budget, which is without the audit's share, is this much for each of the default number of
/// connections, so that no set of slow clients can take the room of such a call.
const TINY_BYTES: usize = 6 * 1024;
/// Holdings up to this size may use three quarters of the budget, larger ones a sixteenth of it less, so
/// that large messages cannot take the room of small ones. The largest that settings allow still fits.
const SMALL_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub struct Budget {
    bytes_max: usize,
    used: AtomicUsize,
    refused: Counter,
}

/// The budget has no room for the bytes that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no buffer space left (`limits.buffered_bytes`); retry later")]
pub struct Spent;

/// Bytes held from the budget, given back when dropped.
#[derive(Debug)]
pub struct Reserved<B: Deref<Target = Budget> = Arc<Budget>> {
    budget: B,
    bytes: usize,
}

impl Budget {
    /// A budget of `bytes_max`; `refused` counts reservations that found no room.
    #[must_use]
    pub fn new(bytes_max: usize, refused: Counter) -> Arc<Budget> {
        Arc::new(Budget {
            bytes_max,
            used: AtomicUsize::new(0),
            refused,
        })
    }

    /// Reserves `bytes`.
    pub fn reserve(self: &Arc<Self>, bytes: usize) -> Result<Reserved, Spent> {
        let mut reserved = self.hold();
        reserved.grow(bytes)?;
        Ok(reserved)
    }

    /// An empty holding, to be grown.
    #[must_use]
    pub fn hold(self: &Arc<Self>) -> Reserved {
        Reserved {
            budget: Arc::clone(self),
            bytes: 0,
        }
    }

    /// Like [`Budget::hold`], for a holding that does not outlive its caller: no reference is counted.
    #[must_use]
    pub fn lend(&self) -> Reserved<&Budget> {
        Reserved {
            budget: self,
            bytes: 0,
        }
    }

    /// Size of the largest possible holding, in bytes.
    #[must_use]
    pub fn largest(&self) -> usize {
        self.ceiling(usize::MAX)
    }

    fn ceiling(&self, holding: usize) -> usize {
        if holding <= TINY_BYTES {
            self.bytes_max
        } else if holding <= SMALL_BYTES {
            self.bytes_max - self.bytes_max / 4
        } else {
            // A quarter for tiny holdings, and a sixteenth more for small ones.
            self.bytes_max - self.bytes_max / 16 * 5
        }
    }

    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl<B: Deref<Target = Budget>> Reserved<B> {
    /// Reserves `more` bytes in addition; on failure the holding is unchanged.
    pub fn grow(&mut self, more: usize) -> Result<(), Spent> {
        if more == 0 {
            return Ok(());
        }
        let budget = &self.budget;
        let ceiling = budget.ceiling(self.bytes.saturating_add(more));
        // Added first and taken back if it was too much: one atomic operation in the usual case.
        // Until then another holding may be refused that would fit; none is admitted that does not.
        // Relaxed: the counter is all that is shared.
        let before = budget.used.fetch_add(more, Ordering::Relaxed);
        if before.saturating_add(more) > ceiling {
            budget.used.fetch_sub(more, Ordering::Relaxed);
            budget.refused.inc();
            return Err(Spent);
        }
        self.bytes += more;
        Ok(())
    }

    /// Gives back all but `bytes`; does nothing if it holds less.
    pub fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.bytes.saturating_sub(bytes);
        if surplus == 0 {
            return;
        }
        self.bytes -= surplus;
        self.budget.used.fetch_sub(surplus, Ordering::Relaxed);
    }

    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl<B: Deref<Target = Budget>> Drop for Reserved<B> {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_what_does_not_fit_is_refused_and_counted() {
        let refused = Counter::default();
        let budget = Budget::new(1000, refused.clone());
        let mut first = budget.reserve(600).unwrap();
        assert_eq!(budget.reserve(401).unwrap_err(), Spent);
        assert_eq!((budget.used(), refused.get()), (600, 1));
        first.grow(400).unwrap();
        assert!(first.grow(1).is_err());
        assert_eq!((first.bytes(), budget.used()), (1000, 1000));
        first.shrink_to(10);
        assert_eq!(budget.used(), 10);
        first.shrink_to(10_000);
        drop(first);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn large_holdings_leave_room_to_small_ones_and_both_to_tiny_ones() {
        let budget = Budget::new(16 * SMALL_BYTES, Counter::default());
        let mut large = budget.reserve(11 * SMALL_BYTES).unwrap();
        assert!(large.grow(1).is_err());
        let mut small = budget.reserve(SMALL_BYTES).unwrap();
        assert!(small.grow(1).is_err(), "it would be a large one");
        assert!(budget.reserve(TINY_BYTES + 1).is_err());
        let tiny: Vec<_> = (0..4 * SMALL_BYTES / TINY_BYTES)
            .map(|_| budget.reserve(TINY_BYTES).unwrap())
            .collect();
        assert!(budget.reserve(TINY_BYTES).is_err());
        drop((large, small, tiny));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_lent_holding_counts_like_any_other() {
        let budget = Budget::new(TINY_BYTES, Counter::default());
        let mut lent = budget.lend();
        lent.grow(TINY_BYTES).unwrap();
        assert!(budget.reserve(1).is_err());
        drop(lent);
        assert!(budget.reserve(1).is_ok());
    }
}
