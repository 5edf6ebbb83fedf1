//! Calls at a fixed rate far below saturation, alternately to the upstream itself and through the
//! proxy: latencies, the overhead of the proxy, and its CPU and memory meanwhile.
//!
//! One k6 process per block drives both arms, so that its own noise is common to them. The figures of
//! a block are calculated in `slices`.

mod slices;

use std::time::Duration;

use serde_json::json;

use super::super::catalog::{
    CPU_UNDER_LOAD_PERCENT, LATENCY_P50, LATENCY_P95, LATENCY_P99, LATENCY_P999, MEMORY_PEAK_RSS,
    MEMORY_UNDER_LOAD_RSS, Metric, OVERHEAD_LATENCY_P50, OVERHEAD_PERCENT_P50, TTFB_P95,
};
use super::super::context::Context;
use super::super::recorder::{Histogram, Missing, Reading, Recorder, number};
use super::super::subject::Subject;
use super::block::{self, Block, Figure, Measured, Plan};
use super::test_bed::{Seen, TestBed, clock_fault};
use super::{SubjectFiles, attempt, k6};
use crate::tools::k6::{K6, Script, Summary};
use crate::tools::procfs::{self, Sampled, Sampler};
use slices::{Overhead, Schedule, arms};

const FIGURES: &[Figure<Load>] = &[
    (&LATENCY_P50, |load| percentile(&load.proxied, 0.5)),
    (&LATENCY_P95, |load| percentile(&load.proxied, 0.95)),
    (&LATENCY_P99, |load| percentile(&load.proxied, 0.99)),
    (&LATENCY_P999, |load| percentile(&load.proxied, 0.999)),
    (&TTFB_P95, |load| percentile(&load.waiting, 0.95)),
    (&OVERHEAD_LATENCY_P50, |load| load.pairs(load.overhead.ms)),
    (&OVERHEAD_PERCENT_P50, |load| {
        load.pairs(load.overhead.percent)
    }),
    (&CPU_UNDER_LOAD_PERCENT, |load| {
        number(100.0 * load.cores.clone()?, load.proxied.count())
    }),
    (&MEMORY_UNDER_LOAD_RSS, |load| bytes(&load.rss_bytes)),
    (&MEMORY_PEAK_RSS, |load| bytes(&load.peak_rss_bytes)),
];
/// Calls per second: a fifteenth of what k6 can send on two cores, so that what is measured is
/// neither its queue nor the proxy's.
const RATE: u32 = 400;
/// Time that the upstream takes for each call; a relative overhead depends on it.
const SERVICE_TIME: Duration = Duration::from_millis(2);
/// Time that k6 may take beyond that of its calls.
const SLACK: Duration = Duration::from_secs(30);
/// The trends of k6 of which all times are kept, and not only percentiles.
const PROXIED: &str = "http_req_duration{arm:P}";
const WAITING: &str = "http_req_waiting{arm:P}";

/// Result of a block.
#[derive(Debug)]
struct Load {
    /// Durations of all proxied calls.
    proxied: Histogram,
    /// Times to the first byte of the same calls.
    waiting: Histogram,
    overhead: Overhead,
    slices: u64,
    /// CPU time of the proxy in its slices, in cores.
    cores: Result<f64, Missing>,
    rss_bytes: Result<u64, Missing>,
    peak_rss_bytes: Result<u64, Missing>,
}

pub fn metrics() -> Vec<&'static Metric> {
    block::metrics(FIGURES)
}

pub fn planned_seconds(quick: bool, recorder: &Recorder) -> f64 {
    plan(quick).seconds_for(FIGURES, recorder)
}

/// Makes blocks of slices in counterbalanced order.
pub fn collect(
    context: &Context<'_>,
    subject: &Subject,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    attempt(context, recorder, &metrics(), |recorder| {
        let k6 = k6(context, recorder)?;
        let files = SubjectFiles::write()?;
        recorder.setting("latency_rate_per_second", RATE.into());
        recorder.setting("latency_service_time_ms", 2.into());
        let seed = recorder.seed();
        let plan = plan(context.quick);
        block::run(context, subject, recorder, FIGURES, &plan, &mut |number| {
            let arms = arms(seed, number, slice_count(context.quick));
            let schedule = schedule(context.quick, arms);
            let bed = TestBed::start(context, subject, &files, SERVICE_TIME)?;
            measure(bed, &k6, &schedule)
        })?;
        Ok(())
    })
}

fn plan(quick: bool) -> Plan {
    let seconds_each = schedule(quick, arms(0, 0, slice_count(quick))).seconds() + 0.6;
    let blocks = if quick { 2 } else { 10 };
    Plan::new("latency", blocks, seconds_each).with_psi_below(50.0)
}

/// A multiple of four, which is the length of a balanced group.
fn slice_count(quick: bool) -> usize {
    if quick { 4 } else { 8 }
}

/// The longest slice is three quarters of a second: most changes of the machine are slower than that,
/// and affect both arms alike.
fn schedule(quick: bool, arms: String) -> Schedule {
    let (warm_calls, slice_calls) = if quick { (80, 100) } else { (200, 300) };
    Schedule {
        rate: RATE,
        warm_calls,
        slice_calls,
        arms,
    }
}

fn measure(mut bed: TestBed, k6: &K6, schedule: &Schedule) -> anyhow::Result<Block<Load>> {
    let plan = json!({
        "direct": bed.upstream.url(),
        "proxied": bed.proxy.url(),
        "rate": schedule.rate,
        "warm_calls": schedule.warm_calls,
        "slice_calls": schedule.slice_calls,
        "arms": schedule.arms,
        "times": schedule.measured_calls('P'),
        "whole": [PROXIED, WAITING],
    });
    let (pid, before) = (bed.proxy.pid(), bed.seen()?);
    // The peak of the start is not that of the load.
    let peak_was_reset = procfs::reset_peak(pid);
    let running = k6.start(Script::Latency, plan)?;
    // k6 too: the cores that it used are kept with the block, should the generator be suspected.
    let sampler = Sampler::start(&[running.pid(), pid]);
    let deadline = Duration::from_secs_f64(schedule.seconds()) + SLACK;
    let summary = running.finish(deadline, &mut || bed.check_running())?;
    // Without the reset the peak would be that of the start, so it is missing rather than wrong.
    let peak_rss_bytes = peak_was_reset.and_then(|()| procfs::peak_rss_bytes(pid));
    let Sampled { traces, drift_ms } = sampler.stop();
    // Faults before figures: a window by a clock that was set would give wrong figures without any error.
    if let Some(fault) = clock_fault(drift_ms) {
        return Ok(Block::Void(fault));
    }
    if let Some(fault) = fault(&mut bed, &summary, before, schedule)? {
        return Ok(Block::Void(fault));
    }
    let [generator, proxy] = traces.as_slice() else {
        anyhow::bail!("failed to sample the processes under load");
    };
    let overhead = match schedule.overhead(&summary) {
        Ok(overhead) => overhead,
        // A slice that is too short makes the block void, and it is made again.
        Err(error) => return Ok(Block::Void(format!("{error:#}"))),
    };
    let (from_ms, to_ms) = schedule.window_ms(summary.started_ms);
    let waited = proxy.waited_per_run(from_ms, to_ms);
    let raw = json!({
        "arms": schedule.arms,
        "generator_cores": generator.cores(from_ms, to_ms),
        "proxy_waited_per_run": waited,
        "k6": summary.without_times(),
    });
    let times = |name| anyhow::Ok(Histogram::of(summary.trend(name)?.times()?));
    let (proxied, waiting) = (times(PROXIED)?, times(WAITING)?);
    let kept = [
        (LATENCY_P50.category(), proxied.clone()),
        (TTFB_P95.category(), waiting.clone()),
    ];
    let load = Load {
        proxied,
        waiting,
        overhead,
        slices: schedule.arms.len() as u64,
        cores: read(schedule.cores(summary.started_ms, proxy), "CPU time"),
        rss_bytes: read(proxy.median_rss_bytes(from_ms, to_ms), "memory"),
        peak_rss_bytes: peak_rss_bytes.map_err(Missing::from),
    };
    let measured = Measured::new(load, raw).with_times(kept);
    Ok(Block::Measured(measured.unless_starved(waited, 1.0)))
}

/// The reason why the block is void; none when every call was sent, answered correctly, and counted by
/// the proxy and the upstream.
fn fault(
    bed: &mut TestBed,
    summary: &Summary,
    before: Seen,
    schedule: &Schedule,
) -> anyhow::Result<Option<String>> {
    if let Some(fault) = summary.fault() {
        return Ok(Some(fault));
    }
    let (calls, sent) = (schedule.calls(), summary.requests);
    if sent != calls {
        return Ok(Some(format!("k6 sent {sent} calls instead of {calls}")));
    }
    let sent = Seen {
        upstream: calls,
        forwarded: schedule.proxied_calls(),
    };
    Ok(bed.seen()?.since(before).fault(sent))
}

impl Load {
    fn pairs(&self, value: f64) -> Reading {
        // A pair of slices gives one difference.
        number(value, self.slices / 2)
    }
}

fn percentile(times: &Histogram, probability: f64) -> Reading {
    let value = read(times.quantile(probability), "latency");
    number(value?, times.count())
}

fn bytes(read: &Result<u64, Missing>) -> Reading {
    number(read.clone()? as f64, 1)
}

fn read<T>(sampled: Option<T>, what: &str) -> Result<T, Missing> {
    sampled.ok_or_else(|| Missing {
        reason: format!("failed to sample the {what} of the proxy under load"),
        hint: None,
    })
}
