//! Tier 1 of the requirement's metrics: the claims on size, memory, latency, throughput and
//! overhead.

use anyhow::Context as _;

use super::context::Context;
use super::recorder::Recorder;
use super::scenario::{attempt, idle, latency, throughput};

const SIZE: &str = "binary/size";

/// Measures what the recorder wants of this tier.
pub fn collect(context: &Context<'_>, recorder: &mut Recorder) -> anyhow::Result<()> {
    attempt(context, recorder, &[SIZE], |recorder| {
        size(context, recorder)
    })?;
    idle::collect(context, recorder)?;
    latency::collect(context, recorder)?;
    throughput::collect(context, recorder)
}

fn size(context: &Context<'_>, recorder: &mut Recorder) -> anyhow::Result<()> {
    let binary = &context.binary;
    let file = std::fs::metadata(binary)
        .with_context(|| format!("failed to look at `{}`", binary.display()))?;
    recorder.sample(SIZE, file.len() as f64)
}
