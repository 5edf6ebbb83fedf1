//! Calls as fast as ten clients get answers, each with one call at a time.
//!
//! k6 sends for the figure that is quoted. On a small machine k6 is itself the limit, so the light
//! driver does the same beside it.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use super::super::catalog::Metric;
use super::super::context::Context;
use super::super::recorder::{Note, Recorder};
use super::bench::clock_fault;
use crate::tools::k6::{K6, Script, Summary};
use crate::tools::load::{self, Outcome, Slice};
use crate::tools::procfs::{Sampled, Sampler, Trace};

/// Clients, each with one call at a time.
pub const CLIENTS: usize = 10;
/// What k6 may take beyond its duration.
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
        recorder.detail(metric, "generator_bound", json!(mostly))?;
    }
    if mostly {
        recorder.note(metric, Note::GeneratorBound)?;
    }
    Ok(())
}

/// How long each part of a block takes, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// k6, before it counts, and the driver.
    pub warm: u64,
    /// k6, while it counts.
    pub window: u64,
    /// The driver, while it counts.
    pub driver: u64,
}

/// What k6 saw, and what was seen of it and of the process that answered.
#[derive(Debug)]
pub struct Sent {
    /// Its own account.
    pub summary: Summary,
    /// The generator's processes over time.
    pub generator: Trace,
    /// Those of the subject; empty when its pid is not known.
    pub subject: Trace,
    /// From when to when it counted, in wall-clock milliseconds.
    pub window_ms: (f64, f64),
    /// How far the wall clock went astray meanwhile.
    pub drift_ms: f64,
}

impl Times {
    /// The given times, or the shortest of any use: k6 refuses to run for less than a second.
    pub fn of(quick: bool, full: Times) -> Times {
        let short = Times {
            warm: 300,
            window: 800,
            driver: 300,
        };
        if quick { short } else { full }
    }

    /// Seconds of a block in which the driver sends to the subject and to its neighbour.
    pub fn seconds(self) -> f64 {
        (3 * self.warm + self.window + 2 * self.driver) as f64 / 1000.0
    }

    /// Lets k6 send to `url`, which the process `subject` serves, where it is known; calls `look`
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
        let from_ms = summary.started_ms + self.warm as f64;
        Ok(Sent {
            window_ms: (from_ms, from_ms + self.window as f64),
            summary,
            drift_ms,
            generator: generator.unwrap_or_default(),
            subject: subject.unwrap_or_default(),
        })
    }

    /// Lets the light driver send to `url` for so long; calls `look` meanwhile. Every call is counted:
    /// the upstream sees them all.
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
        outcome.context("the load driver printed no outcome")
    }

    /// The same after a warm-up: its outcome first.
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
    /// Why the block does not count; none when every call was answered well, by one clock.
    pub fn fault(&self) -> Option<String> {
        self.summary.fault().or_else(|| clock_fault(self.drift_ms))
    }

    /// Calls per second while it counted, and how many there were.
    pub fn rate(&self) -> anyhow::Result<(f64, u64)> {
        let measured = self.summary.count("http_reqs{phase:measured}")?;
        let (from_ms, to_ms) = self.window_ms;
        Ok((1000.0 * measured as f64 / (to_ms - from_ms), measured))
    }
}
