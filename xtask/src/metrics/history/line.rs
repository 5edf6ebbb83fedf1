//! The entries of a history, as plain data: one line per job, and one per accepted change of level.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::metrics::catalog::threshold::Change;
use crate::metrics::catalog::{self, Metric};
use crate::metrics::digest::{self, sha256};
use crate::metrics::model::{Host, Run, State, Value, WrongValue, check_kind, check_sample};

/// The schema that this program writes. It leaves entries of newer schemas unread.
pub const SCHEMA: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    Job(Box<Job>),
    /// A change of level that is meant to stay.
    Accept(Accept),
}

/// A run, reduced to the figures that later ones are compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Metrics with different keys are not compared. This is the key of metrics without one of their own.
    pub key: String,
    /// The branch that was measured.
    pub branch: String,
    /// The measured commit; none if it is not known, or the checkout was modified.
    pub revision: Option<String>,
    /// The parent of that commit.
    pub parent: Option<String>,
    /// Seconds since the epoch when the run began.
    pub started: u64,
    /// SHA-256 of the measured executable.
    pub sha256: String,
    /// The machine, including the details that are not part of the key.
    pub host: Host,
    /// Figures by name of the metric.
    pub metrics: BTreeMap<String, Figure>,
}

/// The figure of one metric in a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    pub unit: String,
    pub value: Value,
    /// The values of the blocks that count.
    pub samples: Vec<f64>,
    /// The key of a metric that has another one than the rest of the job: it was measured on another
    /// machine, or depends on the compiler and not on the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// An accepted change of level: earlier jobs are not part of the metric's baseline any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accept {
    /// [`SCHEMA`].
    pub schema: u32,
    pub metric: String,
    /// The commit with which the new level begins.
    pub revision: String,
    /// The reason for which the new level is accepted.
    pub reason: String,
    /// Seconds since the epoch when it was accepted.
    pub accepted: u64,
}

/// A figure that its metric cannot have.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Impossible {
    #[error("the unit of `{metric}` is {found}, but must be {expected}")]
    Unit {
        metric: &'static str,
        found: String,
        expected: &'static str,
    },
    #[error(transparent)]
    Value(#[from] WrongValue),
}

impl Job {
    /// The entry of a run.
    pub fn of(run: &Run, branch: &str) -> Job {
        let key = self::key(run);
        let metrics = run.rows().filter_map(|(metric, record)| {
            let value = record.value()?;
            let counted = run
                .samples_of(metric)
                .filter(|row| row.state == State::Counted);
            let figure = Figure {
                unit: record.unit.clone(),
                value: value.clone(),
                samples: counted
                    .filter_map(|row| row.value.as_ref()?.number())
                    .collect(),
                key: Some(own_key(run, metric)).filter(|own| *own != key),
            };
            Some((record.name.clone(), figure))
        });
        Job {
            schema: SCHEMA,
            branch: branch.to_owned(),
            // Without a commit rather than with one that was not measured.
            revision: run.git.revision.clone().filter(|_| !run.git.dirty),
            parent: run.arms.first().and_then(|arm| arm.parent.clone()),
            started: run.started,
            sha256: run.subject.sha256.clone(),
            host: run.host.clone(),
            metrics: metrics.collect(),
            key,
        }
    }

    /// The key that another job must share to be compared in this metric.
    pub fn key_of(&self, metric: &str) -> &str {
        let own = self
            .metrics
            .get(metric)
            .and_then(|figure| figure.key.as_deref());
        own.unwrap_or(&self.key)
    }

    /// Whether the metric was measured in the same way, on the same kind of machine, in both.
    pub fn shares(&self, other: &Job, metric: &str) -> bool {
        self.key_of(metric) == other.key_of(metric)
    }

    /// Whether some metric of this job can be compared with the other's.
    pub fn is_comparable_with(&self, other: &Job) -> bool {
        let mut metrics = self.metrics.keys();
        metrics.any(|metric| self.shares(other, metric))
    }

    /// Refuses a value that its metric cannot have, or that is in another unit. Unknown metrics are
    /// accepted: they are of a newer version.
    pub fn check(&self) -> Result<(), Impossible> {
        for (name, figure) in &self.metrics {
            let Some(metric) = catalog::find(name) else {
                continue;
            };
            let expected = metric.unit.name();
            if figure.unit != expected {
                return Err(Impossible::Unit {
                    metric: metric.name,
                    found: figure.unit.clone(),
                    expected,
                });
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

/// The key that two jobs must share to be compared: the machine, and the settings of the measurement.
/// The patch level of the kernel and the version of the image are left out, since they change weekly on
/// hosted machines.
pub fn key(run: &Run) -> String {
    key_from(run, &run.host, &run.settings)
}

/// The key of one metric, by the part of a joined run that it came from. What is read of the build
/// depends on the compiler and not on the machine, so that it is compared across runners; instructions
/// depend on both.
fn own_key(run: &Run, metric: &Metric) -> String {
    let pieces = run.pieces();
    let piece = pieces.iter().find(|piece| piece.has(metric.name));
    let (host, settings, tools) = piece.map_or((&run.host, &run.settings, &run.tools), |piece| {
        (piece.host, piece.settings, piece.tools)
    });
    let compiler = tools
        .get("rustc")
        .map_or("unknown rustc", |version| version.as_str());
    match metric.change() {
        Change::Tested(_) => key_from(run, host, settings),
        Change::Exact(_) if metric.category() == "instructions" => {
            format!("{}, {compiler}", key_from(run, host, settings))
        }
        Change::Exact(_) | Change::Target => {
            let quick = if run.quick { ", quick" } else { "" };
            format!("{} {}, {compiler}{quick}", host.os, host.arch)
        }
    }
}

fn key_from(run: &Run, host: &Host, settings: &BTreeMap<String, Json>) -> String {
    let kernel = host.kernel.as_deref().unwrap_or("unknown");
    // Other rules or settings give other figures for the same program, so they are part of the key.
    let settings = serde_json::to_string(&(run.rules, run.quick, settings));
    // Hashed, since all settings as text would make the key too long to read.
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
