//! The policy benchmark: percentiles of single evaluations of ten policies that read the call.
//!
//! The more expensive of two cases is reported: where policies read nothing of the call, its decision
//! comes from memory.

use super::super::catalog::{Metric, POLICY_EVAL_P50, POLICY_EVAL_P99};
use super::super::context::Context;
use super::super::recorder::{Note, Recorder, number};
use super::super::subject::Subject;
use super::attempt;
use super::block::{self, Block, Figure, Measured, Plan};
use crate::tools::criterion::{Benchmark, Case};

const FIGURES: &[Figure<Case>] = &[
    (&POLICY_EVAL_P50, |case| {
        number(case.p50_ns / 1000.0, case.evaluations)
    }),
    (&POLICY_EVAL_P99, |case| {
        number(case.p99_ns / 1000.0, case.evaluations)
    }),
];
const SECONDS_EACH: f64 = 7.0;

pub fn metrics() -> Vec<&'static Metric> {
    block::metrics(FIGURES)
}

pub fn planned_seconds(quick: bool, recorder: &Recorder) -> f64 {
    plan(quick).seconds_for(FIGURES, recorder)
}

/// Runs the benchmark repeatedly; each process is a block.
pub fn collect(
    context: &Context<'_>,
    subject: &Subject,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    attempt(context, recorder, &metrics(), |recorder| {
        let benchmark = build(context, subject)?;
        let plan = plan(context.quick);
        block::run(context, subject, recorder, FIGURES, &plan, &mut |_| {
            let percentiles = benchmark.percentiles()?;
            let case = percentiles.case(10, "context_reading", "cached", "thoughtgate")?;
            let measured = Measured::new(case.clone(), percentiles.raw.clone());
            Ok(Block::Measured(measured))
        })?;
        for metric in metrics() {
            if recorder.wants(metric) {
                let note = "10 policies that read arguments; all cases are in run.json";
                recorder.note(metric, Note::Text(note.to_owned()))?;
            }
        }
        Ok(())
    })
}

fn plan(quick: bool) -> Plan {
    // Five blocks are the fewest that give an interval.
    let blocks = if quick { 1 } else { 5 };
    Plan::new("policy evaluation", blocks, SECONDS_EACH).with_psi_below(20.0)
}

/// Builds the benchmark of the subject's own policy engine.
pub fn build(context: &Context<'_>, subject: &Subject) -> anyhow::Result<Benchmark> {
    let checkout = subject.checkout("the benchmark of policy evaluations")?;
    let _step = context.progress.step("building the policy benchmark", 0.0);
    Benchmark::build(checkout)
}
