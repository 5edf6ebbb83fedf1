//! The result of a slice: counts, latencies and the CPU time of the driver itself.
//!
//! Times are recorded in nanoseconds and reported in microseconds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::check::Failure;

// Ten minutes, far above the time limit of an answer (10 s by default).
const LONGEST_NS: u64 = 600_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;
/// A start by more than this after the intended one is late; less is the system's wake-up latency.
const LATE: Duration = Duration::from_millis(1);

/// The result of one slice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Label of the slice.
    pub label: Option<String>,
    /// URL of the slice.
    pub url: String,
    /// `open` or `closed`.
    pub mode: String,
    /// Requested requests per second; `None` in closed loop.
    pub rate_target: Option<f64>,
    /// Correct answers per second.
    pub rate_achieved: f64,
    /// Time from the start of the measurement to its end or the last answer, in milliseconds.
    pub duration_ms: f64,
    /// Measured requests, including those that failed or were never started.
    pub requests: u64,
    /// Requests with a correct answer.
    pub ok: u64,
    /// Requests without a correct answer, by kind: `connect`, `timeout`, `closed`, `status_503`,
    /// `wrong_body`, `not_json_rpc`, `wrong_id`, `error_reply`, `no_result`, `unstarted`.
    pub errors: BTreeMap<String, u64>,
    /// Kind and cause of the first error.
    pub first_error: Option<String>,
    /// Time from the intended start (in closed loop: the start) to the last byte of correct answers.
    pub latency_us: Option<Percentiles>,
    /// Time from the actual start to the last byte of correct answers: without the wait for a free
    /// connection.
    pub service_us: Option<Percentiles>,
    /// The full distribution of `latency_us`: pairs of microseconds and count, ascending, exact to
    /// three digits. Two histograms are merged by adding the counts.
    pub histogram: Vec<(f64, u64)>,
    /// Requests that started more than a millisecond after their intended start.
    pub late_starts: u64,
    /// The longest delay after an intended start, in microseconds.
    pub max_start_delay_us: f64,
    /// Connections that the server had closed between two requests.
    pub reconnects: u64,
    /// CPU time of this process, user and system, while measuring, in microseconds.
    pub cpu_us: u64,
    /// Number of connections used.
    pub connections: usize,
}

/// A distribution of times in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Smallest.
    pub min: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Largest.
    pub max: f64,
    /// Arithmetic mean.
    pub mean: f64,
}

/// The counts that all workers of a slice add to.
#[derive(Debug)]
pub(super) struct Tally {
    latency_ns: Histogram<u64>,
    service_ns: Histogram<u64>,
    ok: u64,
    errors: BTreeMap<String, u64>,
    first_error: Option<String>,
    late_starts: u64,
    max_start_delay: Duration,
    last_answer: Option<Instant>,
}

impl Tally {
    pub(super) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_NS, SIGNIFICANT_DIGITS)
            .expect("the bounds are valid");
        Self {
            latency_ns: histogram.clone(),
            service_ns: histogram,
            ok: 0,
            errors: BTreeMap::new(),
            first_error: None,
            late_starts: 0,
            max_start_delay: Duration::ZERO,
            last_answer: None,
        }
    }

    /// One exchange that was meant to start at `intended` and did at `started`.
    pub(super) fn record(
        &mut self,
        intended: Instant,
        started: Instant,
        result: Result<(), Failure>,
    ) {
        let ended = Instant::now();
        let delay = started.saturating_duration_since(intended);
        self.late_starts += u64::from(delay > LATE);
        self.max_start_delay = self.max_start_delay.max(delay);
        self.last_answer = Some(ended);
        match result {
            Ok(()) => {
                self.ok += 1;
                self.latency_ns.saturating_record(nanos(ended - intended));
                self.service_ns.saturating_record(nanos(ended - started));
            }
            Err(failure) => self.fail(&failure, 1),
        }
    }

    pub(super) fn fail(&mut self, failure: &Failure, times: u64) {
        let kind = failure.kind();
        self.first_error
            .get_or_insert_with(|| match failure.detail() {
                Some(detail) => format!("{kind}: {detail}"),
                None => kind.clone(),
            });
        *self.errors.entry(kind).or_default() += times;
    }

    /// Writes the counts into `outcome`, which was measured from `measured_from` until `end` or
    /// the last answer, whichever was later.
    pub(super) fn finish(self, outcome: &mut Outcome, measured_from: Instant, end: Instant) {
        let until = self.last_answer.map_or(end, |answer| answer.max(end));
        let elapsed = until - measured_from;
        outcome.duration_ms = elapsed.as_secs_f64() * 1e3;
        outcome.ok = self.ok;
        outcome.requests = self.ok + self.errors.values().sum::<u64>();
        outcome.rate_achieved = self.ok as f64 / elapsed.as_secs_f64();
        outcome.errors = self.errors;
        outcome.first_error = self.first_error;
        outcome.latency_us = Percentiles::of(&self.latency_ns);
        outcome.service_us = Percentiles::of(&self.service_ns);
        outcome.histogram = self
            .latency_ns
            .iter_recorded()
            .map(|bucket| (micros(bucket.value_iterated_to()), bucket.count_at_value()))
            .collect();
        outcome.late_starts = self.late_starts;
        outcome.max_start_delay_us = self.max_start_delay.as_secs_f64() * 1e6;
    }
}

impl Percentiles {
    /// `None` if nothing was recorded.
    fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let at = |quantile: f64| micros(histogram.value_at_quantile(quantile));
        (!histogram.is_empty()).then(|| Self {
            min: micros(histogram.min()),
            p50: at(0.50),
            p90: at(0.90),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            max: micros(histogram.max()),
            mean: histogram.mean() / 1e3,
        })
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(LONGEST_NS)
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}
