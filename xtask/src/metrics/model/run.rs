//! The header of a run and the record of each metric. The rows of its tables are in `table`.
//!
//! Deliberately absent: reading, which checks a run against the catalogue.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::table::{self, Distribution, RawData, Sample, Tally};
use super::value::Value;
use crate::metrics::catalog::{self, Metric, Tier};

/// The schema that this program writes. It also reads schema 1, see `schema1`.
pub const SCHEMA: u32 = 2;

/// The clocks of two machines differ by no more than this, in seconds, unless one of them is wrong.
const SKEW_MAX: u64 = 60 * 60;

/// Whether a time is in the future, so that some clock was wrong, and the time is not known. Both are in
/// seconds since the epoch.
pub fn is_future(time: u64, now: u64) -> bool {
    time > now.saturating_add(SKEW_MAX)
}

/// One run of `cargo xtask metrics`, or several joined by `metrics merge`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    pub schema: u32,
    /// Version of the rules that decide which blocks count and which figures follow from them.
    pub rules: u32,
    /// The limits of those rules, by name.
    pub thresholds: BTreeMap<String, f64>,
    /// The seed that every random order follows from.
    pub seed: u64,
    /// Numbers of blocks after which the samples are judged, by scenario.
    pub looks: BTreeMap<String, Vec<usize>>,
    /// The measured programs, one entry per label in the tables.
    pub arms: Vec<Arm>,
    /// Seconds since the epoch when the run began.
    pub started: u64,
    /// Seconds since the epoch at the last save.
    pub finished: u64,
    /// False while the run goes on, and for ever if it was cut off.
    pub complete: bool,
    /// Fewer and shorter blocks: figures that prove that the command works, not to quote.
    pub quick: bool,
    pub tiers: Vec<Tier>,
    /// The machine that it ran on.
    pub host: Host,
    /// Versions of the tools that took part, by name.
    pub tools: BTreeMap<String, String>,
    /// The checkout in which the command was run.
    pub git: Git,
    /// The executable that the metrics describe.
    pub subject: Binary,
    /// Load rates, service times and all else that a repetition needs.
    pub settings: BTreeMap<String, Json>,
    /// One record per metric of the tiers, in the order of the catalogue.
    pub metrics: Vec<Record>,
    /// One row per block and metric, in the order of measuring.
    #[serde(serialize_with = "table::one_a_line")]
    pub samples: Vec<Sample>,
    /// The times behind percentiles, one row per block and category.
    #[serde(serialize_with = "table::one_a_line")]
    pub distributions: Vec<Distribution>,
    /// Raw data of the tools, one row per block.
    #[serde(serialize_with = "table::one_a_line")]
    pub raw: Vec<RawData>,
    /// The runs that this one was merged from; empty for a run that was not merged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
}

impl Run {
    /// The text of a `run.json`, ending in a newline.
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a run is plain data");
        text.push('\n');
        text
    }

    pub fn record(&self, metric: &Metric) -> Option<&Record> {
        self.metrics
            .iter()
            .find(|record| record.name == metric.name)
    }

    /// The records with their rows of the catalogue. An unknown record is left out: [`Run::parse`] refuses
    /// unknown metrics.
    pub fn rows(&self) -> impl Iterator<Item = (&'static Metric, &Record)> {
        let records = self.metrics.iter();
        records.filter_map(|record| Some((catalog::find(&record.name)?, record)))
    }

    /// The rows of a metric, in the order of measuring.
    pub fn samples_of<'a>(&'a self, metric: &Metric) -> impl Iterator<Item = &'a Sample> + use<'a> {
        let name = metric.name;
        self.samples.iter().filter(move |row| row.metric == name)
    }

    /// The parts of a joined run; any other run is its only piece.
    pub fn pieces(&self) -> Vec<Piece<'_>> {
        if self.parts.is_empty() {
            return vec![Piece {
                host: &self.host,
                tools: &self.tools,
                subject: &self.subject,
                settings: &self.settings,
                // All: a run that was not merged names no metrics for its piece.
                metrics: None,
            }];
        }
        let pieces = self.parts.iter().map(|part| Piece {
            host: &part.host,
            tools: &part.tools,
            subject: &part.subject,
            settings: &part.settings,
            metrics: Some(&part.metrics),
        });
        pieces.collect()
    }

    /// The machines of the pieces in the words of `describe`, each once.
    pub fn machines(&self, describe: impl Fn(&Host) -> String) -> Vec<String> {
        // A list and not a set, which would lose the order of the parts.
        let mut machines: Vec<String> = Vec::new();
        for piece in self.pieces() {
            let machine = describe(piece.host);
            if !machines.contains(&machine) {
                machines.push(machine);
            }
        }
        machines
    }

    /// The number of samples of a metric in each state.
    pub fn tally(&self, metric: &Metric) -> Tally {
        Tally::of(self.samples_of(metric))
    }
}

/// Measurements of one machine.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'r> {
    pub host: &'r Host,
    pub tools: &'r BTreeMap<String, String>,
    pub subject: &'r Binary,
    pub settings: &'r BTreeMap<String, Json>,
    /// The metrics that came from it; `None` for all.
    pub metrics: Option<&'r [String]>,
}

impl Piece<'_> {
    /// Whether the metric called `name` came from it.
    pub fn has(&self, name: &str) -> bool {
        let metrics = self.metrics;
        metrics.is_none_or(|metrics| metrics.iter().any(|metric| metric == name))
    }
}

/// One of the programs that are measured, or measured against each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Its label in the tables.
    pub name: String,
    /// The commit that it was built from; none if it is not known.
    pub revision: Option<String>,
    /// The parent of that commit.
    pub parent: Option<String>,
    /// SHA-256 of the executable, in lower-case hex.
    pub sha256: String,
    /// The compiler that built it.
    pub rustc: Option<String>,
}

/// The machine: two runs are comparable only when these are equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// `linux`, `macos`, …
    pub os: String,
    /// `x86_64`, `aarch64`, …
    pub arch: String,
    /// Model name of the first CPU.
    pub cpu_model: Option<String>,
    /// Logical cores that this process may use.
    pub logical_cores: usize,
    /// Memory in GiB, rounded: two machines of one type differ by some pages.
    pub memory_gib: Option<u64>,
    pub kernel: Option<String>,
    pub governor: Option<String>,
    /// Hypervisor or container, if one was detected.
    pub virtualisation: Option<String>,
    /// Operating system image, and the runner's image version where there is one.
    pub image: Option<String>,
}

/// The state of a checkout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Git {
    /// The commit, in full; none outside a repository.
    pub revision: Option<String>,
    /// Whether a tracked file differs from that commit.
    pub dirty: bool,
}

/// An executable under measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binary {
    /// Its path as given, or relative to the workspace.
    #[serde(rename = "binary")]
    pub path: String,
    pub length: u64,
    /// Its SHA-256, in lower-case hex.
    pub sha256: String,
}

/// The result for one metric, without its rows in the tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The catalogue's name.
    pub name: String,
    /// The catalogue's unit, for other readers of the file.
    pub unit: String,
    /// Measured, skipped or failed: never absent, never 0 in place of nothing.
    pub outcome: Outcome,
    /// The same percentile over the calls of all blocks, where a block alone has too few.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooled: Option<Pooled>,
    /// Remarks that a reader must know before quoting the value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// Figures derived from several blocks, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, Json>,
}

impl Record {
    /// The value, if it was measured.
    pub fn value(&self) -> Option<&Value> {
        match &self.outcome {
            Outcome::Measured { value, .. } => Some(value),
            _ => None,
        }
    }
}

/// The result for a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// Not reached yet, or the run was cut off before it.
    Pending,
    Measured {
        /// The median of the samples, or the text or truth value.
        value: Value,
        /// 95 % interval of the median, lower and upper.
        interval: Option<[f64; 2]>,
    },
    /// Not measured, for a reason that is not a fault of the run.
    Skipped {
        reason: String,
        /// A way to get it measured.
        hint: String,
    },
    /// Tried, and failed.
    Failed {
        /// The error, with its causes.
        error: String,
    },
}

/// A percentile of the calls of all blocks together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pooled {
    /// The percentile, in the metric's base unit.
    pub value: f64,
    /// Calls of all blocks that count.
    pub n: u64,
}

/// A remark that a reader must know before quoting a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// The machine was disturbed while it was measured, and repeating did not help.
    Noisy,
    /// The load generator was the limit, not the subject.
    GeneratorBound,
    /// Measured on another host than the rest of the run.
    OtherHost,
    /// Anything else, as a sentence.
    Text(String),
}

/// One of the runs that a merged run consists of. Its position is its session in the tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The file it was read from.
    pub file: String,
    /// Seconds since the epoch when it began.
    pub started: u64,
    /// Seconds since the epoch when it ended.
    pub finished: u64,
    /// The machine that it ran on.
    pub host: Host,
    /// Versions of its tools, by name.
    pub tools: BTreeMap<String, String>,
    /// The executable that it measured.
    pub subject: Binary,
    /// Its load rates, service times and so on.
    pub settings: BTreeMap<String, Json>,
    /// The metrics that came from it.
    pub metrics: Vec<String>,
}
