//! Blocks: fresh processes, one measurement, the check of its answers; again and again. Every
//! scenario is a table of figures and a function that makes one block; the rest is here.
//!
//! A block gives one value per metric, whatever it is made of. One whose answers were wrong gives
//! none. One that the machine disturbed is repeated while the time lasts; its samples count only when
//! there are too few others.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{bail, ensure};
use serde_json::Value as Json;

use super::super::catalog::{self, Metric};
use super::super::context::Context;
use super::super::recorder::{
    At, Histogram, Missing, Note, Reading, Recorder, Taken, Tolerance, ends_the_run,
};
use super::super::subject::Subject;
use crate::interrupt;

/// Blocks without a sample after which it is no use to go on, when there was none with one. Later
/// ones are a disturbance that passes, or end with the time.
const VOIDS_AT_FIRST: usize = 5;

/// A metric, and how its figure is read from what a block gave. A scenario's table of them is both
/// the list of its metrics and all that it reports.
pub type Figure<T> = (&'static Metric, fn(&T) -> Reading);

/// The metrics of a table.
pub fn metrics<T>(figures: &[Figure<T>]) -> Vec<&'static Metric> {
    figures.iter().map(|figure| figure.0).collect()
}

/// How many blocks there are to be.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The scenario's name, in progress and in the run's tables.
    pub label: &'static str,
    /// Undisturbed blocks to come to.
    pub blocks: usize,
    /// Seconds that one takes, about.
    pub seconds_each: f64,
    /// Seconds after which no block is begun any more. Never fewer blocks than one.
    pub seconds_at_most: f64,
    /// What else the machine may do without disturbing the figures; none when nothing does.
    pub tolerance: Option<Tolerance>,
}

impl Plan {
    /// A plan that leaves a third of its time for blocks that have to be repeated.
    pub fn new(label: &'static str, blocks: usize, seconds_each: f64) -> Plan {
        Plan {
            label,
            blocks,
            seconds_each,
            seconds_at_most: blocks as f64 * seconds_each * 4.0 / 3.0,
            tolerance: Some(Tolerance {
                is_alone: true,
                psi_percent: None,
            }),
        }
    }

    /// For a scenario that does not keep the cores busy itself: tasks may wait for a CPU in so many
    /// percent of the time.
    pub fn with_psi_below(mut self, percent: f64) -> Plan {
        if let Some(tolerance) = &mut self.tolerance {
            tolerance.psi_percent = Some(percent);
        }
        self
    }

    /// For a scenario whose programs are started by others.
    pub fn not_alone(mut self) -> Plan {
        if let Some(tolerance) = &mut self.tolerance {
            tolerance.is_alone = false;
        }
        self
    }

    /// For figures that a busy machine does not change: sizes, counts.
    pub fn deterministic(self) -> Plan {
        Plan {
            tolerance: None,
            ..self
        }
    }

    /// Seconds that all of them take, for the time left: none when no metric of `figures` is wanted.
    pub fn seconds_for<T>(&self, figures: &[Figure<T>], recorder: &Recorder) -> f64 {
        let wanted = figures.iter().any(|figure| recorder.pending(figure.0));
        if wanted {
            self.blocks as f64 * self.seconds_each
        } else {
            0.0
        }
    }
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
        Measured {
            noise: starved.map(|waited| {
                format!("the proxy waited {waited:.1} s for a CPU per second that it ran")
            }),
            ..self
        }
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
    let mut blocks = Blocks {
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

struct Blocks<'a, T> {
    recorder: &'a mut Recorder,
    arm: &'a str,
    figures: Vec<Figure<T>>,
    metrics: Vec<&'static Metric>,
    /// What the blocks gave that gave samples and were not disturbed.
    counted: Vec<T>,
    /// The same of those that were.
    noisy: Vec<T>,
    /// Blocks without samples.
    voids: usize,
    /// The last reason why a metric could not be read.
    missing: Vec<(&'static Metric, Missing)>,
}

impl<T> Blocks<'_, T> {
    fn run(
        &mut self,
        context: &Context<'_>,
        plan: &Plan,
        measure: &mut dyn FnMut(usize) -> anyhow::Result<Block<T>>,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        let limit = Duration::from_secs_f64(plan.seconds_at_most);
        let mut number = 0;
        while self.counted.len() < plan.blocks && (number == 0 || started.elapsed() < limit) {
            interrupt::check()?;
            let label = format!(
                "{}, block {} of {}",
                plan.label,
                self.counted.len() + 1,
                plan.blocks
            );
            let step = context.progress.step(&label, plan.seconds_each);
            let (watch, started_ms) = (context.watch(), milliseconds_now());
            let block = measure(number)?;
            let pressure = watch.finish();
            drop(step);
            let at = At {
                scenario: plan.label,
                block: number,
                arm: self.arm,
                started_ms,
                pressure,
            };
            match block {
                Block::Void(why) => {
                    let line = format!("warning: a block does not count: {why}");
                    context.progress.line(&line);
                    self.void(&at, &why)?;
                }
                Block::Measured(measured) => {
                    let noise = plan
                        .tolerance
                        .and_then(|tolerance| pressure.noise(tolerance).or(measured.noise.clone()));
                    self.take(&at, measured, noise)?;
                }
            }
            number += 1;
        }
        self.finish(plan)
    }

    fn void(&mut self, at: &At<'_>, why: &str) -> anyhow::Result<()> {
        self.recorder
            .block(at, Taken::Void(self.metrics.clone(), why.to_owned()))?;
        self.voids += 1;
        if self.voids >= VOIDS_AT_FIRST && self.counted.len() + self.noisy.len() == 0 {
            bail!("none of {VOIDS_AT_FIRST} blocks counts, the last: {why}");
        }
        Ok(())
    }

    fn take(
        &mut self,
        at: &At<'_>,
        measured: Measured<T>,
        noise: Option<String>,
    ) -> anyhow::Result<()> {
        let (readings, is_noisy) = (self.read(&measured.figures), noise.is_some());
        let taken = Taken::Measured {
            readings,
            noise,
            distributions: measured.distributions,
            raw: measured.raw,
        };
        self.recorder.block(at, taken)?;
        if is_noisy {
            self.noisy.push(measured.figures);
        } else {
            self.counted.push(measured.figures);
        }
        Ok(())
    }

    /// What each wanted figure reads.
    fn read(&mut self, figures: &T) -> Vec<(&'static Metric, Reading)> {
        let mut readings = Vec::new();
        for (metric, read) in &self.figures {
            let reading = read(figures);
            if let Err(missing) = &reading {
                self.missing.retain(|other| other.0 != *metric);
                self.missing.push((metric, missing.clone()));
            }
            readings.push((*metric, reading));
        }
        readings
    }

    /// Decides about the disturbed blocks: they count when there are too few others. Fewer than
    /// half of the blocks that were planned are few, whatever became of the rest. Then about what no
    /// block could read.
    fn finish(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let few = self.counted.len() * 2 <= plan.blocks;
        if few && (!self.noisy.is_empty() || self.voids > 0) {
            self.recorder.count_noisy(&self.metrics)?;
            self.counted.append(&mut self.noisy);
            for metric in &self.metrics {
                if !self.recorder.pending(metric) {
                    self.recorder.note(metric, Note::Noisy)?;
                }
            }
        }
        for metric in &self.metrics {
            if self.recorder.pending(metric) {
                let mut missing = self.missing.iter();
                let missing = missing.find(|missing| missing.0 == *metric);
                self.recorder
                    .give_up(metric, missing.and_then(|(_, missing)| missing.hint))?;
            }
        }
        Ok(())
    }
}

fn milliseconds_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests;
