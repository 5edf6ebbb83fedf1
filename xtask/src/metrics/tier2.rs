//! Tier 2 of the requirement's metrics: starts, evaluations, and what a small machine has to offer.

use super::context::Context;
use super::recorder::Recorder;
use super::scenario::{evaluation, starts};

/// Measures what the recorder wants of this tier.
pub fn collect(context: &mut Context<'_>, recorder: &mut Recorder) -> anyhow::Result<()> {
    let quick = context.quick;
    context
        .progress
        .plan(starts::planned_seconds(quick) + evaluation::planned_seconds(quick));
    starts::collect(context, recorder)?;
    evaluation::collect(context, recorder)
}
