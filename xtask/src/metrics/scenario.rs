//! What is set up once and shows several metrics, perhaps of several tiers.
//!
//! A scenario reports those of its metrics that were asked for and have no outcome yet, so a run of
//! all tiers makes each once. It never fails: what goes wrong becomes the outcome of its metrics.

pub mod approval;
pub mod bench;
pub mod block;
pub mod closed;
pub mod constrained;
pub mod evaluation;
pub mod idle;
pub mod image;
pub mod instructions;
pub mod latency;
pub mod packed;
pub mod reload;
pub mod size;
pub mod starts;
pub mod throughput;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use crate::tools::k6::K6;
use crate::tools::scratch::Scratch;
use crate::tools::subject::{Setup, Upstream};
use crate::tools::unavailable::Unavailable;

use super::catalog::Metric;
use super::context::Context;
use super::recorder::{Recorder, ends_the_run};
use super::subject::Subject;
use bench::Bench;

/// The configuration and the ten policies that are measured, as files.
pub struct SubjectFiles {
    folder: Scratch,
}

impl SubjectFiles {
    /// Writes them to a folder that goes with the result.
    pub fn write() -> anyhow::Result<SubjectFiles> {
        SubjectFiles::write_with("", "")
    }

    /// Writes them with something added to either.
    pub fn write_with(config: &str, policies: &str) -> anyhow::Result<SubjectFiles> {
        let config = include_str!("../../subject/thoughtgate.yaml").to_owned() + config;
        let policies = include_str!("../../subject/policies.cedar").to_owned() + policies;
        SubjectFiles::of(&config, &policies)
    }

    /// Copies those of another checkout.
    pub fn copy(from: &Path) -> anyhow::Result<SubjectFiles> {
        let read = |name: &str| {
            let path = from.join(name);
            std::fs::read_to_string(&path)
                .with_context(|| format!("failed to read `{}`", path.display()))
        };
        SubjectFiles::of(&read("thoughtgate.yaml")?, &read("policies.cedar")?)
    }

    fn of(config: &str, policies: &str) -> anyhow::Result<SubjectFiles> {
        let folder = Scratch::new("the subject")?;
        // A container's user reads them too, whatever mode files are created with here.
        let open = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
                .with_context(|| format!("failed to open `{}` to all", path.display()))
        };
        open(folder.path(), 0o755)?;
        let files = SubjectFiles { folder };
        for (name, text) in [("thoughtgate.yaml", config), ("policies.cedar", policies)] {
            let path = files.folder.write(name, text)?;
            open(&path, 0o644)?;
        }
        Ok(files)
    }

    /// The command that starts a proxy with them, in front of `upstream`.
    pub fn setup(&self, subject: &Subject, upstream: &Upstream) -> Setup {
        Setup {
            binary: subject.binary.clone(),
            config: self.config(),
            policy: self.policy(),
            upstream: upstream.url(),
            slowdown: String::new(),
        }
    }

    /// The folder with both.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("thoughtgate.yaml")
    }

    /// The policies.
    pub fn policy(&self) -> PathBuf {
        self.folder.path().join("policies.cedar")
    }
}

/// Starts the subject once, to refuse what cannot be measured before anything is.
pub fn probe(context: &Context<'_>, subject: &Subject) -> anyhow::Result<()> {
    let files = SubjectFiles::write()?;
    let started = Bench::start(context, subject, &files, Duration::ZERO);
    started
        .map(drop)
        .with_context(|| format!("`{}` cannot be measured", subject.file().path))
}

/// k6; noted with the run.
pub fn k6(context: &Context<'_>, recorder: &mut Recorder) -> anyhow::Result<K6> {
    let k6 = K6::find(&context.tools_dir)?;
    recorder.tool("k6", k6.version());
    Ok(k6)
}

/// Seconds that all scenarios with a metric that is wanted take, builds left out.
pub fn planned_seconds(quick: bool, recorder: &Recorder) -> f64 {
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

/// The names of metrics in a message.
pub fn names(metrics: &[&'static Metric]) -> String {
    let names: Vec<String> = metrics
        .iter()
        .map(|metric| format!("`{}`", metric.name))
        .collect();
    names.join(", ")
}

/// Runs `measure` if any of `metrics` is still wanted; its error becomes their outcome: skipped
/// when a tool is not here, else failed. Only an interruption and a recorder that cannot save end
/// the run.
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
    let Err(error) = measure(recorder) else {
        return Ok(());
    };
    if ends_the_run(&error) {
        return Err(error);
    }
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
