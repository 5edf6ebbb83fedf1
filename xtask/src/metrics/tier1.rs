//! Tier 1 of the requirement's metrics: the claims on size, memory, latency, throughput and
//! overhead.

use super::context::Context;
use super::recorder::Recorder;
use super::scenario::{idle, latency, size, throughput};
use super::subject::Subject;

pub fn collect(
    context: &Context<'_>,
    subject: &Subject,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    size::collect(context, subject, recorder)?;
    idle::collect(context, subject, recorder)?;
    latency::collect(context, subject, recorder)?;
    throughput::collect(context, subject, recorder)
}
