//! The only way a tier reports a value. It refuses what cannot be true (a name that was not asked
//! for, a number that is none) and saves `run.json` after each report, so that a killed run leaves
//! a valid file of what it had.
//!
//! Deliberately absent: measuring and judging.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value as Json;

use super::catalog::{self, Category, Kind, METRICS, Metric, Tier};
pub use super::model::Note;
use super::model::{Git, Host, Outcome, Record, Run, SCHEMA, Subject, Value};
use super::{stats, store};
use crate::interrupt;
use unsaved::Unsaved;

pub use unsaved::ends_the_run;

mod unsaved;

/// Owns the run while it goes on.
pub struct Recorder {
    run: Run,
    path: PathBuf,
    seed: u64,
}

/// What a run is begun with.
pub struct Start {
    /// The tiers asked for.
    pub tiers: Vec<Tier>,
    /// Few and short blocks.
    pub quick: bool,
    /// Orders of slices and bootstrap resamples follow from it.
    pub seed: u64,
    /// The machine.
    pub host: Host,
    /// The checkout.
    pub git: Git,
    /// The binary under measurement.
    pub subject: Subject,
}

impl Recorder {
    /// Begins a run and saves it, all metrics pending, at `path`.
    pub fn new(path: &Path, start: Start) -> anyhow::Result<Self> {
        let wanted = METRICS
            .iter()
            .filter(|metric| start.tiers.contains(&metric.tier));
        let now = seconds_now();
        let mut recorder = Self {
            path: path.to_path_buf(),
            seed: start.seed,
            run: Run {
                schema: SCHEMA,
                started: now,
                finished: now,
                complete: false,
                quick: start.quick,
                tiers: start.tiers.clone(),
                host: start.host,
                tools: std::collections::BTreeMap::new(),
                git: start.git,
                subject: start.subject,
                settings: std::collections::BTreeMap::new(),
                metrics: wanted.map(pending).collect(),
                parts: Vec::new(),
            },
        };
        recorder.setting("seed", start.seed.into());
        recorder.save()?;
        Ok(recorder)
    }

    /// One block's value, in the base unit. Finite, and not negative except for `overhead/*`:
    /// a difference of two measured values may be.
    pub fn sample(&mut self, metric: &str, value: f64) -> anyhow::Result<()> {
        let row = self.row(metric)?;
        ensure!(
            matches!(row.kind, Kind::Integer | Kind::Float),
            "failed to record `{metric}`: a number for a metric whose values are {}",
            row.unit.name()
        );
        ensure!(
            value.is_finite(),
            "failed to record `{metric}`: {value} is not a finite number"
        );
        ensure!(
            value >= 0.0 || row.category == Category::Overhead,
            "failed to record `{metric}`: {value} {} is negative",
            row.unit.name()
        );
        let record = self.record(metric)?;
        record.samples.push(value);
        let median = stats::median(&record.samples).expect("one sample was just recorded");
        record.outcome = Outcome::Measured {
            value: number(row, median),
            interval: None,
        };
        self.save()
    }

    /// The value of a text metric.
    pub fn text(&mut self, metric: &str, value: &str) -> anyhow::Result<()> {
        self.fixed(metric, Kind::Text, Value::Text(value.to_owned()))
    }

    /// The value of a truth metric.
    pub fn boolean(&mut self, metric: &str, value: bool) -> anyhow::Result<()> {
        self.fixed(metric, Kind::Boolean, Value::Boolean(value))
    }

    /// A block gave no sample: `why` it was void (wrong status, counter mismatch, dropped
    /// iterations). Void is never 0.
    pub fn void(&mut self, metric: &str, why: &str) -> anyhow::Result<()> {
        self.record(metric)?.voids.push(why.to_owned());
        self.save()
    }

    /// What a reader must know before quoting the value; the same note twice is kept once.
    pub fn note(&mut self, metric: &str, note: Note) -> anyhow::Result<()> {
        let record = self.record(metric)?;
        if !record.notes.contains(&note) {
            record.notes.push(note);
        }
        self.save()
    }

    /// Raw data of a tool, kept with the metric. The same key again replaces it.
    pub fn detail(&mut self, metric: &str, key: &str, value: Json) -> anyhow::Result<()> {
        self.record(metric)?.details.insert(key.to_owned(), value);
        self.save()
    }

    /// A parameter of the run, such as a load rate. Saved with the next report.
    pub fn setting(&mut self, key: &str, value: Json) {
        self.run.settings.insert(key.to_owned(), value);
    }

    /// The version of a tool that took part. Saved with the next report.
    pub fn tool(&mut self, name: &str, version: &str) {
        self.run.tools.insert(name.to_owned(), version.to_owned());
    }

    /// Not measured, and no fault of the run: `reason`, and the `hint` that would change it.
    /// Refused once the metric has a sample.
    pub fn skip(&mut self, metric: &str, reason: &str, hint: &str) -> anyhow::Result<()> {
        let record = self.record(metric)?;
        ensure!(
            record.samples.is_empty(),
            "failed to skip `{metric}`: it has samples already"
        );
        record.outcome = Outcome::Skipped {
            reason: reason.to_owned(),
            hint: hint.to_owned(),
        };
        self.save()
    }

    /// Tried, and not obtained. Samples recorded before are kept in the file, not in the value.
    ///
    /// # Errors
    /// Also when the cause is an interruption, which is then passed on: what was cut off has not
    /// failed.
    pub fn fail(&mut self, metric: &str, error: &anyhow::Error) -> anyhow::Result<()> {
        if let Some(interrupted) = interrupt::cause(error) {
            return Err(interrupted.into());
        }
        self.record(metric)?.outcome = Outcome::Failed {
            error: format!("{error:#}"),
        };
        self.save()
    }

    /// Whether `metric` was asked for. A name that the catalogue lacks was not.
    pub fn wants(&self, metric: &str) -> bool {
        self.run.record(metric).is_some()
    }

    /// Whether `metric` was asked for and has no outcome yet.
    pub fn pending(&self, metric: &str) -> bool {
        self.run
            .record(metric)
            .is_some_and(|record| record.outcome == Outcome::Pending)
    }

    /// The seed that every random order follows from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The run so far.
    #[cfg(test)]
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Ends the run: intervals are derived, a metric that nobody reported is an error when the run
    /// is `complete`, and all is saved.
    pub fn finish(&mut self, complete: bool) -> anyhow::Result<&Run> {
        self.run.complete = complete;
        for record in &mut self.run.metrics {
            if let Outcome::Measured { interval, .. } = &mut record.outcome {
                *interval = stats::median_interval(&record.samples, self.seed);
            }
            if record.outcome == Outcome::Pending
                && let Some(why) = record.voids.last()
            {
                let blocks = record.voids.len();
                let error = format!("every block was void ({blocks} of {blocks}); the last: {why}");
                record.outcome = Outcome::Failed { error };
            }
            if record.outcome == Outcome::Pending && complete {
                let error = "its tier reported nothing for it".to_owned();
                record.outcome = Outcome::Failed { error };
            }
        }
        self.save()?;
        Ok(&self.run)
    }

    fn fixed(&mut self, metric: &str, kind: Kind, value: Value) -> anyhow::Result<()> {
        let row = self.row(metric)?;
        ensure!(
            row.kind == kind,
            "failed to record `{metric}`: {value:?} for a metric whose unit is `{}`",
            row.unit.name()
        );
        self.record(metric)?.outcome = Outcome::Measured {
            value,
            interval: None,
        };
        self.save()
    }

    fn row(&self, metric: &str) -> anyhow::Result<&'static Metric> {
        let Some(row) = catalog::find(metric) else {
            bail!("failed to record `{metric}`: the catalogue has no such metric");
        };
        ensure!(
            self.wants(metric),
            "failed to record `{metric}`: tier {} was not asked for",
            row.tier.number()
        );
        Ok(row)
    }

    fn record(&mut self, metric: &str) -> anyhow::Result<&mut Record> {
        self.row(metric)?;
        let records = &mut self.run.metrics;
        let record = records.iter_mut().find(|record| record.name == metric);
        record.with_context(|| format!("failed to record `{metric}`: it has no record"))
    }

    fn save(&mut self) -> anyhow::Result<()> {
        self.run.finished = seconds_now();
        store::save(&self.path, &self.run.to_text()).context(Unsaved)
    }
}

fn pending(metric: &Metric) -> Record {
    Record {
        name: metric.name.to_owned(),
        unit: metric.unit.name().to_owned(),
        outcome: Outcome::Pending,
        samples: Vec::new(),
        voids: Vec::new(),
        notes: Vec::new(),
        details: std::collections::BTreeMap::new(),
    }
}

/// A median in the number type of its metric.
fn number(metric: &Metric, median: f64) -> Value {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "samples of whole metrics are not negative, and far below 2^64"
    )]
    let whole = median.round() as u64;
    match metric.kind {
        Kind::Integer => Value::Integer(whole),
        Kind::Float | Kind::Text | Kind::Boolean => Value::Float(median),
    }
}

fn seconds_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
