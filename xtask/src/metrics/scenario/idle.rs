//! Idle processes: memory one second after ready, and the CPU time that they use without a call.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::json;

use super::super::catalog::{CPU_IDLE_PERCENT, MEMORY_IDLE_RSS, Metric};
use super::super::context::Context;
use super::super::recorder::{Missing, Reading, Recorder, number};
use super::super::subject::Subject;
use super::block::{self, Block, Figure, Measured, Plan};
use super::test_bed::TestBed;
use super::{SubjectFiles, attempt};
use crate::interrupt;
use crate::tools::procfs::{self, CpuReading, spent_us};

const FIGURES: &[Figure<Idle>] = &[
    (&MEMORY_IDLE_RSS, |idle| {
        number(idle.rss_bytes.clone()? as f64, 1)
    }),
    (&CPU_IDLE_PERCENT, |idle| idle.cpu_percent.clone()),
];
/// Time from ready to the reading of the memory.
const SETTLE: Duration = Duration::from_secs(1);
/// Duration of the CPU measurement after that: it resolves far less than 0.1 % of a core. A probe of
/// the upstream is in it only sometimes: they are ten seconds apart.
const WATCH: Duration = Duration::from_secs(2);

pub fn metrics() -> Vec<&'static Metric> {
    block::metrics(FIGURES)
}

pub fn planned_seconds(quick: bool, recorder: &Recorder) -> f64 {
    plan(quick, watches_cpu(recorder)).seconds_for(FIGURES, recorder)
}

pub fn collect(
    context: &Context<'_>,
    subject: &Subject,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    attempt(context, recorder, &metrics(), |recorder| {
        let files = SubjectFiles::write()?;
        let watches_cpu = watches_cpu(recorder);
        let plan = plan(context.quick, watches_cpu);
        block::run(context, subject, recorder, FIGURES, &plan, &mut |_| {
            let bed = TestBed::start(context, subject, &files, Duration::ZERO)?;
            measure(bed, watches_cpu)
        })?;
        Ok(())
    })
}

fn plan(quick: bool, watches_cpu: bool) -> Plan {
    let watch = if watches_cpu { WATCH } else { Duration::ZERO };
    let seconds_each = (SETTLE + watch).as_secs_f64() + 0.15;
    let blocks = if quick { 2 } else { 10 };
    Plan::new("idle", blocks, seconds_each).with_psi_below(20.0)
}

fn watches_cpu(recorder: &Recorder) -> bool {
    recorder.pending(&CPU_IDLE_PERCENT)
}

/// Readings of one idle process.
#[derive(Debug)]
struct Idle {
    rss_bytes: Result<u64, Missing>,
    cpu_percent: Reading,
}

fn measure(mut bed: TestBed, watches_cpu: bool) -> anyhow::Result<Block<Idle>> {
    interrupt::rest(SETTLE)?;
    // First: of a proxy that has died, this error has the last output, and that of the reading has not.
    bed.check_running()?;
    let pid = bed.proxy.pid();
    // Before the CPU measurement: the target is about memory one second after ready.
    let rss_bytes = procfs::rss_bytes(pid).map_err(Missing::from);
    let cpu_percent = if watches_cpu {
        // The time is measured, not assumed: a busy machine wakes the waiting thread late.
        let (before, started) = (CpuReading::of(pid), Instant::now());
        interrupt::rest(WATCH)?;
        let elapsed_us = started.elapsed().as_secs_f64() * 1e6;
        let spent_us = spent_us(&before, &CpuReading::of(pid));
        let percent = spent_us.map(|spent_us| 100.0 * spent_us / elapsed_us);
        percent
            .map_err(Missing::from)
            .and_then(|percent| number(percent, 1))
    } else {
        Err(Missing::unwanted())
    };
    bed.check_running()
        .context("the proxy did not stay up while idle for a few seconds")?;
    let raw = json!({ "rss_bytes": rss_bytes.as_ref().ok() });
    Ok(Block::Measured(Measured::new(
        Idle {
            rss_bytes,
            cpu_percent,
        },
        raw,
    )))
}
