//! Rate limit for the audit lines of refusals before a decision: a burst costs its sender nothing and
//! must not fill the disk. The rest are counted, and the count is written.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use thoughtgate_panic::lock;

/// Limit of lines per [`INTERVAL`].
const LINES_MAX: u32 = 10;
/// Interval of the limit, and time from the first refusal without a line until the count is written.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// The refusals of the current interval.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Interval>);

#[derive(Debug, Default)]
struct Interval {
    since: Option<Instant>,
    admitted: u32,
    suppressed: u64,
}

impl Refusals {
    /// Whether one more refusal may have a line of its own.
    pub fn admit(&self) -> bool {
        self.admit_at(Instant::now())
    }

    /// Counts a refusal without a line; returns true for the first since the last count was taken.
    pub fn suppress(&self) -> bool {
        let mut interval = self.interval();
        interval.suppressed += 1;
        // Only the first wakes the writer, which then waits for the others of the interval.
        interval.suppressed == 1
    }

    /// Number of refusals without a line since the last call of this.
    pub fn take_suppressed(&self) -> u64 {
        std::mem::take(&mut self.interval().suppressed)
    }

    fn admit_at(&self, now: Instant) -> bool {
        let mut interval = self.interval();
        if interval
            .since
            .is_none_or(|since| now.saturating_duration_since(since) >= INTERVAL)
        {
            interval.since = Some(now);
            interval.admitted = 0;
        }
        let admits = interval.admitted < LINES_MAX;
        interval.admitted += u32::from(admits);
        admits
    }

    fn interval(&self) -> MutexGuard<'_, Interval> {
        lock(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_second_and_the_first_of_the_rest_is_told() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        assert!((0..10).all(|_| refusals.admit_at(start)));
        assert!(!refusals.admit_at(start + Duration::from_millis(999)));
        assert!(refusals.admit_at(start + INTERVAL));
        assert!(refusals.suppress());
        assert!(!refusals.suppress());
        assert_eq!(
            (refusals.take_suppressed(), refusals.take_suppressed()),
            (2, 0)
        );
        assert!(refusals.suppress());
    }
}
