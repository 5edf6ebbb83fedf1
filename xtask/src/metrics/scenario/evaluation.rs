//! The policy benchmark, for percentiles of single evaluations of ten policies that read the call.
//!
//! The dearer of the two kinds is what is reported: a file whose policies read nothing of the call is
//! decided from memory.

use serde_json::json;

use super::super::context::Context;
use super::super::recorder::{Note, Recorder};
use super::{attempt, seconds_if_wanted};
use crate::interrupt;
use crate::tools::criterion::Benchmark;

const METRICS: [&str; 2] = ["policy/eval_p50", "policy/eval_p99"];
const RUNS: usize = 5;
const SECONDS_EACH: f64 = 7.0;

/// Seconds that this takes, for the time left.
pub fn planned_seconds(quick: bool, recorder: &Recorder) -> f64 {
    let runs = if quick { 1 } else { RUNS };
    seconds_if_wanted(&METRICS, recorder, runs as f64 * SECONDS_EACH)
}

/// Runs the benchmark some times; each run is a sample.
pub fn collect(context: &Context<'_>, recorder: &mut Recorder) -> anyhow::Result<()> {
    attempt(context, recorder, &METRICS, |recorder| {
        let benchmark = build(context)?;
        for _ in 0..if context.quick { 1 } else { RUNS } {
            interrupt::check()?;
            let _step = context.progress.step("policy evaluations", SECONDS_EACH);
            let percentiles = benchmark.percentiles()?;
            let case = percentiles.case(10, "context_reading", "cached", "thoughtgate")?;
            let figures = [case.p50_ns, case.p99_ns];
            for (metric, ns) in METRICS.into_iter().zip(figures) {
                if recorder.wants(metric) {
                    recorder.sample(metric, ns / 1000.0)?;
                    recorder.detail(metric, "cases", json!(percentiles.raw))?;
                }
            }
        }
        for metric in METRICS {
            if recorder.wants(metric) {
                recorder.note(
                    metric,
                    Note::Text(
                        "10 policies that read the arguments; all cases in run.json".to_owned(),
                    ),
                )?;
            }
        }
        Ok(())
    })
}

/// The benchmark, built.
pub fn build(context: &Context<'_>) -> anyhow::Result<Benchmark> {
    let _step = context.progress.step("building the policy benchmark", 0.0);
    Benchmark::build(&context.workspace)
}
