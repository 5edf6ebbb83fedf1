//! `bench_metrics.json`: exactly the flat array of the requirement's §8.1. Names, units and number types
//! are the catalogue's; a metric that was not measured is absent.
//!
//! Deliberately absent: the extras and any mark of the run (quick, noisy, host). The format
//! has no place for them; they are in `run.json`.

use serde::Serialize;

use crate::metrics::catalog::Metric;
use crate::metrics::model::{Run, Value};

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    value: &'a Value,
    unit: &'a str,
}

/// The array of the measured values of a run.
pub fn render(run: &Run) -> String {
    render_values(
        run.rows()
            .filter_map(|(metric, record)| Some((metric, record.value()?))),
    )
}

/// The array of these values, one entry per line as in the requirement, ending in a newline.
pub fn render_values<'a>(values: impl Iterator<Item = (&'static Metric, &'a Value)>) -> String {
    let entries: Vec<String> = values
        .filter(|(metric, _)| !metric.extra())
        .map(|(metric, value)| Entry {
            name: metric.name,
            value,
            unit: metric.unit.name(),
        })
        .map(|entry| serde_json::to_string(&entry).expect("an entry is plain data"))
        .collect();
    // An empty list would otherwise have an empty line in its brackets.
    if entries.is_empty() {
        return "[]\n".to_owned();
    }
    format!("[\n  {}\n]\n", entries.join(",\n  "))
}
