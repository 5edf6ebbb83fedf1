//! Rate limit for lines about events that a stranger can cause as often as they like: a burst must not
//! fill a disk. The rest are counted, and the count is written by the caller.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Limit of lines per [`INTERVAL`].
const LINES_MAX: u32 = 10;
/// Interval of the limit, and time from the first event without a line until the count is written.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// The events of the current interval.
#[derive(Debug, Default)]
pub struct Sample(Mutex<Interval>);

#[derive(Debug, Default)]
struct Interval {
    since: Option<Instant>,
    admitted: u32,
    suppressed: u64,
}

impl Sample {
    /// A limit of its own.
    #[must_use]
    pub const fn new() -> Sample {
        Sample(Mutex::new(Interval {
            since: None,
            admitted: 0,
            suppressed: 0,
        }))
    }

    /// Whether one more event may have a line of its own.
    pub fn admit(&self) -> bool {
        self.admit_at(Instant::now())
    }

    /// Counts an event without a line; returns true for the first since the last count was taken.
    pub fn suppress(&self) -> bool {
        let mut interval = self.interval();
        interval.suppressed += 1;
        // Only the first wakes the writer, which then waits for the others of the interval.
        interval.suppressed == 1
    }

    /// Number of events without a line since the last call of this.
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
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_second_and_the_first_of_the_rest_is_told() {
        let (sample, start) = (Sample::default(), Instant::now());
        assert!((0..10).all(|_| sample.admit_at(start)));
        assert!(!sample.admit_at(start + Duration::from_millis(999)));
        assert!(sample.admit_at(start + INTERVAL));
        assert!(sample.suppress());
        assert!(!sample.suppress());
        assert_eq!((sample.take_suppressed(), sample.take_suppressed()), (2, 0));
        assert!(sample.suppress());
    }
}
