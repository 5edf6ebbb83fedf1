//! Tier 2 of the requirement's metrics: starts, load, evaluations, and a sidecar's limits.

use super::context::Context;
use super::recorder::Recorder;
use super::scenario::{constrained, evaluation, idle, instructions, latency, starts};

/// Measures what the recorder wants of this tier.
pub fn collect(context: &Context<'_>, recorder: &mut Recorder) -> anyhow::Result<()> {
    starts::collect(context, recorder)?;
    idle::collect(context, recorder)?;
    latency::collect(context, recorder)?;
    evaluation::collect(context, recorder)?;
    instructions::collect(context, recorder)?;
    constrained::collect(context, recorder)
}
