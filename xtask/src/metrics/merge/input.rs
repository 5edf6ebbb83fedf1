//! The files to merge: runs or arrays, distinguished by their first character. An entry that does not
//! fit the catalogue is an error that names the file and the place in it.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::metrics::catalog::{self, Kind, Metric};
use crate::metrics::model::{Run, Value, check_kind, describe};
use crate::metrics::store;

/// A file to merge.
#[derive(Debug)]
pub enum Input {
    /// A `run.json`.
    Run(Box<Run>),
    /// A `bench_metrics.json`.
    Array(Vec<(&'static Metric, Value)>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    value: Json,
    unit: String,
}

pub fn read(path: &Path) -> anyhow::Result<Input> {
    parse(&store::read(path)?).with_context(|| format!("failed to read `{}`", path.display()))
}

pub fn parse(text: &str) -> anyhow::Result<Input> {
    // By its content, since a file may have any name.
    match text.trim_start().chars().next() {
        Some('[') => parse_array(text).map(Input::Array),
        Some('{') => {
            let run = Run::parse(text)?;
            Ok(Input::Run(Box::new(run)))
        }
        Some(_) => bail!("neither a run ({{…}}) nor an array of results ([…]): line 1 column 1"),
        None => bail!("the file is empty: the job that wrote it did not finish"),
    }
}

fn parse_array(text: &str) -> anyhow::Result<Vec<(&'static Metric, Value)>> {
    let entries: Vec<Entry> = serde_json::from_str(text).context("not an array of results")?;
    let values = entries.into_iter().enumerate().map(|(index, entry)| {
        parse_entry(&entry).with_context(|| format!("entry {} (`{}`)", index + 1, entry.name))
    });
    values.collect()
}

fn parse_entry(entry: &Entry) -> anyhow::Result<(&'static Metric, Value)> {
    let metric = catalog::known(&entry.name)?;
    let unit = metric.unit.name();
    ensure!(
        entry.unit == unit,
        "the unit is `{}`, but must be `{unit}`",
        entry.unit
    );
    let value = match (metric.kind(), &entry.value) {
        (Kind::Integer, Json::Number(number)) => number.as_u64().map(Value::Integer),
        (Kind::Float, Json::Number(number)) => number.as_f64().map(Value::Float),
        (Kind::Text, Json::String(text)) => Some(Value::Text(text.clone())),
        (Kind::Boolean, Json::Bool(truth)) => Some(Value::Boolean(*truth)),
        _ => None,
    };
    let Some(value) = value else {
        bail!(
            "the value is {}, but must be {}",
            entry.value,
            describe(metric.kind())
        );
    };
    // Also its range: a number of the right kind can be negative.
    check_kind(metric, &value)?;
    Ok((metric, value))
}
