//! Policy reload: the time from replacing the policy file to the first call that the new policies
//! decide, seen from a client.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::json;

use super::super::catalog::{Metric, POLICY_RELOAD_TIME};
use super::super::context::Context;
use super::super::recorder::{Recorder, median};
use super::super::subject::Subject;
use super::block::{self, Block, Figure, Measured, Plan};
use super::test_bed::TestBed;
use super::{SubjectFiles, attempt};
use crate::interrupt;

/// Times of the reloads of one process, in milliseconds.
const FIGURES: &[Figure<Vec<f64>>] = &[(&POLICY_RELOAD_TIME, |times| median(times))];
const RELOADS: usize = 3;
const SECONDS_EACH: f64 = 0.25;
const DEADLINE: Duration = Duration::from_secs(10);
/// A tool that the ten policies do not mention; an eleventh that permits it is added and removed.
const TOOL: &str = "reloaded_tool";

pub fn metrics() -> Vec<&'static Metric> {
    block::metrics(FIGURES)
}

pub fn planned_seconds(quick: bool, recorder: &Recorder) -> f64 {
    plan(quick).seconds_for(FIGURES, recorder)
}

/// Adds and removes one permission, and calls the tool until the answer follows.
pub fn collect(
    context: &Context<'_>,
    subject: &Subject,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    attempt(context, recorder, &metrics(), |recorder| {
        let plan = plan(context.quick);
        block::run(context, subject, recorder, FIGURES, &plan, &mut |_| {
            measure(context, subject)
        })?;
        Ok(())
    })
}

fn plan(quick: bool) -> Plan {
    let blocks = if quick { 1 } else { 8 };
    let seconds_each = 0.2 + RELOADS as f64 * SECONDS_EACH;
    Plan::new("reload", blocks, seconds_each).with_psi_below(50.0)
}

fn measure(context: &Context<'_>, subject: &Subject) -> anyhow::Result<Block<Vec<f64>>> {
    let files = SubjectFiles::write()?;
    let mut bed = TestBed::start(context, subject, &files, Duration::ZERO)?;
    let without = std::fs::read_to_string(files.policy())?;
    let with = format!(
        "{without}\n@id(\"reloaded\") permit (principal, action == Action::\"tools/call\", resource == Tool::\"{TOOL}\");\n"
    );
    let mut times = Vec::new();
    for round in 0..RELOADS {
        // Each reload changes the decision; the same policies again would show no effect to wait for.
        let permitted = round % 2 == 0;
        let policies = if permitted { &with } else { &without };
        let taken = reload(&mut bed, &files, policies, permitted)?;
        times.push(taken.as_secs_f64() * 1000.0);
    }
    let raw = json!({ "reloads_ms": times });
    Ok(Block::Measured(Measured::new(times, raw)))
}

/// Replaces the policies, and waits until calls of the tool are `permitted`, or refused.
fn reload(
    bed: &mut TestBed,
    files: &SubjectFiles,
    policies: &str,
    permitted: bool,
) -> anyhow::Result<Duration> {
    // Renamed into place, as editors and ConfigMaps do: the proxy loads such a file at once, and waits
    // for the end of other changes.
    let aside = files.folder().join("policies.cedar.new");
    // Outside the measured time: only the rename makes the policies visible to the proxy.
    std::fs::write(&aside, policies)?;
    let started = Instant::now();
    std::fs::rename(&aside, files.policy()).context("failed to replace the policy file")?;
    // Without a pause, which would be part of the figure.
    let taken = interrupt::until(DEADLINE, Duration::ZERO, || {
        if bed.proxy.permits(TOOL)? == permitted {
            return Ok(Some(started.elapsed()));
        }
        bed.check_running().map(|()| None)
    })?;
    taken.with_context(|| format!("the new policies took no effect within {DEADLINE:?}"))
}
