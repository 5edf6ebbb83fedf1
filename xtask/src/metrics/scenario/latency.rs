//! Calls at a stated rate far below saturation, to the upstream itself and through the proxy in
//! turn: latencies, what the proxy adds, and its CPU and memory meanwhile.
//!
//! One k6 process per block drives both arms, so that its own noise is common to them. What the
//! figures of a block are is worked out in `slices`.

mod slices;

use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use super::super::context::Context;
use super::super::recorder::Recorder;
use super::bench::{Bench, Seen};
use super::block::{self, Block, Plan};
use super::{SubjectFiles, attempt, k6};
use crate::tools::k6::{K6, Script};
use crate::tools::procfs::{self, Sampler};
use slices::{Schedule, arms};

const METRICS: [&str; 9] = [
    "latency/p50",
    "latency/p95",
    "latency/p99",
    "ttfb/p95",
    "overhead/latency_p50",
    "overhead/percent_p50",
    "cpu/under_load_percent",
    "memory/under_load_rss",
    "memory/peak_rss",
];
/// Calls per second: a fifteenth of what k6 can send on two cores, so that what is measured is
/// neither its queue nor the proxy's.
const RATE: u32 = 400;
/// What the upstream takes over each call: the time that a relative overhead relates to.
const SERVICE_TIME: Duration = Duration::from_millis(2);
/// What k6 may take beyond the time of its calls.
const SLACK: Duration = Duration::from_secs(30);

/// Seconds that this takes, for the time left.
pub fn planned_seconds(quick: bool, recorder: &Recorder) -> f64 {
    plan(quick).seconds_for(&METRICS, recorder)
}

/// Makes blocks of slices in counterbalanced order.
pub fn collect(context: &Context<'_>, recorder: &mut Recorder) -> anyhow::Result<()> {
    attempt(context, recorder, &METRICS, |recorder| {
        let k6 = k6(context, recorder)?;
        let files = SubjectFiles::write()?;
        recorder.setting("latency_rate_per_second", RATE.into());
        recorder.setting("latency_service_time_ms", 2.into());
        let seed = recorder.seed();
        let plan = plan(context.quick);
        block::run(context, recorder, &METRICS, &plan, &mut |number| {
            let arms = arms(seed, number, slice_count(context.quick));
            let schedule = schedule(context.quick, arms);
            measure(context, &files, &k6, &schedule)
        })
    })
}

fn plan(quick: bool) -> Plan {
    let seconds_each = schedule(quick, arms(0, 0, slice_count(quick))).seconds() + 0.6;
    Plan::new("latency", if quick { 2 } else { 10 }, seconds_each)
}

fn slice_count(quick: bool) -> usize {
    if quick { 4 } else { 8 }
}

/// The longest slice is three quarters of a second: what changes about the machine is mostly
/// slower than that and meets both arms alike.
fn schedule(quick: bool, arms: String) -> Schedule {
    let (warm_calls, slice_calls) = if quick { (80, 100) } else { (200, 300) };
    Schedule {
        rate: RATE,
        warm_calls,
        slice_calls,
        arms,
    }
}

fn measure(
    context: &Context<'_>,
    files: &SubjectFiles,
    k6: &K6,
    schedule: &Schedule,
) -> anyhow::Result<Block> {
    let mut bench = Bench::start(context, files, SERVICE_TIME)?;
    let plan = json!({
        "direct": bench.upstream.url(),
        "proxied": bench.proxy.url(),
        "rate": schedule.rate,
        "warm_calls": schedule.warm_calls,
        "slice_calls": schedule.slice_calls,
        "arms": schedule.arms,
    });
    let before = bench.seen()?;
    procfs::reset_peak(bench.proxy.pid())?;
    let running = k6.start(Script::Latency, plan)?;
    let sampler = Sampler::start(&[running.pid(), bench.proxy.pid()]);
    let deadline = Duration::from_secs_f64(schedule.seconds()) + SLACK;
    let summary = running.finish(deadline, &mut || bench.check_running())?;
    let peak_rss_bytes = procfs::peak_rss_bytes(bench.proxy.pid())?;
    let traces = sampler.stop();
    if let Some(fault) = summary.fault() {
        return Ok(Block::Void(fault));
    }
    let calls = schedule.calls();
    if summary.requests != calls {
        let sent = summary.requests;
        return Ok(Block::Void(format!(
            "k6 sent {sent} calls instead of {calls}"
        )));
    }
    let sent = Seen {
        upstream: calls,
        forwarded: schedule.proxied_calls(),
    };
    if let Some(fault) = bench.seen()?.since(before).fault(sent) {
        return Ok(Block::Void(fault));
    }
    let [generator, proxy] = traces.as_slice() else {
        anyhow::bail!("failed to sample the processes under load");
    };
    let (from_ms, to_ms) = schedule.window_ms(summary.started_ms);
    let load = schedule.load(summary.started_ms, proxy);
    let (cores, rss_bytes) = load.context("failed to sample the proxy under load")?;
    let figures = match schedule.figures(&summary) {
        Ok(figures) => figures,
        Err(error) => return Ok(Block::Void(format!("{error:#}"))),
    };
    let values = vec![
        ("latency/p50", figures.proxied.p50),
        ("latency/p95", figures.proxied.p95),
        ("latency/p99", figures.proxied.p99),
        ("ttfb/p95", figures.waiting.p95),
        ("overhead/latency_p50", figures.overhead_ms),
        ("overhead/percent_p50", figures.overhead_percent),
        ("cpu/under_load_percent", 100.0 * cores),
        ("memory/under_load_rss", rss_bytes as f64),
        ("memory/peak_rss", peak_rss_bytes as f64),
    ];
    let raw = json!({
        "arms": schedule.arms,
        "generator_cores": generator.cores(from_ms, to_ms),
        "k6": summary,
    });
    Ok(Block::Measured {
        samples: values,
        raw,
    })
}
