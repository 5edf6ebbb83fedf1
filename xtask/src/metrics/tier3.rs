//! Tier 3 of the requirement's metrics: the image, reloads, approvals.

use super::context::Context;
use super::recorder::Recorder;
use super::scenario::{evaluation, image, reload, starts};

/// Measures what the recorder wants of this tier.
pub fn collect(context: &mut Context<'_>, recorder: &mut Recorder) -> anyhow::Result<()> {
    let quick = context.quick;
    context
        .progress
        .plan(reload::planned_seconds(quick) + image::planned_seconds());
    starts::collect(context, recorder)?;
    reload::collect(context, recorder)?;
    evaluation::collect(context, recorder)?;
    image::collect(context, recorder)
}
