//! The catalogue of metrics: id, name, unit, target and method of each. Everything else (flags, reports,
//! files, verdicts) is derived from this table.
//!
//! Deliberately absent: values, samples, files and processes. Ids and names are never changed: runs and
//! histories are keyed by the names.
//!
//! Units: a target is stated in the metric's own base unit. The requirement's "MB" is read as
//! 10^6 bytes, so "< 15 MB" is 15 000 000 bytes: of the two readings the stricter one, and the
//! one that reports print.
//!
//! Order: that of the array in the requirement's §8.1. The two metrics which that example leaves
//! out follow their category; the extras come last.

pub use metric::{Kind, Metric, Target, Tier, Unit};
pub use table::*;

mod metric;
mod table;
pub mod threshold;

/// A name that no row of the catalogue has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown metric `{0}`: `cargo xtask metrics list` prints all of them")]
pub struct UnknownMetric(String);

/// The row called `name`, for names that come from a file.
pub fn find(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

/// The same, for a name that must be known.
pub fn known(name: &str) -> Result<&'static Metric, UnknownMetric> {
    find(name).ok_or_else(|| UnknownMetric(name.to_owned()))
}

/// The rows of one tier, in the order of the catalogue.
pub fn of_tier(tier: Tier) -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().filter(move |metric| metric.tier == tier)
}

/// The names of metrics, as a message shows them.
pub fn names(metrics: &[&'static Metric]) -> String {
    let names: Vec<String> = metrics
        .iter()
        .map(|metric| format!("`{}`", metric.name))
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
