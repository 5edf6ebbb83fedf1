//! Starts of the proxy with the real configuration and policies, each timed on one clock.

use std::time::Duration;

use serde_json::json;

use super::super::catalog::{Metric, STARTUP_POLICY_LOAD, STARTUP_TO_HEALTHY, STARTUP_TO_READY};
use super::super::context::Context;
use super::super::recorder::{Reading, Recorder, median};
use super::super::subject::Subject;
use super::block::{self, Block, Figure, Measured, Plan};
use super::{SubjectFiles, attempt};
use crate::interrupt;
use crate::tools::subject::{Startup, Upstream, startup};

/// Starts of one block, all times of one start from the same.
const FIGURES: &[Figure<Vec<Startup>>] = &[
    (&STARTUP_TO_HEALTHY, |starts| {
        middle(starts, |start| start.healthy)
    }),
    (&STARTUP_TO_READY, |starts| {
        middle(starts, |start| start.ready)
    }),
    (&STARTUP_POLICY_LOAD, |starts| {
        middle(starts, |start| start.policy_load)
    }),
];
/// Starts of a block: one alone is over before the kernel's counters of disturbances move.
const STARTS: usize = 3;
const SECONDS_EACH: f64 = 0.15;

/// What it reports.
pub fn metrics() -> Vec<&'static Metric> {
    block::metrics(FIGURES)
}

/// Seconds that this takes, for the time left.
pub fn planned_seconds(quick: bool, recorder: &Recorder) -> f64 {
    plan(quick).seconds_for(FIGURES, recorder)
}

/// Starts the proxy again and again.
pub fn collect(
    context: &Context<'_>,
    subject: &Subject,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    attempt(context, recorder, &metrics(), |recorder| {
        let files = SubjectFiles::write()?;
        let upstream = Upstream::start(&context.release_dir, Duration::ZERO)?;
        let setup = files.setup(subject, &upstream);
        let plan = plan(context.quick);
        block::run(context, subject, recorder, FIGURES, &plan, &mut |_| {
            let mut starts = Vec::new();
            for _ in 0..STARTS {
                interrupt::check()?;
                starts.push(startup(&setup)?);
            }
            let raw = json!({ "starts": starts.len() });
            Ok(Block::Measured(Measured::new(starts, raw)))
        })?;
        Ok(())
    })
}

fn plan(quick: bool) -> Plan {
    let blocks = if quick { 1 } else { 10 };
    Plan::new("startup", blocks, STARTS as f64 * SECONDS_EACH)
}

fn middle(starts: &[Startup], time: fn(&Startup) -> Duration) -> Reading {
    let times = starts
        .iter()
        .map(|start| time(start).as_secs_f64() * 1000.0);
    median(&times.collect::<Vec<f64>>())
}
