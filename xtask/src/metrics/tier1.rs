//! Tier 1 of the requirement's metrics.

use super::context::Context;
use super::recorder::Recorder;

/// Measures what the recorder wants of this tier.
pub fn collect(_context: &mut Context<'_>, _recorder: &mut Recorder) -> anyhow::Result<()> {
    Ok(())
}
