//! Times as RFC 3339 text.
//!
//! A time out of range, from a wrong clock or a damaged store, gives `None` and not a panic.

use std::time::{SystemTime, UNIX_EPOCH};

const YEAR_10000_SECONDS: u64 = 253_402_300_800;

/// `time` in UTC with milliseconds; `None` before 1970 and after 9999.
#[must_use]
pub fn rfc3339(time: SystemTime) -> Option<String> {
    // humantime panics outside of these years.
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let text = || humantime::format_rfc3339_millis(time).to_string();
    (seconds < YEAR_10000_SECONDS).then(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_clock_that_is_far_off_is_no_panic() {
        let at = |seconds| rfc3339(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0).as_deref(), Some("1970-01-01T00:00:00.000Z"));
        assert_eq!(
            at(YEAR_10000_SECONDS - 1).as_deref(),
            Some("9999-12-31T23:59:59.000Z")
        );
        assert_eq!(at(YEAR_10000_SECONDS), None);
        assert_eq!(rfc3339(UNIX_EPOCH - Duration::from_secs(1)), None);
    }
}
