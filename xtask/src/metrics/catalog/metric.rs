//! The columns of the catalogue: a metric, with its unit, tier, target and kind of value.
//!
//! Deliberately absent: the rows, and values. Only reports scale a unit.

use serde::{Deserialize, Serialize};

/// One row of the catalogue. Code refers to rows by constant and not by name, so that a misspelt metric
/// does not compile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// The requirement's id, such as `M-LAT-001`; `X-…` for the extras.
    pub id: &'static str,
    /// `{category}/{metric_name}`: the key in every file and report.
    pub name: &'static str,
    /// The base unit of samples, values and targets.
    pub unit: Unit,
    pub tier: Tier,
    /// The requirement's limit, in `unit`.
    pub target: Target,
    /// The way in which it is measured: one line, which `metrics list` prints.
    pub method: &'static str,
}

impl Metric {
    /// Whether the metric is additional to the requirement's 26: kept in `run.json`, never in
    /// `bench_metrics.json`.
    pub const fn extra(&self) -> bool {
        // By its byte, since `str::starts_with` is not a const function.
        self.id.as_bytes()[0] == b'X'
    }

    /// The part of the name before the slash.
    pub fn category(&self) -> &'static str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// JSON type of its values.
    pub const fn kind(&self) -> Kind {
        match self.unit {
            Unit::Bytes | Unit::Count | Unit::RequestsPerSecond => Kind::Integer,
            Unit::Milliseconds | Unit::Microseconds | Unit::Percent => Kind::Float,
            Unit::String => Kind::Text,
            Unit::Bool => Kind::Boolean,
        }
    }

    /// Whether values below 0 are possible: only for an overhead, which is the difference of two
    /// measured values.
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
    pub const ALL: [Self; 3] = [Self::One, Self::Two, Self::Three];

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

/// A number that no tier has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid tier {0}: expected 1, 2 or 3")]
pub struct UnknownTier(u8);

impl TryFrom<u8> for Tier {
    type Error = UnknownTier;

    fn try_from(number: u8) -> Result<Self, UnknownTier> {
        Self::ALL
            .into_iter()
            .find(|tier| tier.number() == number)
            .ok_or(UnknownTier(number))
    }
}

/// Base units of samples, values and targets. Only reports scale them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Milliseconds,
    Microseconds,
    /// CPU is in percent of one core.
    Percent,
    RequestsPerSecond,
    Count,
    String,
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

/// The requirement's limit for a value, in the metric's base unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    None,
    /// Strictly below.
    Below(f64),
    AtMost(f64),
    /// Strictly above.
    Above(f64),
    Text(&'static str),
    Boolean(bool),
}

/// JSON type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Integer,
    Float,
    Text,
    Boolean,
}
