//! Starts of the proxy with the real configuration and policies, each timed on one clock.

use std::time::Duration;

use serde_json::json;

use super::super::catalog::{Metric, STARTUP_POLICY_LOAD, STARTUP_TO_HEALTHY, STARTUP_TO_READY};
use super::super::context::Context;
use super::super::recorder::{Missing, Reading, Recorder, median};
use super::super::subject::Subject;
use super::block::{self, Block, Figure, Measured, Plan};
use super::{SubjectFiles, attempt};
use crate::interrupt;
use crate::tools::subject::{LOAD_SECONDS, Startup, Upstream, startup};

/// Read from the starts of a block; all times of one start begin at its spawn.
const FIGURES: &[Figure<Vec<Startup>>] = &[
    (&STARTUP_TO_HEALTHY, |starts| {
        middle(starts, |start| Some(start.healthy))
    }),
    (&STARTUP_TO_READY, |starts| {
        middle(starts, |start| Some(start.ready))
    }),
    (&STARTUP_POLICY_LOAD, |starts| {
        middle(starts, |start| start.policy_load)
    }),
];
/// Starts of a block: a single one is over before the kernel's counters of disturbance change.
const STARTS: usize = 3;
const SECONDS_EACH: f64 = 0.15;

pub fn metrics() -> Vec<&'static Metric> {
    block::metrics(FIGURES)
}

pub fn planned_seconds(quick: bool, recorder: &Recorder) -> f64 {
    plan(quick).seconds_for(FIGURES, recorder)
}

pub fn collect(
    context: &Context<'_>,
    subject: &Subject,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    attempt(context, recorder, &metrics(), |recorder| {
        let files = SubjectFiles::write()?;
        // Once, before all starts of the proxy: its own start is no part of the figures.
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
    Plan::new("startup", blocks, STARTS as f64 * SECONDS_EACH).with_psi_below(50.0)
}

/// The median over the starts of a block; missing when one of them lacks the time.
fn middle(starts: &[Startup], time: fn(&Startup) -> Option<Duration>) -> Reading {
    let times: Option<Vec<f64>> = starts
        .iter()
        .map(|start| time(start).map(|time| time.as_secs_f64() * 1000.0))
        .collect();
    median(&times.ok_or_else(|| Missing {
        reason: format!("`/metrics` of the proxy has no `{LOAD_SECONDS}`"),
        hint: None,
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_without_a_load_time_has_its_other_times() {
        let start = Startup {
            healthy: Duration::from_millis(5),
            ready: Duration::from_millis(6),
            policy_load: None,
        };
        let read = |metric: &Metric| {
            let figure = FIGURES.iter().find(|figure| figure.0 == metric).unwrap();
            figure.1(&vec![start; 3])
        };
        assert_eq!(
            read(&STARTUP_TO_READY),
            super::super::super::recorder::number(6.0, 3)
        );
        let missing = read(&STARTUP_POLICY_LOAD).unwrap_err();
        assert!(missing.reason.contains("thoughtgate_policy_load_seconds"));
    }
}
