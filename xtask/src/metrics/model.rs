//! What a run is, as plain data: the shape of `run.json`. Raw samples stay beside the values, with
//! the host, the revision and the tool versions, so that statistics can be derived again later.
//!
//! Deliberately absent: files, clocks, statistics and judgement. Reading checks the schema first:
//! a file of another schema is refused, never guessed at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::catalog::Tier;

/// The schema that this program writes, and the only one that it reads.
pub const SCHEMA: u32 = 1;

/// One run of `cargo xtask metrics`, or several joined by `metrics merge`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Seconds since the epoch when the run began.
    pub started: u64,
    /// Seconds since the epoch at the last save.
    pub finished: u64,
    /// False while the run goes on, and for ever if it was cut off.
    pub complete: bool,
    /// Fewer and shorter blocks: figures to see that it works, not to quote.
    pub quick: bool,
    /// The tiers asked for, in order.
    pub tiers: Vec<Tier>,
    /// Where it ran.
    pub host: Host,
    /// Versions of the tools that took part, by name.
    pub tools: BTreeMap<String, String>,
    /// What was checked out.
    pub git: Git,
    /// What was measured.
    pub subject: Subject,
    /// Seed, load rates, service times: everything that a repetition needs.
    pub settings: BTreeMap<String, Json>,
    /// One record per metric of the tiers, in the order of the catalogue.
    pub metrics: Vec<Record>,
    /// The runs that this one was merged from; empty for a run of one's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
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
    /// Kernel release.
    pub kernel: Option<String>,
    /// CPU frequency governor.
    pub governor: Option<String>,
    /// Hypervisor or container, where it says so.
    pub virtualisation: Option<String>,
    /// Operating system image, and the runner's image version where there is one.
    pub image: Option<String>,
}

/// What was checked out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Git {
    /// The commit, in full; none outside a repository.
    pub revision: Option<String>,
    /// Whether a tracked file differs from that commit.
    pub dirty: bool,
}

/// The binary under measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Its path as given, or relative to the workspace.
    pub binary: String,
    /// Its length in bytes.
    pub length: u64,
    /// Its SHA-256, in lower-case hex.
    pub sha256: String,
}

/// All that is known of one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The catalogue's name.
    pub name: String,
    /// The catalogue's unit, for readers of the file.
    pub unit: String,
    /// Measured, skipped or failed: never absent, never 0 in place of nothing.
    pub outcome: Outcome,
    /// One value per block, in the order of measuring, in the base unit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<f64>,
    /// One reason per block whose sample was void.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub voids: Vec<String>,
    /// What a reader must know before quoting the value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// Raw data of the tools, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, Json>,
}

/// What became of a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// Not reached yet, or the run was cut off before it.
    Pending,
    /// A value.
    Measured {
        /// The median of the samples, or the text or truth value.
        value: Value,
        /// 95 % bootstrap interval of the median, lower and upper.
        interval: Option<[f64; 2]>,
    },
    /// Not measured, for a reason that is not a fault of the run.
    Skipped {
        /// Why.
        reason: String,
        /// What would get it measured.
        hint: String,
    },
    /// Tried, and not obtained.
    Failed {
        /// The error, with its causes.
        error: String,
    },
}

/// A value as JSON has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(u64),
    /// Any other number.
    Float(f64),
    /// A string.
    Text(String),
}

impl Value {
    /// The number, if it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Boolean(_) | Self::Text(_) => None,
        }
    }
}

/// What a reader must know before quoting a value.
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

/// One of the runs that a merged run was made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The file it was read from.
    pub file: String,
    /// Seconds since the epoch when it began.
    pub started: u64,
    /// Seconds since the epoch when it ended.
    pub finished: u64,
    /// Where it ran.
    pub host: Host,
    /// Versions of its tools.
    pub tools: BTreeMap<String, String>,
    /// What it measured.
    pub subject: Subject,
    /// Its own seed, rates and so on.
    pub settings: BTreeMap<String, Json>,
    /// The metrics that came from it.
    pub metrics: Vec<String>,
}

/// Why a text is not a run.
#[derive(Debug)]
pub enum ReadError {
    /// Not JSON, cut short, or of another shape; the message has line and column.
    Shape(serde_json::Error),
    /// Written by another version of this program.
    Schema(u32),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shape(error) => write!(formatter, "not a run: {error}"),
            Self::Schema(found) => write!(
                formatter,
                "run schema {found}, but this program reads {SCHEMA}: \
                 measure again with `cargo xtask metrics`"
            ),
        }
    }
}

impl std::error::Error for ReadError {}

impl Run {
    /// Reads the text of a `run.json`.
    pub fn parse(text: &str) -> Result<Self, ReadError> {
        #[derive(Deserialize)]
        struct Probe {
            schema: u32,
        }
        let probe: Probe = serde_json::from_str(text).map_err(ReadError::Shape)?;
        if probe.schema != SCHEMA {
            return Err(ReadError::Schema(probe.schema));
        }
        serde_json::from_str(text).map_err(ReadError::Shape)
    }

    /// The text of a `run.json`, ending in a newline.
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a run is plain data");
        text.push('\n');
        text
    }

    /// The record of the metric called `name`.
    pub fn record(&self, name: &str) -> Option<&Record> {
        self.metrics.iter().find(|record| record.name == name)
    }
}
