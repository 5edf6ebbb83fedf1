//! Times of approvals as agents get them.

use std::time::{Duration, SystemTime};

use thoughtgate_policy::rfc3339;

/// Milliseconds since the Unix epoch as RFC 3339; empty if they are beyond its range.
pub fn timestamp(ms: u64) -> String {
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms));
    time.and_then(rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_no_calendar_has_is_no_panic() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(timestamp(u64::MAX), "");
    }
}
