//! Blocks: fresh processes, one measurement and the check of its answers, repeated. A scenario is a
//! table of figures and a function that makes one block; all else about blocks is in this module.
//!
//! A block gives one value per metric, however much it repeats inside. A block with wrong answers is
//! void and gives none. A block that the machine disturbed is noisy: it is repeated while there is
//! time, and its samples count only when there are too few others.

mod outcome;
mod plan;
mod series;

use anyhow::ensure;

use super::super::catalog::{self, Metric, names};
use super::super::context::Context;
use super::super::recorder::{Recorder, ends_the_run};
use super::super::subject::Subject;
use series::Series;

pub use outcome::{Block, Figure, Measured};
pub use plan::Plan;

pub fn metrics<T>(figures: &[Figure<T>]) -> Vec<&'static Metric> {
    figures.iter().map(|figure| figure.0).collect()
}

/// Makes blocks of `subject` with `measure`, which gets their number, and records what `figures` read
/// from each. Returns the results of the blocks that count; none when no metric was pending.
///
/// # Errors
/// The error of a block ends the scenario and becomes the outcome of all its metrics: a value of the
/// blocks before would hide that it happened. Only these are returned: a table with an unknown or a
/// duplicate metric, an interruption, and a failed save.
pub fn run<T>(
    context: &Context<'_>,
    subject: &Subject,
    recorder: &mut Recorder,
    figures: &[Figure<T>],
    plan: &Plan,
    measure: &mut dyn FnMut(usize) -> anyhow::Result<Block<T>>,
) -> anyhow::Result<Vec<T>> {
    // Before the check for pending metrics, so that a faulty table fails in every run.
    check_table(plan.label, figures)?;
    let mut wanted = figures.to_vec();
    // A metric that was not asked for, or that another scenario has reported, is not read.
    wanted.retain(|figure| recorder.pending(figure.0));
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    recorder.looks(plan.label, vec![plan.blocks]);
    if let Some(percent) = plan.tolerance.and_then(|tolerance| tolerance.psi_percent) {
        recorder.threshold(&format!("noisy_psi_percent/{}", plan.label), percent);
    }
    let mut blocks = Series {
        recorder,
        arm: &subject.label,
        metrics: metrics(&wanted),
        figures: wanted,
        counted: Vec::new(),
        noisy: Vec::new(),
        voids: 0,
        missing: Vec::new(),
    };
    let Err(error) = blocks.run(context, plan, measure) else {
        return Ok(blocks.counted);
    };
    if ends_the_run(&error) {
        return Err(error);
    }
    let names = names(&blocks.metrics);
    let line = format!("warning: {names} could not be measured: {error:#}");
    context.progress.line(&line);
    for metric in &blocks.metrics {
        blocks.recorder.fail(metric, &error)?;
    }
    Ok(Vec::new())
}

/// Refuses a table with an unknown or a duplicate metric, before a block is made.
fn check_table<T>(scenario: &str, figures: &[Figure<T>]) -> anyhow::Result<()> {
    for (index, (metric, _)) in figures.iter().enumerate() {
        let name = metric.name;
        ensure!(
            catalog::find(name) == Some(metric),
            "the scenario `{scenario}` reports `{name}`, which the catalogue lacks"
        );
        let twice = figures[..index].iter().any(|other| other.0.name == name);
        ensure!(!twice, "the scenario `{scenario}` reports `{name}` twice");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
