//! Tier 3 of the requirement's metrics: the peak under load, the image, reloads, approvals.

use super::context::Context;
use super::recorder::Recorder;
use super::scenario::{approval, evaluation, image, latency, reload, starts};

/// Measures what the recorder wants of this tier.
pub fn collect(context: &Context<'_>, recorder: &mut Recorder) -> anyhow::Result<()> {
    starts::collect(context, recorder)?;
    latency::collect(context, recorder)?;
    reload::collect(context, recorder)?;
    evaluation::collect(context, recorder)?;
    image::collect(context, recorder)?;
    approval::collect(context, recorder)
}
