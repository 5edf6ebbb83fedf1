//! The result of one block: void, or measured, with what the figures of a scenario's table are read from.
//!
//! Does not decide whether a block counts.

use serde_json::Value as Json;

use crate::metrics::catalog::Metric;
use crate::metrics::recorder::{Histogram, Reading};

/// A metric, and the function that reads its figure from the result of a block. A scenario's table of
/// them is both the list of its metrics and all that it reports.
pub type Figure<T> = (&'static Metric, fn(&T) -> Reading);

/// The result of one block.
#[derive(Debug)]
pub enum Block<T> {
    Measured(Measured<T>),
    /// No value may be counted, for this reason.
    Void(String),
}

/// Measurements of one block.
#[derive(Debug)]
pub struct Measured<T> {
    pub(super) figures: T,
    pub(super) distributions: Vec<(&'static str, Histogram)>,
    pub(super) raw: Json,
    pub(super) noise: Option<String>,
}

impl<T> Measured<T> {
    /// `raw` is the output of the tools; it is kept with the run.
    pub fn new(figures: T, raw: Json) -> Measured<T> {
        Measured {
            figures,
            distributions: Vec::new(),
            raw,
            noise: None,
        }
    }

    /// Marks the block as noisy when its programs waited for a CPU more than `limit` seconds per second
    /// of CPU time: other programs had the cores, or a quota was used up.
    pub fn unless_starved(self, waited_per_run: Option<f64>, limit: f64) -> Measured<T> {
        let starved = waited_per_run.filter(|waited| *waited > limit);
        self.unless(starved.map(|waited| {
            format!("the proxy waited {waited:.1} s for a CPU per second of CPU time")
        }))
    }

    /// Marks the block as noisy for the reason `noise`, when there is one.
    pub fn unless(self, noise: Option<String>) -> Measured<T> {
        Measured { noise, ..self }
    }

    /// Keeps the distributions of times behind percentiles, by category of metrics.
    pub fn with_times(
        self,
        distributions: impl Into<Vec<(&'static str, Histogram)>>,
    ) -> Measured<T> {
        Measured {
            distributions: distributions.into(),
            ..self
        }
    }
}
