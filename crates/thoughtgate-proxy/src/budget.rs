//! One budget of bytes for everything that this process buffers: request bodies being read, audit
//! lines that wait, tool lists being gathered, results that are kept.
//!
//! Counts bytes and allocates none. Whoever cannot get room refuses its own request with 503.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus_client::metrics::counter::Counter;

/// Holdings up to this size may use the whole budget, larger ones three quarters of it: large
/// messages cannot take the room of the small ones that most calls are.
const SMALL_BYTES: usize = 64 * 1024;

/// The budget of one process.
#[derive(Debug)]
pub struct Budget {
    bytes_max: usize,
    used: AtomicUsize,
    refused: Counter,
}

/// The budget has no room for what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`limits.buffered_bytes` is spent; retry later")]
pub struct Spent;

/// Bytes held from the budget, given back when dropped.
#[derive(Debug)]
pub struct Reserved {
    budget: Arc<Budget>,
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

    /// Holds `bytes`, which may be 0 and grow later.
    pub fn reserve(self: &Arc<Self>, bytes: usize) -> Result<Reserved, Spent> {
        let mut reserved = Reserved {
            budget: Arc::clone(self),
            bytes: 0,
        };
        reserved.grow(bytes)?;
        Ok(reserved)
    }

    /// Bytes held now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl Reserved {
    /// Holds `more` bytes in addition; on failure it holds what it held before.
    pub fn grow(&mut self, more: usize) -> Result<(), Spent> {
        if more == 0 {
            return Ok(());
        }
        let budget = &self.budget;
        let ceiling = if self.bytes.saturating_add(more) > SMALL_BYTES {
            budget.bytes_max - budget.bytes_max / 4
        } else {
            budget.bytes_max
        };
        // Added first and taken back if it was too much: one atomic operation in the usual case.
        let before = budget.used.fetch_add(more, Ordering::Relaxed);
        if before.saturating_add(more) > ceiling {
            budget.used.fetch_sub(more, Ordering::Relaxed);
            budget.refused.inc();
            return Err(Spent);
        }
        self.bytes += more;
        Ok(())
    }

    /// Gives back all but `bytes`; does nothing when it holds less.
    pub fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.bytes -= surplus;
        self.budget.used.fetch_sub(surplus, Ordering::Relaxed);
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Reserved {
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
    fn large_holdings_leave_a_quarter_to_small_ones() {
        let budget = Budget::new(16 * SMALL_BYTES, Counter::default());
        let mut large = budget.reserve(12 * SMALL_BYTES).unwrap();
        assert!(large.grow(1).is_err());
        assert!(budget.reserve(SMALL_BYTES + 1).is_err());
        assert!(budget.reserve(SMALL_BYTES).is_ok());
    }
}
