//! What a history is made of, as plain data: one line a job, and one for each change of level that
//! somebody accepted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::metrics::catalog;
use crate::metrics::digest::{self, sha256};
use crate::metrics::model::{Host, Outcome, Run, State, Value, check_kind, check_sample};

/// The schema that this program writes; it reads no newer one.
pub const SCHEMA: u32 = 1;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    /// A run.
    Job(Box<Job>),
    /// A new level that is as it should be.
    Accept(Accept),
}

/// A run, as far as later ones are compared with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Metrics with different keys are not compared. This is the key of those that have none of their own.
    pub key: String,
    /// The branch that was measured.
    pub branch: String,
    /// Its commit; none where that is not known.
    pub revision: Option<String>,
    /// The parent of that commit.
    pub parent: Option<String>,
    /// Seconds since the epoch when the run began.
    pub started: u64,
    /// SHA-256 of what was measured.
    pub sha256: String,
    /// The machine, with what the key leaves out.
    pub host: Host,
    /// By the catalogue's names.
    pub metrics: BTreeMap<String, Figure>,
}

/// What a job knows of a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The catalogue's unit.
    pub unit: String,
    /// The job's value.
    pub value: Value,
    /// The values of its blocks that count.
    pub samples: Vec<f64>,
    /// The key of a metric that was measured on another machine than the rest of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A change of level that stays: what came before is no baseline any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accept {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The metric.
    pub metric: String,
    /// The commit with which the new level begins.
    pub revision: String,
    /// Why it is as it should be.
    pub reason: String,
    /// Seconds since the epoch when it was accepted.
    pub accepted: u64,
}

impl Job {
    /// What is kept of a run.
    pub fn of(run: &Run, branch: &str) -> Job {
        let key = self::key(run);
        let metrics = run.metrics.iter().filter_map(|record| {
            let Outcome::Measured { value, .. } = &record.outcome else {
                return None;
            };
            let metric = catalog::find(&record.name)?;
            let counted = run
                .samples_of(metric)
                .filter(|row| row.state == State::Counted);
            let figure = Figure {
                unit: record.unit.clone(),
                value: value.clone(),
                samples: counted
                    .filter_map(|row| row.value.as_ref()?.number())
                    .collect(),
                key: own_key(run, &record.name).filter(|own| *own != key),
            };
            Some((record.name.clone(), figure))
        });
        Job {
            schema: SCHEMA,
            branch: branch.to_owned(),
            revision: run.git.revision.clone().filter(|_| !run.git.dirty),
            parent: run.arms.first().and_then(|arm| arm.parent.clone()),
            started: run.started,
            sha256: run.subject.sha256.clone(),
            host: run.host.clone(),
            metrics: metrics.collect(),
            key,
        }
    }

    /// What another job must have to be compared in this metric.
    pub fn key_of(&self, metric: &str) -> &str {
        let own = self
            .metrics
            .get(metric)
            .and_then(|figure| figure.key.as_deref());
        own.unwrap_or(&self.key)
    }

    /// Refuses a value that its metric cannot have, and one in another unit. Metrics of newer versions
    /// are not known.
    pub fn check(&self) -> Result<(), String> {
        for (name, figure) in &self.metrics {
            let Some(metric) = catalog::find(name) else {
                continue;
            };
            let (unit, expected) = (&figure.unit, metric.unit.name());
            if unit != expected {
                return Err(format!("`{name}` is in {unit}, and not in {expected}"));
            }
            check_kind(metric, &figure.value)?;
            for sample in &figure.samples {
                check_sample(metric, &Value::Float(*sample))?;
            }
        }
        Ok(())
    }

    /// The value of a metric, if it is a number.
    pub fn number(&self, metric: &str) -> Option<f64> {
        self.metrics.get(metric)?.value.number()
    }
}

/// What two jobs must share to be compared: the machine, and how it was measured. The patch level of
/// the kernel and the version of the image change weekly on hosted machines, and are left out.
pub fn key(run: &Run) -> String {
    key_from(run, &run.host, &run.settings)
}

/// The key of a metric in a run that was joined from several.
fn own_key(run: &Run, metric: &str) -> Option<String> {
    let mut parts = run.parts.iter();
    let part = parts.find(|part| part.metrics.iter().any(|name| name == metric))?;
    Some(key_from(run, &part.host, &part.settings))
}

fn key_from(run: &Run, host: &Host, settings: &BTreeMap<String, Json>) -> String {
    let kernel = host.kernel.as_deref().unwrap_or("unknown");
    let settings = serde_json::to_string(&(run.rules, run.quick, settings));
    let settings = sha256(settings.unwrap_or_default().as_bytes());
    format!(
        "{}, {} cores, {} GiB, {} {} {}, settings {}",
        host.cpu_model.as_deref().unwrap_or("unknown CPU"),
        host.logical_cores,
        host.memory_gib.unwrap_or_default(),
        host.os,
        kernel.split('.').next().unwrap_or(kernel),
        host.arch,
        digest::short(&settings),
    )
}
