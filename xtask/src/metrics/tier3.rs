//! Tier 3 of the requirement's metrics: the peak under load, the image, reloads, approvals.

use super::context::Context;
use super::recorder::Recorder;
use super::scenario::{evaluation, image, latency, reload, starts};

const APPROVAL: &str = "approval/overhead";
const NOT_WIRED: &str = "this thoughtgate has no approval channel";
const NOT_WIRED_HINT: &str = "measure a version that can be configured with one";

/// Measures what the recorder wants of this tier.
pub fn collect(context: &Context<'_>, recorder: &mut Recorder) -> anyhow::Result<()> {
    starts::collect(context, recorder)?;
    latency::collect(context, recorder)?;
    reload::collect(context, recorder)?;
    evaluation::collect(context, recorder)?;
    image::collect(context, recorder)?;
    if recorder.pending(APPROVAL) {
        recorder.skip(APPROVAL, NOT_WIRED, NOT_WIRED_HINT)?;
    }
    Ok(())
}
