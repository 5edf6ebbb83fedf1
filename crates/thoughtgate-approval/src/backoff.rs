//! Waits between retries: doubling, capped, with jitter, so that many proxies that failed together
//! do not retry together. Counts attempts and does not sleep itself.

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

/// Longest wait between two attempts to reach the approvers.
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(60);

pub(crate) struct Backoff {
    first: Duration,
    max: Duration,
    attempts: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, max: Duration) -> Self {
        Self {
            first,
            max,
            attempts: 0,
        }
    }

    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }

    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The next wait: between half and all of `first · 2ⁿ`, never more than `max`.
    pub(crate) fn next(&mut self) -> Duration {
        // The exponent is bounded, since a shift by 32 would overflow.
        let full = self
            .first
            .saturating_mul(1 << self.attempts.min(20))
            .min(self.max);
        self.attempts += 1;
        let mut random = [0];
        // Without randomness the wait is merely less spread out.
        let _ = SystemRandom::new().fill(&mut random);
        full / 2 + full / 2 * u32::from(random[0]) / 255
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_start_over() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, second * 5);
        for full in [1, 2, 4, 5, 5] {
            let wait = backoff.next();
            assert!(
                wait >= second * full / 2 && wait <= second * full,
                "{wait:?} of {full}"
            );
        }
        backoff.reset();
        assert!(backoff.next() <= second);
    }
}
