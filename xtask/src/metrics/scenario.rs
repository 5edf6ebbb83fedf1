//! Scenarios: each sets up its programs and measures several metrics, possibly of several tiers.
//!
//! A scenario reports those of its metrics that were asked for and have no outcome yet, so a run of
//! all tiers makes each scenario once. It never fails: an error becomes the outcome of its metrics.

pub mod approval;
pub mod block;
pub mod closed;
pub mod constrained;
pub mod evaluation;
mod files;
pub mod idle;
pub mod image;
pub mod instructions;
pub mod latency;
pub mod packed;
pub mod planned;
pub mod reload;
pub mod size;
pub mod starts;
pub mod test_bed;
pub mod throughput;

use std::time::Duration;

use anyhow::Context as _;

use crate::tools::k6::K6;
use crate::tools::unavailable::Unavailable;

use super::catalog::{Metric, names};
use super::context::Context;
use super::recorder::{Recorder, ends_the_run};
use super::subject::Subject;
use test_bed::TestBed;

pub use files::SubjectFiles;

/// Starts the subject once: a binary that does not start is refused before anything is measured.
pub fn probe(context: &Context<'_>, subject: &Subject) -> anyhow::Result<()> {
    // With the real configuration and policies: a binary that refuses them cannot be measured either.
    let files = SubjectFiles::write()?;
    let started = TestBed::start(context, subject, &files, Duration::ZERO);
    started
        .map(drop)
        .with_context(|| format!("`{}` cannot be measured", subject.file().path))
}

/// Finds k6, and records its version in the run.
pub fn k6(context: &Context<'_>, recorder: &mut Recorder) -> anyhow::Result<K6> {
    let k6 = K6::find(&context.tools_dir)?;
    recorder.tool("k6", k6.version());
    Ok(k6)
}

/// Runs `measure` if any of `metrics` is still pending. Its error becomes the outcome of those that
/// are pending then: skipped when a tool is missing, else failed. Only an interruption and a failed
/// save end the run.
pub fn attempt(
    context: &Context<'_>,
    recorder: &mut Recorder,
    metrics: &[&'static Metric],
    measure: impl FnOnce(&mut Recorder) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let pending = |recorder: &Recorder| -> Vec<&'static Metric> {
        let metrics = metrics.iter().copied();
        metrics.filter(|metric| recorder.pending(metric)).collect()
    };
    if pending(recorder).is_empty() {
        return Ok(());
    }
    // Nothing is marked here on success: the block runner has given each metric its outcome.
    let Err(error) = measure(recorder) else {
        return Ok(());
    };
    if ends_the_run(&error) {
        return Err(error);
    }
    // Asked again: some metrics may have got a value before the error, and keep it.
    let left = pending(recorder);
    if !left.is_empty() {
        let line = format!("warning: {} could not be measured: {error:#}", names(&left));
        context.progress.line(&line);
    }
    for metric in left {
        match error.downcast_ref::<Unavailable>() {
            Some(unavailable) => recorder.skip(metric, &unavailable.reason, unavailable.hint)?,
            None => recorder.fail(metric, &error)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::catalog::METRICS;
    use super::*;

    #[test]
    fn every_metric_of_the_catalogue_is_in_the_table_of_one_scenario() {
        let mut names: Vec<&str> = [
            approval::metrics(),
            constrained::metrics(),
            evaluation::metrics(),
            idle::metrics(),
            image::metrics(),
            instructions::metrics(),
            latency::metrics(),
            reload::metrics(),
            size::metrics(),
            starts::metrics(),
            throughput::metrics(),
        ]
        .iter()
        .flatten()
        .map(|metric| metric.name)
        .collect();
        names.sort_unstable();
        let mut all: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
        all.sort_unstable();
        assert_eq!(names, all);
    }
}
