//! Instructions of one policy evaluation, counted by valgrind: a figure that hardly moves with the
//! machine, for the same case as `evaluation` times.
//!
//! Two processes that differ in the number of evaluations alone: what starting and loading costs is
//! in both, and not in their difference.

use super::super::context::Context;
use super::super::recorder::Recorder;
use super::{attempt, evaluation, seconds_if_wanted};
use crate::tools::valgrind::Valgrind;

const METRIC: &str = "instructions/policy_eval";
const FEW: u64 = 1024;
/// A multiple of the calls that the benchmark goes round in, as `FEW` is: each is evaluated
/// equally often.
const MANY: u64 = 5 * FEW;
/// Hash tables are seeded anew in each process, so two samples differ a little.
const SAMPLES: usize = 3;
const SECONDS_EACH: f64 = 8.0;

/// Seconds that this takes, for the time left.
pub fn planned_seconds(quick: bool, recorder: &Recorder) -> f64 {
    let samples = if quick { 1 } else { SAMPLES };
    seconds_if_wanted(&[METRIC], recorder, samples as f64 * SECONDS_EACH)
}

/// Counts, some times.
pub fn collect(context: &Context<'_>, recorder: &mut Recorder) -> anyhow::Result<()> {
    attempt(context, recorder, &[METRIC], |recorder| {
        let valgrind = Valgrind::find()?;
        recorder.tool("valgrind", &valgrind.version);
        let benchmark = evaluation::build(context)?;
        for _ in 0..if context.quick { 1 } else { SAMPLES } {
            let _step = context.progress.step("counting instructions", SECONDS_EACH);
            let few = benchmark.instructions(&valgrind, FEW)?;
            let many = benchmark.instructions(&valgrind, MANY)?;
            let each = many.saturating_sub(few) as f64 / (MANY - FEW) as f64;
            recorder.sample(METRIC, each)?;
        }
        Ok(())
    })
}
