//! Blocks: fresh processes, one measurement, the check of its answers; again and again. Every
//! scenario is a table of figures and a function that makes one block; the rest is here.
//!
//! A block gives one value per metric, whatever it is made of. One whose answers were wrong gives
//! none. One that the machine disturbed is repeated while the time lasts; its samples count only when
//! there are too few others.

mod plan;
mod series;

use anyhow::ensure;
use serde_json::Value as Json;

use super::super::catalog::{self, Metric};
use super::super::context::Context;
use super::super::recorder::{Histogram, Reading, Recorder, ends_the_run};
use super::super::subject::Subject;
use series::Series;

pub use plan::Plan;

/// A metric, and how its figure is read from what a block gave. A scenario's table of them is both
/// the list of its metrics and all that it reports.
pub type Figure<T> = (&'static Metric, fn(&T) -> Reading);

/// The metrics of a table.
pub fn metrics<T>(figures: &[Figure<T>]) -> Vec<&'static Metric> {
    figures.iter().map(|figure| figure.0).collect()
}

/// The result of one block.
#[derive(Debug)]
pub enum Block<T> {
    /// What its figures are read from.
    Measured(Measured<T>),
    /// Nothing may be counted, for this reason.
    Void(String),
}

/// What a block measured.
#[derive(Debug)]
pub struct Measured<T> {
    figures: T,
    distributions: Vec<(&'static str, Histogram)>,
    raw: Json,
    noise: Option<String>,
}

impl<T> Measured<T> {
    /// A block's figures, and what the tools printed.
    pub fn new(figures: T, raw: Json) -> Measured<T> {
        Measured {
            figures,
            distributions: Vec::new(),
            raw,
            noise: None,
        }
    }

    /// Marks the block as noisy when its programs waited for a CPU more than `limit` seconds for each
    /// second that they ran: others had the cores, or a quota was used up.
    pub fn unless_starved(self, waited_per_run: Option<f64>, limit: f64) -> Measured<T> {
        let starved = waited_per_run.filter(|waited| *waited > limit);
        self.unless(starved.map(|waited| {
            format!("the proxy waited {waited:.1} s for a CPU per second that it ran")
        }))
    }

    /// Marks the block as noisy for the reason `noise`, when there is one.
    pub fn unless(self, noise: Option<String>) -> Measured<T> {
        Measured { noise, ..self }
    }

    /// Keeps the times that the percentiles of some categories are of.
    pub fn with_times(
        self,
        distributions: impl Into<Vec<(&'static str, Histogram)>>,
    ) -> Measured<T> {
        Measured {
            distributions: distributions.into(),
            ..self
        }
    }
}

/// Makes blocks of `subject` with `measure`, which gets their number, and reports what `figures` reads
/// from each. Returns what the blocks that count have given; nothing when nothing was wanted.
///
/// # Errors
/// The error of a block ends the blocks and becomes the outcome of all their metrics: a value of
/// the blocks before it would hide that it happened. Errors here: a table with a metric that the
/// catalogue lacks or that it has twice, an interruption, and a recorder that cannot save.
pub fn run<T>(
    context: &Context<'_>,
    subject: &Subject,
    recorder: &mut Recorder,
    figures: &[Figure<T>],
    plan: &Plan,
    measure: &mut dyn FnMut(usize) -> anyhow::Result<Block<T>>,
) -> anyhow::Result<Vec<T>> {
    check_table(plan.label, figures)?;
    let mut wanted = figures.to_vec();
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
    let names = super::names(&blocks.metrics);
    let line = format!("warning: {names} could not be measured: {error:#}");
    context.progress.line(&line);
    for metric in &blocks.metrics {
        blocks.recorder.fail(metric, &error)?;
    }
    Ok(Vec::new())
}

/// Refuses a table with an unknown metric, or one metric twice, before a block is made.
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
