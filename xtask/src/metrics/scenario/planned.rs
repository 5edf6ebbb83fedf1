//! The planned time of a run.
//!
//! A file of its own, since it names all scenarios, and they use `scenario.rs`.

use super::{
    approval, constrained, evaluation, idle, image, instructions, latency, reload, starts,
    throughput,
};
use crate::metrics::recorder::Recorder;

/// Planned seconds of all scenarios that have a pending metric, without builds.
pub fn seconds(quick: bool, recorder: &Recorder) -> f64 {
    // Without `size`, which takes no time.
    let scenarios = [
        idle::planned_seconds,
        latency::planned_seconds,
        throughput::planned_seconds,
        starts::planned_seconds,
        evaluation::planned_seconds,
        instructions::planned_seconds,
        constrained::planned_seconds,
        reload::planned_seconds,
        image::planned_seconds,
        approval::planned_seconds,
    ];
    let seconds = scenarios
        .iter()
        .map(|seconds_of| seconds_of(quick, recorder));
    seconds.sum()
}
