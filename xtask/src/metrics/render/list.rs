//! The catalogue, as a table for people and as JSON for programs.

use serde::Serialize;

use super::{number, table};
use crate::metrics::catalog::{METRICS, Metric, Target, Tier};
use crate::metrics::model::Value;

#[derive(Serialize)]
struct Entry {
    id: &'static str,
    name: &'static str,
    unit: &'static str,
    target: Option<Condition>,
    tier: u8,
    extra: bool,
    method: &'static str,
}

/// A target in the base unit.
#[derive(Serialize)]
struct Condition {
    operator: &'static str,
    value: Value,
}

/// The catalogue as a table, tier by tier.
pub fn render() -> String {
    let mut table = table::empty(&["id", "name", "unit", "target", "tier", "how it is measured"]);
    for metric in by_tier() {
        table.add_row([
            metric.id,
            metric.name,
            metric.unit.name(),
            &number::target(metric.unit, metric.target),
            &metric.tier.number().to_string(),
            metric.method,
        ]);
    }
    table::finish(&table)
}

/// The catalogue as a JSON array, tier by tier, ending in a newline. `target` has the operator and
/// the limit in the base unit, or is null.
pub fn render_json() -> String {
    let entries: Vec<Entry> = by_tier().map(entry).collect();
    let mut text = serde_json::to_string_pretty(&entries).expect("the catalogue is plain data");
    text.push('\n');
    text
}

fn entry(metric: &Metric) -> Entry {
    Entry {
        id: metric.id,
        name: metric.name,
        unit: metric.unit.name(),
        target: condition(metric.target),
        tier: metric.tier.number(),
        extra: metric.extra(),
        method: metric.method,
    }
}

fn condition(target: Target) -> Option<Condition> {
    let (operator, value) = match target {
        Target::None => return None,
        Target::Below(limit) => ("<", Value::Float(limit)),
        Target::AtMost(limit) => ("<=", Value::Float(limit)),
        Target::Above(limit) => (">", Value::Float(limit)),
        Target::Text(text) => ("==", Value::Text(text.to_owned())),
        Target::Boolean(truth) => ("==", Value::Boolean(truth)),
    };
    Some(Condition { operator, value })
}

fn by_tier() -> impl Iterator<Item = &'static Metric> {
    Tier::ALL
        .into_iter()
        .flat_map(|tier| METRICS.iter().filter(move |metric| metric.tier == tier))
}
