//! Instructions of one policy evaluation, counted by valgrind: a figure that hardly depends on the
//! machine, for the same case that `evaluation` times.

use super::super::catalog::{INSTRUCTIONS_POLICY_EVAL, Metric};
use super::super::context::Context;
use super::super::recorder::{Recorder, number};
use super::super::subject::Subject;
use super::block::{self, Block, Figure, Measured, Plan};
use super::{attempt, evaluation};
use crate::tools::criterion::Instructions;
use crate::tools::valgrind::Valgrind;

const FIGURES: &[Figure<Instructions>] = &[(&INSTRUCTIONS_POLICY_EVAL, |instructions| {
    number(instructions.each(), Instructions::EVALUATIONS)
})];
const SECONDS_EACH: f64 = 8.0;

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
        let valgrind = Valgrind::find()?;
        recorder.tool("valgrind", &valgrind.version);
        let benchmark = evaluation::build(context, subject)?;
        let plan = plan(context.quick);
        block::run(context, subject, recorder, FIGURES, &plan, &mut |_| {
            let counted = benchmark.instructions(&valgrind)?;
            let raw = serde_json::to_value(counted)?;
            Ok(Block::Measured(Measured::new(counted, raw)))
        })?;
        Ok(())
    })
}

fn plan(quick: bool) -> Plan {
    // Hash tables are seeded anew in each process, so two blocks differ a little.
    let blocks = if quick { 1 } else { 3 };
    Plan::new("instructions", blocks, SECONDS_EACH).deterministic()
}
