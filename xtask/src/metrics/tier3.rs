//! Tier 3 of the requirement's metrics: the peak under load, the image, reloads, approvals.

use super::context::Context;
use super::recorder::Recorder;
use super::scenario::{approval, evaluation, image, latency, reload, starts};
use super::subject::Subject;

pub fn collect(
    context: &Context<'_>,
    subject: &Subject,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    starts::collect(context, subject, recorder)?;
    latency::collect(context, subject, recorder)?;
    reload::collect(context, subject, recorder)?;
    evaluation::collect(context, subject, recorder)?;
    image::collect(context, subject, recorder)?;
    approval::collect(context, subject, recorder)
}
