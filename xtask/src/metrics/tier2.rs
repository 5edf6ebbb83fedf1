//! Tier 2 of the requirement's metrics: starts, load, evaluations, and a sidecar's limits.

use super::context::Context;
use super::recorder::Recorder;
use super::scenario::{constrained, evaluation, idle, instructions, latency, starts};
use super::subject::Subject;

pub fn collect(
    context: &Context<'_>,
    subject: &Subject,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    starts::collect(context, subject, recorder)?;
    idle::collect(context, subject, recorder)?;
    latency::collect(context, subject, recorder)?;
    evaluation::collect(context, subject, recorder)?;
    instructions::collect(context, subject, recorder)?;
    constrained::collect(context, subject, recorder)
}
