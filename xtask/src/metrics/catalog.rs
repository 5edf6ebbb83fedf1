//! Every metric once: what it is called, what it is counted in, what the requirement asks of it
//! and how it is measured. Everything else (flags, reports, files, verdicts) is derived from
//! this table.
//!
//! Deliberately absent: values, samples, files and processes. Ids and names are never renamed.
//!
//! Units: a target is stated in the metric's own base unit. The requirement's "MB" is read as
//! 10^6 bytes, so "< 15 MB" is 15 000 000 bytes: of the two readings the stricter one, and the
//! one that reports print.
//!
//! Order: that of the array in the requirement's §8.1. The two metrics which that example leaves
//! out follow their category; the two extras come last.

use serde::{Deserialize, Serialize};

pub use table::*;

mod table;
pub mod threshold;

/// One row of the catalogue. Rows are constants: code names them, and never a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// The requirement's id, such as `M-LAT-001`; `X-…` for the extras.
    pub id: &'static str,
    /// `{category}/{metric_name}`: the key in every file and report.
    pub name: &'static str,
    /// The base unit of samples, values and targets.
    pub unit: Unit,
    /// The tier that measures it.
    pub tier: Tier,
    /// What the requirement asks, in `unit`.
    pub target: Target,
    /// How it is measured, in one line.
    pub method: &'static str,
}

impl Metric {
    /// Whether it is kept in `run.json` beside the requirement's 26, never in `bench_metrics.json`.
    pub const fn extra(&self) -> bool {
        self.id.as_bytes()[0] == b'X'
    }

    /// The part of the name before the slash.
    pub fn category(&self) -> &'static str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// What its value is in JSON.
    pub const fn kind(&self) -> Kind {
        match self.unit {
            Unit::Bytes | Unit::Count | Unit::RequestsPerSecond => Kind::Integer,
            Unit::Milliseconds | Unit::Microseconds | Unit::Percent => Kind::Float,
            Unit::String => Kind::Text,
            Unit::Bool => Kind::Boolean,
        }
    }

    /// Whether values below 0 are possible: of a difference of two measured values they are.
    pub fn may_be_negative(&self) -> bool {
        self.category() == "overhead"
    }
}

/// The requirement's three tiers (§5.1 to §5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Tier {
    /// Must have.
    One,
    /// Should have.
    Two,
    /// Nice to have.
    Three,
}

impl Tier {
    /// All tiers, in order.
    pub const ALL: [Self; 3] = [Self::One, Self::Two, Self::Three];

    /// The tier's number, 1 to 3.
    pub fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Three => 3,
        }
    }
}

impl From<Tier> for u8 {
    fn from(tier: Tier) -> Self {
        tier.number()
    }
}

impl TryFrom<u8> for Tier {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|tier| tier.number() == number)
            .ok_or_else(|| format!("there is no tier {number}: tiers are 1, 2 and 3"))
    }
}

/// Base units. Scaling for people is the report's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Percent; CPU is in percent of one core.
    Percent,
    /// Requests per second.
    RequestsPerSecond,
    /// A number of things.
    Count,
    /// Free text.
    String,
    /// True or false.
    Bool,
}

impl Unit {
    /// The unit as the requirement spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Milliseconds => "ms",
            Self::Microseconds => "µs",
            Self::Percent => "%",
            Self::RequestsPerSecond => "req/s",
            Self::Count => "count",
            Self::String => "string",
            Self::Bool => "bool",
        }
    }
}

/// What the requirement asks of a value, in the metric's base unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// Nothing is asked.
    None,
    /// Strictly below.
    Below(f64),
    /// At most.
    AtMost(f64),
    /// Strictly above.
    Above(f64),
    /// Exactly this text.
    Text(&'static str),
    /// Exactly this truth value.
    Boolean(bool),
}

/// What a value is in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Integer,
    /// A number with a fraction.
    Float,
    /// A string.
    Text,
    /// `true` or `false`.
    Boolean,
}

/// The row called `name`, for names that come from a file.
pub fn find(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

/// The rows of one tier, in the order of the catalogue.
pub fn of_tier(tier: Tier) -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().filter(move |metric| metric.tier == tier)
}

#[cfg(test)]
mod tests;
