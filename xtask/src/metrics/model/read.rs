//! The reader of `run.json`: the result is a run that fits the catalogue, or an error with the place
//! and the reason.

use serde::Deserialize;

use super::{Outcome, Run, SCHEMA, Value, schema1};
use crate::metrics::catalog::{self, Kind, Metric};

/// The error of a text that is not a run.
#[derive(Debug)]
pub enum ReadError {
    /// Not JSON, cut short, or of another shape; the message has line and column.
    Shape(serde_json::Error),
    /// Written by another version of this program.
    Schema(u64),
    /// Of the right shape, with a content that is impossible.
    Content(String),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shape(error) => write!(formatter, "not a run: {error}"),
            Self::Schema(found) => write!(
                formatter,
                "run schema {found}, but this program reads 1 to {SCHEMA}: \
                 measure again with `cargo xtask metrics`"
            ),
            Self::Content(fault) => formatter.write_str(fault),
        }
    }
}

impl std::error::Error for ReadError {}

impl Run {
    /// Reads the text of a `run.json`, of this schema or of schema 1.
    pub fn parse(text: &str) -> Result<Self, ReadError> {
        #[derive(Deserialize)]
        struct Probe {
            schema: u64,
        }
        let probe: Probe = serde_json::from_str(text).map_err(ReadError::Shape)?;
        let run = match probe.schema {
            1 => schema1::parse(text).map_err(ReadError::Shape)?,
            schema if schema == u64::from(SCHEMA) => {
                serde_json::from_str(text).map_err(ReadError::Shape)?
            }
            other => return Err(ReadError::Schema(other)),
        };
        check(&run).map_err(ReadError::Content)?;
        Ok(run)
    }
}

/// Checks the rules that the types of the fields do not express.
fn check(run: &Run) -> Result<(), String> {
    for (index, record) in run.metrics.iter().enumerate() {
        let metric = known(&record.name)?;
        if run.metrics[..index]
            .iter()
            .any(|other| other.name == record.name)
        {
            return Err(format!("duplicate metric `{}`", record.name));
        }
        if let Outcome::Measured { value, .. } = &record.outcome {
            check_kind(metric, value)?;
        }
    }
    for row in &run.samples {
        let metric = known(&row.metric)?;
        if let Some(value) = &row.value {
            check_sample(metric, value)?;
        }
    }
    Ok(())
}

/// The row of the catalogue with this name.
pub fn known(name: &str) -> Result<&'static Metric, String> {
    catalog::find(name).ok_or_else(|| {
        format!("unknown metric `{name}`: `cargo xtask metrics list` prints all of them")
    })
}

/// Refuses a value that the metric cannot have.
pub fn check_kind(metric: &Metric, value: &Value) -> Result<(), String> {
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
pub fn check_sample(metric: &Metric, value: &Value) -> Result<(), String> {
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

fn refuse_unless(fits: bool, metric: &Metric, value: &Value) -> Result<(), String> {
    if fits {
        return Ok(());
    }
    let expected = describe(metric.kind());
    Err(format!(
        "the value of `{}` is {value:?}, but must be {expected}",
        metric.name
    ))
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
