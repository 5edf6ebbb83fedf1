//! The reader of `run.json`: the result is a run that fits the catalogue, or an error with the place
//! and the reason.

use serde::Deserialize;

use super::{Outcome, Run, SCHEMA, Value, schema1};
use crate::metrics::catalog::{self, Kind, Metric, UnknownMetric};

/// The error of a text that is not a run.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not JSON, cut short, or of another shape; the cause has line and column.
    #[error("not a run")]
    Shape(#[from] serde_json::Error),
    /// Written by another version of this program.
    #[error(
        "run schema {0}, but this program reads 1 to {SCHEMA}: \
         measure again with `cargo xtask metrics`"
    )]
    Schema(u64),
    #[error(transparent)]
    Unknown(#[from] UnknownMetric),
    #[error("duplicate metric `{0}`")]
    Duplicate(&'static str),
    #[error(transparent)]
    Value(#[from] WrongValue),
}

/// A value that its metric cannot have.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the value of `{metric}` is {value:?}, but must be {}", describe(*.kind))]
pub struct WrongValue {
    metric: &'static str,
    kind: Kind,
    value: Value,
}

impl Run {
    /// Reads the text of a `run.json`, of this schema or of schema 1.
    pub fn parse(text: &str) -> Result<Self, ReadError> {
        #[derive(Deserialize)]
        struct Probe {
            schema: u64,
        }
        // The schema first: a newer run fails with its number, and not with the first unknown field.
        let probe: Probe = serde_json::from_str(text)?;
        let run = match probe.schema {
            1 => schema1::parse(text)?,
            schema if schema == u64::from(SCHEMA) => serde_json::from_str(text)?,
            // Not read at all: what an unknown schema means can only be guessed.
            other => return Err(ReadError::Schema(other)),
        };
        check(&run)?;
        Ok(run)
    }
}

/// Checks the rules that the types of the fields do not express.
fn check(run: &Run) -> Result<(), ReadError> {
    for (index, record) in run.metrics.iter().enumerate() {
        let metric = catalog::known(&record.name)?;
        if run.metrics[..index]
            .iter()
            .any(|other| other.name == record.name)
        {
            return Err(ReadError::Duplicate(metric.name));
        }
        if let Outcome::Measured { value, .. } = &record.outcome {
            check_kind(metric, value)?;
        }
    }
    // Samples too, since verdicts are derived from them and the file may come from a stranger.
    for row in &run.samples {
        let metric = catalog::known(&row.metric)?;
        if let Some(value) = &row.value {
            check_sample(metric, value)?;
        }
    }
    Ok(())
}

/// Refuses a value that the metric cannot have.
pub fn check_kind(metric: &Metric, value: &Value) -> Result<(), WrongValue> {
    let fits = match value {
        // Other programs that write JSON may leave out the `.0`.
        Value::Integer(_) => matches!(metric.kind(), Kind::Integer | Kind::Float),
        Value::Float(number) => metric.kind() == Kind::Float && in_range(metric, *number),
        Value::Text(_) => metric.kind() == Kind::Text,
        Value::Boolean(_) => metric.kind() == Kind::Boolean,
    };
    refuse_unless(fits, metric, value)
}

/// The same for one block's value, which is not rounded yet.
pub fn check_sample(metric: &Metric, value: &Value) -> Result<(), WrongValue> {
    match value.number() {
        Some(number) => {
            let numeric = matches!(metric.kind(), Kind::Integer | Kind::Float);
            refuse_unless(numeric && in_range(metric, number), metric, value)
        }
        None => check_kind(metric, value),
    }
}

fn in_range(metric: &Metric, number: f64) -> bool {
    number.is_finite() && (number >= 0.0 || metric.may_be_negative())
}

fn refuse_unless(fits: bool, metric: &Metric, value: &Value) -> Result<(), WrongValue> {
    if fits {
        return Ok(());
    }
    Err(WrongValue {
        metric: metric.name,
        kind: metric.kind(),
        value: value.clone(),
    })
}

pub fn describe(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer => "a whole number of 0 or more",
        Kind::Float => "a number (negative only for an overhead)",
        Kind::Text => "a string",
        Kind::Boolean => "true or false",
    }
}

#[cfg(test)]
mod tests;
