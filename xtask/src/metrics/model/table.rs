//! The tables of a run: one row per line, so that a file with thousands of rows can be read, compared
//! and cut with the usual tools.

use serde::ser::{Error as _, SerializeSeq as _};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::Value;
use crate::metrics::stats::Histogram;

/// One block's value of one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// The number of the run in a merged run, or of the session in a comparison, from 0.
    pub session: usize,
    /// The number of the block in its scenario, from 0. Figures that were measured together share it.
    pub block: usize,
    /// The program that was measured: the name of an arm in the header.
    pub arm: String,
    /// Its place in the order in which the programs of the block were started, from 0.
    pub order: usize,
    /// The catalogue's name.
    pub metric: String,
    /// In the base unit; none if the block gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// The number of observations behind the value; none if it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    /// Milliseconds since the epoch when the block began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<u64>,
    /// Percent of the CPU time that the hypervisor took for others meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal: Option<f64>,
    /// Percent of the CPU time that other programs of the machine took meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<f64>,
    /// Percent of the time in which some task of the machine waited for a CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psi: Option<f64>,
    pub state: State,
    /// The reason why it does not count, or its disturbance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether a sample counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Part of the metric's value.
    Counted,
    /// Measured on a disturbed machine, and repeated.
    Noisy,
    /// The answers of the block were wrong, or its counters disagree.
    Void,
    /// This one figure could not be read in the block.
    Unmeasured,
}

/// The number of samples in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub counted: usize,
    pub noisy: usize,
    pub void: usize,
    pub unmeasured: usize,
}

impl Tally {
    pub fn of<'a>(rows: impl Iterator<Item = &'a Sample>) -> Tally {
        rows.fold(Tally::default(), |mut tally, row| {
            let count = match row.state {
                State::Counted => &mut tally.counted,
                State::Noisy => &mut tally.noisy,
                State::Void => &mut tally.void,
                State::Unmeasured => &mut tally.unmeasured,
            };
            *count += 1;
            tally
        })
    }
}

/// All times of one kind in one block, from which its percentiles follow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    /// As in [`Sample`].
    pub session: usize,
    /// As in [`Sample`].
    pub block: usize,
    /// As in [`Sample`].
    pub arm: String,
    /// The category of the metrics that are percentiles of it, such as `latency`.
    pub of: String,
    /// Pairs of a time in the base unit of those metrics, and its count.
    pub buckets: Histogram,
}

/// The output of the tools in one block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawData {
    /// As in [`Sample`].
    pub session: usize,
    /// The scenario, such as `latency`.
    pub scenario: String,
    /// As in [`Sample`].
    pub block: usize,
    /// Output by tool.
    pub data: Json,
}

/// Writes each row on a line of its own, even if the rest is pretty-printed.
pub(super) fn one_a_line<S: Serializer, T: Serialize>(
    rows: &[T],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut lines = serializer.serialize_seq(Some(rows.len()))?;
    for row in rows {
        // A raw value is written as it is, so that the pretty printer does not break the line.
        let line = serde_json::to_string(row).and_then(RawValue::from_string);
        lines.serialize_element(&line.map_err(S::Error::custom)?)?;
    }
    lines.end()
}
