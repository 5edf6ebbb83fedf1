//! The tables of a run: one row a line, so that a file of thousands can be read, compared by line and
//! cut out with usual tools.

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
    /// Which of the joined runs it is of, from 0.
    pub session: usize,
    /// The block of its scenario, from 0. What was measured together has the same number.
    pub block: usize,
    /// Which program was measured: the name of an arm in the header.
    pub arm: String,
    /// Its place in the order in which the programs of the block were started, from 0.
    pub order: usize,
    /// The catalogue's name.
    pub metric: String,
    /// In the base unit; none when the block has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// How many observations it is made of; none when that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    /// Milliseconds since the epoch when the block began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<u64>,
    /// Percent of the CPU time that the hypervisor gave to others meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal: Option<f64>,
    /// Percent of the CPU time that other programs of the machine took meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<f64>,
    /// Percent of the time in which some task of the machine waited for a CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psi: Option<f64>,
    /// Whether it counts.
    pub state: State,
    /// Why it does not, or what disturbed it.
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
    /// The block's answers were wrong, or its counts disagree.
    Void,
    /// This one figure could not be read in the block.
    Unmeasured,
}

/// How many samples there are of each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Part of the value.
    pub counted: usize,
    /// Disturbed, and not part of it.
    pub noisy: usize,
    /// Void.
    pub void: usize,
    /// Not read.
    pub unmeasured: usize,
}

impl Tally {
    /// Counts rows.
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

/// What the tools printed in one block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawData {
    /// As in [`Sample`].
    pub session: usize,
    /// The scenario, such as `latency`.
    pub scenario: String,
    /// As in [`Sample`].
    pub block: usize,
    /// By tool.
    pub data: Json,
}

/// Writes each row on a line of its own, however the rest is laid out.
pub(super) fn one_a_line<S: Serializer, T: Serialize>(
    rows: &[T],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut lines = serializer.serialize_seq(Some(rows.len()))?;
    for row in rows {
        let line = serde_json::to_string(row).and_then(RawValue::from_string);
        lines.serialize_element(&line.map_err(S::Error::custom)?)?;
    }
    lines.end()
}
