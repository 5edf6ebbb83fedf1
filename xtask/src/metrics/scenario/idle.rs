//! Fresh starts that are left alone: memory one second after ready, and CPU spent on nothing.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::json;

use super::super::context::Context;
use super::super::recorder::Recorder;
use super::bench::Bench;
use super::block::{self, Block, Plan};
use super::{SubjectFiles, attempt};
use crate::interrupt;
use crate::tools::procfs::{self, CpuReading};

const METRICS: [&str; 2] = ["memory/idle_rss", "cpu/idle_percent"];
/// How long after ready the memory is read.
const SETTLE: Duration = Duration::from_secs(1);
/// How long idle CPU is watched after that: it resolves far less than 0.1 % of a core, and spans
/// two of the proxy's looks at its upstream.
const WATCH: Duration = Duration::from_secs(2);

/// Seconds that this takes, for the time left.
pub fn planned_seconds(quick: bool, recorder: &Recorder) -> f64 {
    plan(quick, watches_cpu(recorder)).seconds_for(&METRICS, recorder)
}

/// Starts the proxy again and again and looks at it.
pub fn collect(context: &Context<'_>, recorder: &mut Recorder) -> anyhow::Result<()> {
    attempt(context, recorder, &METRICS, |recorder| {
        let files = SubjectFiles::write()?;
        let watches_cpu = watches_cpu(recorder);
        let plan = plan(context.quick, watches_cpu);
        block::run(context, recorder, &METRICS, &plan, &mut |_| {
            measure(context, &files, watches_cpu)
        })
    })
}

fn plan(quick: bool, watches_cpu: bool) -> Plan {
    let watch = if watches_cpu { WATCH } else { Duration::ZERO };
    let seconds_each = (SETTLE + watch).as_secs_f64() + 0.15;
    Plan::new("idle", if quick { 2 } else { 10 }, seconds_each)
}

fn watches_cpu(recorder: &Recorder) -> bool {
    recorder.pending("cpu/idle_percent")
}

fn measure(
    context: &Context<'_>,
    files: &SubjectFiles,
    watches_cpu: bool,
) -> anyhow::Result<Block> {
    let mut bench = Bench::start(context, files, Duration::ZERO)?;
    rest(SETTLE)?;
    bench.check_running()?;
    let rss_bytes = procfs::rss_bytes(bench.proxy.pid())?;
    let mut samples = vec![("memory/idle_rss", rss_bytes as f64)];
    if watches_cpu {
        let (before, started) = (CpuReading::of(bench.proxy.pid())?, Instant::now());
        rest(WATCH)?;
        let spent_us = CpuReading::of(bench.proxy.pid())?.us_since(&before);
        let elapsed_us = started.elapsed().as_secs_f64() * 1e6;
        samples.push(("cpu/idle_percent", 100.0 * spent_us / elapsed_us));
    }
    bench
        .check_running()
        .context("the proxy did not stand idle for a few seconds")?;
    Ok(Block::Measured {
        samples,
        raw: json!({ "rss_bytes": rss_bytes }),
    })
}

/// Sleeps, and wakes for an interruption.
fn rest(time: Duration) -> anyhow::Result<()> {
    let until = Instant::now() + time;
    while let left = until.saturating_duration_since(Instant::now())
        && !left.is_zero()
    {
        interrupt::check()?;
        std::thread::sleep(left.min(Duration::from_millis(100)));
    }
    Ok(())
}
