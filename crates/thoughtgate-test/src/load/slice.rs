//! A slice, which is a period of load on one URL, and its points in time.
//!
//! Sends nothing; `drive` does.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// A period of load.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// The endpoint: `http://host:port/path`.
    pub url: String,
    /// Requests per second (open loop); `None`: as fast as the answers arrive (closed loop).
    pub rate: Option<f64>,
    /// Measured time, in milliseconds.
    pub duration_ms: u64,
    /// Duration of the same load before the measurement, in milliseconds.
    #[serde(default)]
    pub warmup_ms: u64,
    /// Number of connections, instead of that of the options.
    pub connections: Option<usize>,
    /// Copied to the outcome.
    pub label: Option<String>,
}

/// The points in time of a slice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    /// Start of the warm-up.
    pub(super) begin: Instant,
    pub(super) measured_from: Instant,
    pub(super) end: Instant,
    /// From this time on, overdue requests are not started any more.
    pub(super) give_up: Instant,
}

impl Schedule {
    pub(super) fn new(slice: &Slice, drain: Duration) -> Self {
        let begin = Instant::now();
        let measured_from = begin + Duration::from_millis(slice.warmup_ms);
        let end = measured_from + Duration::from_millis(slice.duration_ms);
        Self {
            begin,
            measured_from,
            end,
            give_up: end + drain,
        }
    }
}
