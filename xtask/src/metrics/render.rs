//! Reports: a run in, text out. A report names what it leaves out.
//!
//! Deliberately absent: IO, clocks and terminals.

pub mod array;
pub mod badge;
pub mod bmf;
pub mod check;
pub mod claims;
pub mod comment;
pub mod comparison;
#[cfg(test)]
pub(crate) mod fixture;
pub mod history;
pub mod list;
pub mod markdown;
pub mod notes;
pub mod number;
pub mod page;
pub mod table;
pub mod warnings;

use super::catalog::{self, Metric};
use super::model::{Record, Run};

/// The records of a run with their rows of the catalogue. An unknown record is left out: `Run::parse`
/// refuses unknown metrics.
fn rows(run: &Run) -> impl Iterator<Item = (&'static Metric, &Record)> {
    run.metrics
        .iter()
        .filter_map(|record| Some((catalog::find(&record.name)?, record)))
}

#[cfg(test)]
mod tests;
