//! The size of the executable.

use serde_json::Value as Json;

use super::super::catalog::{BINARY_SIZE, Metric};
use super::super::context::Context;
use super::super::recorder::{Recorder, number};
use super::super::subject::Subject;
use super::attempt;
use super::block::{self, Block, Figure, Measured, Plan};

/// Read from the length in bytes.
const FIGURES: &[Figure<u64>] = &[(&BINARY_SIZE, |bytes| number(*bytes as f64, 1))];

pub fn metrics() -> Vec<&'static Metric> {
    block::metrics(FIGURES)
}

pub fn collect(
    context: &Context<'_>,
    subject: &Subject,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    attempt(context, recorder, &metrics(), |recorder| {
        let plan = Plan::new("size", 1, 0.0).deterministic();
        block::run(context, subject, recorder, FIGURES, &plan, &mut |_| {
            Ok(Block::Measured(Measured::new(subject.length, Json::Null)))
        })?;
        Ok(())
    })
}
