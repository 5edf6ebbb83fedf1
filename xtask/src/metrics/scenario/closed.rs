//! Closed-loop load: ten clients, each of which sends its next call when the last one was answered.
//!
//! k6 measures the figure that is quoted. On a small machine k6 itself is the limit, so the light load
//! driver repeats the load: if it is faster, k6 was the limit.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use super::super::catalog::Metric;
use super::super::context::Context;
use super::super::recorder::{Note, Recorder};
use super::test_bed::clock_fault;
use crate::tools::k6::{K6, Script, Summary};
use crate::tools::load::{self, Outcome, Slice};
use crate::tools::procfs::{Sampled, Sampler, Trace};

pub const CLIENTS: usize = 10;
/// Time that k6 may take beyond its planned duration.
const SLACK: Duration = Duration::from_secs(30);

/// The light driver must be faster than k6 by this factor before k6 is called the limit.
const FASTER: f64 = 1.1;

/// Whether k6 was the limit of a block, by what the light driver reached in it.
pub fn is_generator_bound(driver_rate: f64, k6_rate: f64) -> bool {
    driver_rate > FASTER * k6_rate
}

/// Notes with `metric` whether k6 was the limit in most blocks.
pub fn note_generator_bound(
    recorder: &mut Recorder,
    metric: &Metric,
    blocks: &[bool],
) -> anyhow::Result<()> {
    let bound_blocks = blocks.iter().filter(|bound| **bound).count();
    let mostly = 2 * bound_blocks > blocks.len();
    if !blocks.is_empty() {
        // Also when it is false: a reader of `run.json` sees that it was checked.
        recorder.detail(metric, "generator_bound", json!(mostly))?;
    }
    if mostly {
        recorder.note(metric, Note::GeneratorBound)?;
    }
    Ok(())
}

/// Durations of the parts of a block, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Warm-up, of k6 and of the driver.
    pub warm: u64,
    /// Measurement with k6.
    pub window: u64,
    /// Measurement with the driver.
    pub driver: u64,
}

/// The result of k6, with samples of its own processes and of the subject.
#[derive(Debug)]
pub struct Sent {
    pub summary: Summary,
    /// Samples of k6's processes.
    pub generator: Trace,
    /// Samples of the subject's process; empty when its pid is not known.
    pub subject: Trace,
    /// Start and end of the measurement, in wall-clock milliseconds.
    pub window_ms: (f64, f64),
    /// Deviation of the wall clock from the monotonic clock meanwhile, in milliseconds.
    pub drift_ms: f64,
}

impl Times {
    /// The given times, or for a quick run the shortest: k6 refuses to run for less than a second.
    pub fn of(quick: bool, full: Times) -> Times {
        let short = Times {
            warm: 300,
            window: 800,
            driver: 300,
        };
        if quick { short } else { full }
    }

    /// Seconds of a block in which the driver sends to the subject and to nginx.
    pub fn seconds(self) -> f64 {
        (3 * self.warm + self.window + 2 * self.driver) as f64 / 1000.0
    }

    /// Runs k6 against `url`, which the process `subject` serves, if its pid is known; calls `look`
    /// meanwhile.
    pub fn send(
        self,
        k6: &K6,
        url: &str,
        subject: Option<u32>,
        look: &mut dyn FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<Sent> {
        let plan =
            json!({"url": url, "vus": CLIENTS, "warm_ms": self.warm, "window_ms": self.window});
        let running = k6.start(Script::Throughput, plan)?;
        // k6 first: the traces come back in this order.
        let pids: Vec<u32> = [Some(running.pid()), subject]
            .into_iter()
            .flatten()
            .collect();
        let watching = Sampler::start(&pids);
        let deadline = Duration::from_millis(self.warm + self.window) + SLACK;
        let summary = running.finish(deadline, look)?;
        let Sampled { traces, drift_ms } = watching.stop();
        let mut traces = traces.into_iter();
        let (generator, subject) = (traces.next(), traces.next());
        // The window begins after the warm-up, whose samples are not part of the figures.
        let from_ms = summary.started_ms + self.warm as f64;
        Ok(Sent {
            window_ms: (from_ms, from_ms + self.window as f64),
            summary,
            drift_ms,
            // An empty trace makes its figures missing and fails nothing else.
            generator: generator.unwrap_or_default(),
            subject: subject.unwrap_or_default(),
        })
    }

    /// Runs the light driver against `url`; calls `look` meanwhile. It does not warm up by itself: those
    /// calls would reach the upstream's counter and be in no result.
    pub fn drive(
        context: &Context<'_>,
        url: &str,
        duration_ms: u64,
        look: &mut dyn FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<Outcome> {
        let slice = Slice {
            url: url.to_owned(),
            rate: None,
            duration_ms,
            warmup_ms: 0,
            connections: CLIENTS,
        };
        let outcome = load::run(&context.release_dir, &[slice], look)?.pop();
        outcome.context("the load driver reported no result")
    }

    /// The same twice, the first time as warm-up.
    pub fn drive_warm(
        self,
        context: &Context<'_>,
        url: &str,
        look: &mut dyn FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<[Outcome; 2]> {
        let warm = Times::drive(context, url, self.warm, look)?;
        Ok([warm, Times::drive(context, url, self.driver, look)?])
    }
}

impl Sent {
    /// The reason why the block is void; none when all answers were right and the clock was not set.
    pub fn fault(&self) -> Option<String> {
        self.summary.fault().or_else(|| clock_fault(self.drift_ms))
    }

    /// Calls per second of the measurement, and their number.
    pub fn rate(&self) -> anyhow::Result<(f64, u64)> {
        let measured = self.summary.count("http_reqs{phase:measured}")?;
        let (from_ms, to_ms) = self.window_ms;
        Ok((1000.0 * measured as f64 / (to_ms - from_ms), measured))
    }
}
