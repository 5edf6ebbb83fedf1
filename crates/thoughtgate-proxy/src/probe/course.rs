//! Which request the next probe sends: a GET, which no server takes for a call, or a `ping`, whose answer
//! decides.
//!
//! Does no IO.

use std::time::{Duration, Instant};

use super::judge::{Found, NotMcp};

/// Longest time from the start to the `ping` that confirms a hint.
const CONFIRM_MAX: Duration = Duration::from_secs(30);
/// Intervals of probes in that time: who has them sent often wants to know soon.
const CONFIRM_PROBES: u32 = 3;

/// State of what is known of the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// Nothing but hints, which suffice until a `ping` is due.
    Unconfirmed(Instant),
    /// It has answered as an MCP server; hints suffice.
    Confirmed,
    /// Only a `ping` shows whether a fault is over.
    Doubtful,
}

impl Course {
    pub fn starting(now: Instant, interval: Duration) -> Course {
        let within = interval.saturating_mul(CONFIRM_PROBES).min(CONFIRM_MAX);
        Course::Unconfirmed(now + within)
    }

    /// Whether the next probe is a `ping`.
    pub fn needs_ping(self, now: Instant) -> bool {
        match self {
            Course::Unconfirmed(due) => due <= now,
            Course::Confirmed => false,
            Course::Doubtful => true,
        }
    }

    /// Time to the next probe of an upstream that answers.
    pub fn pause(self, now: Instant, interval: Duration) -> Duration {
        match self {
            Course::Unconfirmed(due) => interval.min(due.saturating_duration_since(now)),
            Course::Confirmed | Course::Doubtful => interval,
        }
    }

    /// Takes note of the result of a probe.
    pub fn found(&mut self, found: &Result<Found, NotMcp>) {
        *self = match found {
            Ok(found) if found.is_hint => return,
            // What kind of server it is remains as open as before.
            Err(NotMcp::Unreachable(_)) => return,
            Ok(found) if !found.compresses => Course::Confirmed,
            _ => Course::Doubtful,
        };
    }

    /// Takes note that a client has got the answer of an MCP server.
    pub fn answered(&mut self) {
        if let Course::Unconfirmed(_) = self {
            *self = Course::Confirmed;
        }
    }

    /// Takes note that a client's request has failed.
    pub fn failed(&mut self) {
        *self = Course::Doubtful;
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    fn found(is_hint: bool, compresses: bool) -> Found {
        Found {
            session: None,
            compresses,
            is_hint,
            is_of_ping: !is_hint,
            moved: None,
        }
    }

    #[test]
    fn a_hint_suffices_until_a_ping_is_due() {
        let start = Instant::now();
        let mut course = Course::starting(start, INTERVAL);
        course.found(&Ok(found(true, false)));
        let (before, due) = (start + Duration::from_secs(29), start + CONFIRM_MAX);
        assert!(!course.needs_ping(before) && course.needs_ping(due));
        assert_eq!(course.pause(start, INTERVAL), INTERVAL);
        // The ping is not late because probes are rare, and early if they are frequent.
        assert_eq!(course.pause(before, INTERVAL), Duration::from_secs(1));
        let frequent = Course::starting(start, Duration::from_secs(1));
        assert!(frequent.needs_ping(start + Duration::from_secs(3)));
        course.found(&Ok(found(false, false)));
        course.found(&Ok(found(true, false)));
        assert!(!course.needs_ping(due));
    }

    #[test]
    fn the_answer_to_a_client_confirms_a_hint_and_nothing_else() {
        let start = Instant::now();
        let mut course = Course::starting(start, INTERVAL);
        course.answered();
        assert!(!course.needs_ping(start + CONFIRM_MAX));
        course.failed();
        course.answered();
        assert!(course.needs_ping(start));
    }

    #[test]
    fn after_a_fault_pings_are_sent_until_one_finds_none() {
        let now = Instant::now();
        for fault in [
            Err(NotMcp::Status(StatusCode::NOT_FOUND)),
            Err(NotMcp::Silent),
            Ok(found(false, true)),
        ] {
            let mut course = Course::starting(now, INTERVAL);
            course.found(&fault);
            assert!(course.needs_ping(now));
            course.found(&Ok(found(false, false)));
            assert_eq!(course, Course::Confirmed);
        }
    }
}
