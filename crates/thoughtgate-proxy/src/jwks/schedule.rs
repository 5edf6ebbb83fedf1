//! Times of the fetches, and for how long keys stay in force while fetches fail.

use std::time::Duration;

use tokio::time::Instant;

/// Bounds of the interval that a server asks for by `Cache-Control: max-age`. The upper one limits for how long
/// a key stays in force that its issuer has withdrawn.
const INTERVAL_MIN: Duration = Duration::from_secs(5 * 60);
const INTERVAL_MAX: Duration = Duration::from_secs(60 * 60);
/// First pause after a failure, which doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Time for which keys stay in force while no fetch succeeds.
const KEPT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// State of one series of fetches.
#[derive(Debug)]
pub struct Schedule {
    /// Time of the last fetch that succeeded.
    succeeded: Option<Instant>,
    /// Pause after the next failure.
    retry: Duration,
}

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule {
            succeeded: None,
            retry: RETRY_FIRST,
        }
    }
}

impl Schedule {
    /// The pause after a fetch that succeeded.
    pub fn succeeded(&mut self, now: Instant, max_age: Option<Duration>) -> Duration {
        self.succeeded = Some(now);
        self.retry = RETRY_FIRST;
        max_age
            .unwrap_or(INTERVAL_MAX)
            .clamp(INTERVAL_MIN, INTERVAL_MAX)
    }

    /// The pause after a fetch that failed.
    pub fn failed(&mut self) -> Duration {
        let pause = self.retry;
        self.retry = (pause * 2).min(RETRY_MAX);
        pause
    }

    /// Whether the keys of the last fetch that succeeded are too old.
    #[must_use]
    pub fn is_stale(&self, now: Instant) -> bool {
        self.succeeded
            .is_none_or(|at| now.duration_since(at) > KEPT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_interval_counts_within_bounds() {
        let mut schedule = Schedule::default();
        for (max_age, pause) in [
            (None, 3600),
            (Some(0), 300),
            (Some(15), 300),
            (Some(900), 900),
            (Some(86_400), 3600),
            (Some(u64::MAX), 3600),
        ] {
            let max_age = max_age.map(Duration::from_secs);
            let found = schedule.succeeded(Instant::now(), max_age);
            assert_eq!(found, Duration::from_secs(pause), "{max_age:?}");
        }
    }

    #[test]
    fn failures_are_retried_ever_later_and_end_old_keys() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        assert!(schedule.is_stale(start));
        let pauses: Vec<_> = (0..9).map(|_| schedule.failed().as_millis()).collect();
        assert_eq!(
            pauses,
            [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]
        );
        schedule.succeeded(start, None);
        assert_eq!(schedule.failed(), RETRY_FIRST);
        assert!(!schedule.is_stale(start + KEPT_MAX));
        assert!(schedule.is_stale(start + KEPT_MAX + RETRY_MAX));
    }
}
