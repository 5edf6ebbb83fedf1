//! The time of day. Durations are measured by `Instant`, which nobody sets.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time since the epoch; zero on a machine whose clock is before it.
pub fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Seconds since the epoch.
pub fn seconds() -> u64 {
    since_epoch().as_secs()
}

/// Milliseconds since the epoch.
pub fn milliseconds() -> u64 {
    u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX)
}
