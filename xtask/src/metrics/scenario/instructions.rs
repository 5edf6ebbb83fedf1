//! Instructions of one policy evaluation, counted by valgrind: a figure that hardly moves with the
//! machine, for the same case as `evaluation` times.
//!
//! Two processes that differ in the number of evaluations alone: what starting and loading costs is
//! in both, and not in their difference.

use serde_json::json;

use super::super::catalog::{INSTRUCTIONS_POLICY_EVAL, Metric};
use super::super::context::Context;
use super::super::recorder::{Recorder, number};
use super::super::subject::Subject;
use super::block::{self, Block, Figure, Measured, Plan};
use super::{attempt, evaluation};
use crate::tools::valgrind::Valgrind;

/// Instructions that all evaluations beyond the first ones took.
const FIGURES: &[Figure<u64>] = &[(&INSTRUCTIONS_POLICY_EVAL, |instructions| {
    number(*instructions as f64 / (MANY - FEW) as f64, MANY - FEW)
})];
const FEW: u64 = 1024;
/// A multiple of the calls that the benchmark goes round in, as `FEW` is: each is evaluated
/// equally often.
const MANY: u64 = 5 * FEW;
const SECONDS_EACH: f64 = 8.0;

/// What it reports.
pub fn metrics() -> Vec<&'static Metric> {
    block::metrics(FIGURES)
}

/// Seconds that this takes, for the time left.
pub fn planned_seconds(quick: bool, recorder: &Recorder) -> f64 {
    plan(quick).seconds_for(FIGURES, recorder)
}

/// Counts, some times.
pub fn collect(
    context: &Context<'_>,
    subject: &Subject,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    attempt(context, recorder, &metrics(), |recorder| {
        let valgrind = Valgrind::find()?;
        recorder.tool("valgrind", &valgrind.version);
        let benchmark = evaluation::build(context, subject)?;
        let plan = plan(context.quick);
        block::run(context, subject, recorder, FIGURES, &plan, &mut |_| {
            let few = benchmark.instructions(&valgrind, FEW)?;
            let many = benchmark.instructions(&valgrind, MANY)?;
            let raw = json!({ "few": few, "many": many });
            Ok(Block::Measured(Measured::new(
                many.saturating_sub(few),
                raw,
            )))
        })?;
        Ok(())
    })
}

fn plan(quick: bool) -> Plan {
    // Hash tables are seeded anew in each process, so two blocks differ a little.
    let blocks = if quick { 1 } else { 3 };
    Plan::new("instructions", blocks, SECONDS_EACH).deterministic()
}
