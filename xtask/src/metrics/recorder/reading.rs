//! The reading of one metric in one block: a value, or the reason why there is none. Never 0 in place
//! of nothing.

use super::super::model::Value;
use super::super::stats;
use crate::tools::unavailable::Unavailable;

/// A value, or why this one figure could not be read.
pub type Reading = Result<Measure, Missing>;

/// A value in the metric's base unit, and the number of observations behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    pub value: Value,
    /// Number of requests, starts or evaluations that the value is a percentile, rate or mean of.
    pub n: u64,
}

/// The reason why a figure could not be read, while others of its block could.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The error, with its causes.
    pub reason: String,
    /// A way to get the figure; none where the cause is a fault.
    pub hint: Option<&'static str>,
}

/// The reading of a number that was made of `n` observations.
#[expect(
    clippy::unnecessary_wraps,
    reason = "a column of a scenario's table, beside readings that can fail"
)]
pub fn number(value: f64, n: u64) -> Reading {
    Ok(Measure {
        value: Value::Float(value),
        n,
    })
}

/// The median of what a block repeated in one process: a block gives one value per metric.
pub fn median(repetitions: &[f64]) -> Reading {
    let n = repetitions.len() as u64;
    let median = stats::median(repetitions).ok_or_else(|| Missing {
        reason: "the block has no repetition".to_owned(),
        hint: None,
    });
    number(median?, n)
}

impl Missing {
    /// The reading of a figure that was left out because nobody asked for it and it costs time.
    pub fn unwanted() -> Missing {
        Missing {
            reason: "not asked for".to_owned(),
            hint: None,
        }
    }
}

impl From<anyhow::Error> for Missing {
    fn from(error: anyhow::Error) -> Missing {
        match error.downcast_ref::<Unavailable>() {
            // A missing tool becomes a skip with a hint; any other error is a failure.
            Some(unavailable) => Missing {
                reason: unavailable.reason.clone(),
                hint: Some(unavailable.hint),
            },
            None => Missing {
                reason: format!("{error:#}"),
                hint: None,
            },
        }
    }
}

impl From<&str> for Measure {
    fn from(text: &str) -> Measure {
        Measure {
            value: Value::Text(text.to_owned()),
            n: 1,
        }
    }
}

impl From<bool> for Measure {
    fn from(truth: bool) -> Measure {
        Measure {
            value: Value::Boolean(truth),
            n: 1,
        }
    }
}
