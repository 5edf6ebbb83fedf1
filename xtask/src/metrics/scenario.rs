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
pub mod starts;
pub mod throughput;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::tools::k6::K6;
use crate::tools::scratch::Scratch;
use crate::tools::subject::{Setup, Upstream};
use crate::tools::unavailable::Unavailable;

use super::context::Context;
use super::recorder::{Recorder, ends_the_run};

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
        let folder = Scratch::new("the subject")?;
        // A container's user reads them too, whatever mode files are created with here.
        let open = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
                .with_context(|| format!("failed to open `{}` to all", path.display()))
        };
        open(folder.path(), 0o755)?;
        let files = SubjectFiles { folder };
        let config = include_str!("../../subject/thoughtgate.yaml").to_owned() + config;
        let policies = include_str!("../../subject/policies.cedar").to_owned() + policies;
        for (name, text) in [("thoughtgate.yaml", config), ("policies.cedar", policies)] {
            let path = files.folder.write(name, &text)?;
            open(&path, 0o644)?;
        }
        Ok(files)
    }

    /// What starts the measured proxy with them, in front of `upstream`.
    pub fn setup(&self, context: &Context<'_>, upstream: &Upstream) -> Setup {
        Setup {
            binary: context.binary.clone(),
            config: self.config(),
            policy: self.policy(),
            upstream: upstream.url(),
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

/// `seconds`, when any of `metrics` is still wanted.
pub fn seconds_if_wanted(metrics: &[&str], recorder: &Recorder, seconds: f64) -> f64 {
    let wanted = metrics.iter().any(|metric| recorder.pending(metric));
    if wanted { seconds } else { 0.0 }
}

/// Runs `measure` if any of `metrics` is still wanted; its error becomes their outcome: skipped
/// when a tool is not here, else failed. Only an interruption and a recorder that cannot save end
/// the run.
pub fn attempt(
    context: &Context<'_>,
    recorder: &mut Recorder,
    metrics: &[&str],
    measure: impl FnOnce(&mut Recorder) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let pending = |recorder: &Recorder| -> Vec<String> {
        let names = metrics.iter().filter(|metric| recorder.pending(metric));
        names.map(ToString::to_string).collect()
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
        let names = left.join("`, `");
        let line = format!("warning: `{names}` could not be measured: {error:#}");
        context.progress.line(&line);
    }
    for metric in &left {
        match error.downcast_ref::<Unavailable>() {
            Some(unavailable) => recorder.skip(metric, &unavailable.reason, unavailable.hint)?,
            None => recorder.fail(metric, &error)?,
        }
    }
    Ok(())
}
