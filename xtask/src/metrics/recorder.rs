//! The recorder: the only way in which a scenario reports a value. It refuses a metric that was not
//! asked for and a value of the wrong kind, and saves `run.json` after each report, so that a killed
//! run leaves a valid file of what it had.
//!
//! Deliberately absent: measuring and judging.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde_json::Value as Json;

use super::catalog::{self, METRICS, Metric, Tier};
pub use super::host::Tolerance;
pub use super::model::Note;
use super::model::{Arm, Binary, Git, Host, Outcome, Record, Run, SCHEMA, State};
pub use super::stats::Histogram;
use super::{estimate, store};
use crate::{clock, interrupt};
use unsaved::Unsaved;

pub use entry::{At, Taken};
pub use reading::{Measure, Missing, Reading, median, number};
pub use unsaved::ends_the_run;

mod entry;
mod reading;
mod unsaved;

/// Owns the run while it goes on.
pub struct Recorder {
    run: Run,
    path: PathBuf,
}

/// The header of a new run.
pub struct Start {
    pub tiers: Vec<Tier>,
    /// The metrics of these tiers that were asked for; all of them when none is named.
    pub only: Vec<&'static Metric>,
    /// Few and short blocks.
    pub quick: bool,
    /// Determines the orders of slices.
    pub seed: u64,
    /// Limits of the rules that decide which blocks count, by name.
    pub thresholds: BTreeMap<String, f64>,
    pub host: Host,
    pub git: Git,
    /// The executable that the metrics describe.
    pub subject: Binary,
    /// The same with its origin, and the programs that it is compared with.
    pub arms: Vec<Arm>,
}

impl Start {
    /// A run that begins now, without metrics and samples.
    pub fn run(self) -> Run {
        let now = clock::seconds();
        Run {
            schema: SCHEMA,
            rules: estimate::RULES,
            thresholds: self.thresholds,
            seed: self.seed,
            looks: BTreeMap::new(),
            arms: self.arms,
            started: now,
            finished: now,
            complete: false,
            quick: self.quick,
            tiers: self.tiers,
            host: self.host,
            tools: BTreeMap::new(),
            git: self.git,
            subject: self.subject,
            settings: BTreeMap::new(),
            metrics: Vec::new(),
            samples: Vec::new(),
            distributions: Vec::new(),
            raw: Vec::new(),
            parts: Vec::new(),
        }
    }
}

impl Recorder {
    /// Begins a run and saves it, all metrics pending, at `path`.
    pub fn new(path: &Path, start: Start) -> anyhow::Result<Self> {
        let wanted = METRICS
            .iter()
            .filter(|metric| start.tiers.contains(&metric.tier))
            .filter(|metric| start.only.is_empty() || start.only.contains(metric));
        let metrics = wanted.map(pending).collect();
        let mut recorder = Self {
            path: path.to_path_buf(),
            run: Run {
                metrics,
                ..start.run()
            },
        };
        // A run that is killed before its first block leaves a file that says what was pending.
        recorder.save()?;
        Ok(recorder)
    }

    /// Adds the result of a block, calculates the value of each of its metrics from all blocks that
    /// count so far, and saves the run.
    ///
    /// # Errors
    /// A metric that was not asked for or that the catalogue lacks, or a value of the wrong kind: a
    /// fault of the scenario. An impossible number (NaN, below 0) is no error: it becomes unmeasured.
    pub fn block(&mut self, at: &At<'_>, taken: Taken) -> anyhow::Result<()> {
        let metrics = taken.metrics();
        // All of them before a row is added, so that a refused block leaves the run as it was.
        for metric in &metrics {
            self.check(metric)?;
        }
        taken.add_to(&mut self.run, at)?;
        // After each block, so that the saved file has the values of the blocks so far.
        self.estimate(&metrics);
        self.save()
    }

    /// Lets the noisy samples of these metrics count, for want of better ones.
    pub fn count_noisy(&mut self, metrics: &[&'static Metric]) -> anyhow::Result<()> {
        for row in &mut self.run.samples {
            let among = metrics.iter().any(|metric| metric.name == row.metric);
            // The reason stays in the row: a reader sees why it was noisy.
            if among && row.state == State::Noisy {
                row.state = State::Counted;
            }
        }
        self.estimate(metrics);
        self.save()
    }

    /// Adds something that a reader must know before quoting the value; a duplicate is dropped.
    pub fn note(&mut self, metric: &Metric, note: Note) -> anyhow::Result<()> {
        let record = self.record(metric)?;
        if !record.notes.contains(&note) {
            record.notes.push(note);
        }
        self.save()
    }

    /// Keeps a figure derived from several blocks with the metric. The same key again replaces it.
    pub fn detail(&mut self, metric: &Metric, key: &str, value: Json) -> anyhow::Result<()> {
        self.record(metric)?.details.insert(key.to_owned(), value);
        self.save()
    }

    /// Sets a parameter of the run, such as a load rate. Saved with the next report.
    pub fn setting(&mut self, key: &str, value: Json) {
        self.run.settings.insert(key.to_owned(), value);
    }

    /// Sets after how many blocks the samples of a scenario are judged. Saved with the next report.
    pub fn looks(&mut self, scenario: &str, blocks: Vec<usize>) {
        self.run.looks.insert(scenario.to_owned(), blocks);
    }

    /// Sets a limit above which blocks are noisy. Saved with the next report.
    pub fn threshold(&mut self, name: &str, limit: f64) {
        self.run.thresholds.insert(name.to_owned(), limit);
    }

    /// Sets the version of a tool that took part. Saved with the next report.
    pub fn tool(&mut self, name: &str, version: &str) {
        self.run.tools.insert(name.to_owned(), version.to_owned());
    }

    /// Marks a metric as not measured without a fault of the run: the `reason`, and a `hint` that would
    /// change it. Refused once the metric has a value.
    pub fn skip(&mut self, metric: &Metric, reason: &str, hint: &str) -> anyhow::Result<()> {
        let record = self.record(metric)?;
        ensure!(
            !matches!(record.outcome, Outcome::Measured { .. }),
            "failed to skip `{}`: it has samples already",
            metric.name
        );
        record.outcome = Outcome::Skipped {
            reason: reason.to_owned(),
            hint: hint.to_owned(),
        };
        self.save()
    }

    /// Marks a metric as tried and failed. Samples recorded before are kept in the file, not in the
    /// value.
    ///
    /// # Errors
    /// Also when the cause is an interruption, which is then passed on: a metric that was cut off has
    /// not failed.
    pub fn fail(&mut self, metric: &Metric, error: &anyhow::Error) -> anyhow::Result<()> {
        if let Some(interrupted) = interrupt::cause(error) {
            return Err(interrupted.into());
        }
        self.record(metric)?.outcome = Outcome::Failed {
            error: format!("{error:#}"),
        };
        self.save()
    }

    /// Ends without a value a metric that no block could read: skipped when there is a `hint` that would
    /// change it, else failed.
    pub fn give_up(&mut self, metric: &Metric, hint: Option<&str>) -> anyhow::Result<()> {
        let why = estimate::unreported(&self.run, metric);
        let why = why.unwrap_or_else(|| "no block was made".to_owned());
        match hint {
            Some(hint) => self.skip(metric, &why, hint),
            None => self.fail(metric, &anyhow::Error::msg(why)),
        }
    }

    /// Whether `metric` was asked for; false for one that the catalogue lacks.
    pub fn wants(&self, metric: &Metric) -> bool {
        self.run.record(metric).is_some()
    }

    /// Whether `metric` was asked for and has no outcome yet.
    pub fn pending(&self, metric: &Metric) -> bool {
        self.run
            .record(metric)
            .is_some_and(|record| record.outcome == Outcome::Pending)
    }

    pub fn seed(&self) -> u64 {
        self.run.seed
    }

    #[cfg(test)]
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Ends the run: calculates the intervals, turns a metric that no scenario reported into a failure
    /// if the run is `complete`, and saves.
    pub fn finish(&mut self, complete: bool) -> anyhow::Result<&Run> {
        self.run.complete = complete;
        for index in 0..self.run.metrics.len() {
            let Some(metric) = catalog::find(&self.run.metrics[index].name) else {
                continue;
            };
            let interval = estimate::interval(&self.run, metric);
            let pooled = estimate::pooled(&self.run, metric);
            let unreported = estimate::unreported(&self.run, metric);
            let record = &mut self.run.metrics[index];
            match &mut record.outcome {
                Outcome::Measured {
                    interval: found, ..
                } => {
                    *found = interval;
                    record.pooled = pooled;
                }
                // A run that was cut off leaves untried metrics pending: they have not failed.
                Outcome::Pending if complete || unreported.is_some() => {
                    let error =
                        unreported.unwrap_or_else(|| "its tier reported no value".to_owned());
                    record.outcome = Outcome::Failed { error };
                }
                // What was skipped or failed stays so, with its reason.
                _ => {}
            }
        }
        self.save()?;
        Ok(&self.run)
    }

    /// Calculates the values of these metrics from the samples that count. A failed metric stays failed.
    fn estimate(&mut self, metrics: &[&'static Metric]) {
        for metric in metrics {
            let Some(value) = estimate::value(&self.run, metric) else {
                continue;
            };
            let mut records = self.run.metrics.iter_mut();
            if let Some(record) = records.find(|record| record.name == metric.name)
                && matches!(record.outcome, Outcome::Pending | Outcome::Measured { .. })
            {
                // Only at the end of the run: until then more blocks may follow.
                let interval = None;
                record.outcome = Outcome::Measured { value, interval };
            }
        }
    }

    fn check(&self, metric: &Metric) -> anyhow::Result<()> {
        let name = metric.name;
        ensure!(
            catalog::find(name) == Some(metric),
            "failed to record `{name}`: the catalogue has no such metric"
        );
        ensure!(
            self.wants(metric),
            "failed to record `{name}`: tier {} was not asked for",
            metric.tier.number()
        );
        Ok(())
    }

    fn record(&mut self, metric: &Metric) -> anyhow::Result<&mut Record> {
        self.check(metric)?;
        let mut records = self.run.metrics.iter_mut();
        let record = records.find(|record| record.name == metric.name);
        record.with_context(|| format!("failed to record `{}`: it has no record", metric.name))
    }

    fn save(&mut self) -> anyhow::Result<()> {
        self.run.finished = clock::seconds();
        // `Unsaved` ends the run: to go on would measure for minutes without a result.
        store::save(&self.path, &self.run.to_text()).context(Unsaved)
    }
}

fn pending(metric: &Metric) -> Record {
    Record {
        name: metric.name.to_owned(),
        unit: metric.unit.name().to_owned(),
        outcome: Outcome::Pending,
        pooled: None,
        notes: Vec::new(),
        details: BTreeMap::new(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
