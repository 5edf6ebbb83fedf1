//! Calls as fast as ten clients get answers, from an upstream that takes no time.
//!
//! k6 gives the headline figure. On a small machine k6 is the limit, so the light driver does
//! the same beside it: its rate tells whether k6 was, and its calls are what CPU time is
//! counted over.

use std::time::Duration;

use serde_json::json;

use super::super::context::Context;
use super::super::recorder::{Note, Recorder};
use super::bench::{Bench, Seen};
use super::block::{self, Block, Plan};
use super::{SubjectFiles, attempt};
use crate::tools::k6::{K6, Script, Summary};
use crate::tools::load::{self, Outcome, Slice};
use crate::tools::procfs::{CpuReading, Sampler};

const METRICS: [&str; 2] = [K6_RATE, CPU];
const K6_RATE: &str = "throughput/rps_10vu";
const CPU: &str = "cpu/us_per_request";
/// Clients, each with one call at a time.
const CLIENTS: usize = 10;
/// The light driver must be faster than k6 by this factor before k6 is called the limit.
const FASTER: f64 = 1.1;
/// What k6 may take beyond its duration.
const SLACK: Duration = Duration::from_secs(30);

/// How long each part of a block takes, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Times {
    warm: u64,
    window: u64,
    driver: u64,
}

impl Times {
    fn of(quick: bool) -> Times {
        // k6 refuses to run for less than a second.
        if quick {
            Times {
                warm: 300,
                window: 800,
                driver: 300,
            }
        } else {
            Times {
                warm: 500,
                window: 2500,
                driver: 1000,
            }
        }
    }

    fn total(self) -> u64 {
        self.warm + self.window + self.driver
    }
}

/// Seconds that this takes, for the time left.
pub fn planned_seconds(quick: bool, recorder: &Recorder) -> f64 {
    if METRICS.iter().any(|metric| recorder.pending(metric)) {
        plan(quick).planned_seconds()
    } else {
        0.0
    }
}

/// Makes blocks of both generators.
pub fn collect(context: &Context<'_>, recorder: &mut Recorder) -> anyhow::Result<()> {
    attempt(recorder, &METRICS, |recorder| {
        let k6 = K6::find(&context.tools_dir)?;
        let files = SubjectFiles::write()?;
        recorder.tool("k6", k6.version());
        recorder.setting("throughput_clients", CLIENTS.into());
        recorder.setting("throughput_service_time_ms", 0.into());
        let mut bound = Vec::new();
        block::run(
            context,
            recorder,
            &METRICS,
            &plan(context.quick),
            &mut |_| {
                let (block, generator_bound) = measure(context, &files, &k6)?;
                bound.extend(generator_bound);
                Ok(block)
            },
        )?;
        let bound_blocks = bound.iter().filter(|bound| **bound).count();
        recorder.detail(
            K6_RATE,
            "generator_bound",
            json!(2 * bound_blocks > bound.len()),
        )?;
        if 2 * bound_blocks > bound.len() {
            recorder.note(K6_RATE, Note::GeneratorBound)?;
        }
        Ok(())
    })
}

fn plan(quick: bool) -> Plan {
    let seconds_each = Times::of(quick).total() as f64 / 1000.0 + 0.6;
    let blocks = if quick { 2 } else { 10 };
    Plan {
        label: "throughput",
        blocks,
        seconds_each,
        seconds_at_most: 1.3 * seconds_each * blocks as f64,
    }
}

/// One block, and whether k6 was its limit.
fn measure(
    context: &Context<'_>,
    files: &SubjectFiles,
    k6: &K6,
) -> anyhow::Result<(Block, Option<bool>)> {
    let times = Times::of(context.quick);
    let mut bench = Bench::start(context, files, Duration::ZERO)?;
    let before = bench.seen()?;
    let plan = json!({
        "url": bench.proxy.url(),
        "vus": CLIENTS,
        "warm_ms": times.warm,
        "window_ms": times.window,
    });
    let running = k6.start(Script::Throughput, plan)?;
    let sampler = Sampler::start(&[running.pid(), bench.proxy.pid()]);
    let deadline = Duration::from_millis(times.warm + times.window) + SLACK;
    let summary = running.finish(deadline, &mut || bench.check_running())?;
    let traces = sampler.stop();
    let slice = Slice {
        url: bench.proxy.url(),
        rate: None,
        duration_ms: times.driver,
        warmup_ms: 0,
        connections: CLIENTS,
    };
    let cpu_before = CpuReading::of(bench.proxy.pid())?;
    let outcomes = load::run(&context.release_dir, &[slice], &mut || {
        bench.check_running()
    })?;
    let cpu_us = CpuReading::of(bench.proxy.pid())?.us_since(&cpu_before);
    let seen = bench.seen()?.since(before);
    let [driver] = outcomes.as_slice() else {
        anyhow::bail!(
            "the load driver told the outcome of {} slices",
            outcomes.len()
        );
    };
    if let Some(fault) = fault(&summary, driver, seen) {
        return Ok((Block::Void(fault), None));
    }
    let measured = summary.count("http_reqs{phase:measured}")?;
    let k6_rate = 1000.0 * measured as f64 / times.window as f64;
    let from_ms = summary.started_ms + times.warm as f64;
    let to_ms = from_ms + times.window as f64;
    let cores: Vec<Option<f64>> = traces
        .iter()
        .map(|trace| trace.cores(from_ms, to_ms))
        .collect();
    let raw = json!({
        "k6_cores": cores.first(),
        "proxy_cores": cores.get(1),
        "driver_rate": driver.rate_achieved,
        "driver_cpu_us": driver.cpu_us,
        "proxy_cpu_us": cpu_us,
        "k6": summary,
        "driver": driver,
    });
    let values = vec![(K6_RATE, k6_rate), (CPU, cpu_us / driver.requests as f64)];
    Ok((
        Block::Measured {
            samples: values,
            raw,
        },
        Some(driver.rate_achieved > FASTER * k6_rate),
    ))
}

/// Why the block does not count; none when every call was answered well and seen by all.
fn fault(summary: &Summary, driver: &Outcome, seen: Seen) -> Option<String> {
    let sent = summary.requests + driver.requests;
    summary.fault().or_else(|| driver.fault()).or_else(|| {
        seen.fault(Seen {
            upstream: sent,
            forwarded: sent,
        })
    })
}
