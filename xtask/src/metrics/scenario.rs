//! What is set up once and shows several metrics, perhaps of several tiers.
//!
//! A scenario reports those of its metrics that were asked for and have no outcome yet, so a run of
//! all tiers makes each once. It never fails: what goes wrong becomes the outcome of its metrics.

pub mod bench;
pub mod block;
pub mod constrained;
pub mod evaluation;
pub mod idle;
pub mod image;
pub mod latency;
pub mod reload;
pub mod starts;
pub mod throughput;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::interrupt::Interrupted;
use crate::tools::docker::Unavailable;

use super::recorder::Recorder;

/// The configuration and the ten policies that are measured, as files.
pub struct SubjectFiles {
    folder: tempfile::TempDir,
}

impl SubjectFiles {
    /// Writes them to a folder that goes with the result.
    pub fn write() -> anyhow::Result<SubjectFiles> {
        let folder = tempfile::tempdir()?;
        // A container's user reads them too.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        std::fs::write(
            folder.path().join("thoughtgate.yaml"),
            include_str!("../../subject/thoughtgate.yaml"),
        )?;
        std::fs::write(
            folder.path().join("policies.cedar"),
            include_str!("../../subject/policies.cedar"),
        )?;
        Ok(SubjectFiles { folder })
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

/// Runs `measure` if any of `metrics` is still wanted; its error becomes their outcome. Only an
/// interrupt and a recorder that cannot save end the run.
pub fn attempt(
    recorder: &mut Recorder,
    metrics: &[&str],
    measure: impl FnOnce(&mut Recorder) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if !metrics.iter().any(|metric| recorder.pending(metric)) {
        return Ok(());
    }
    let Err(error) = measure(recorder) else {
        return Ok(());
    };
    if error.is::<Interrupted>() {
        return Err(error);
    }
    let pending = metrics.iter().filter(|metric| recorder.pending(metric));
    let pending: Vec<&str> = pending.copied().collect();
    if !pending.is_empty() {
        let names = pending.join("`, `");
        eprintln!("warning: `{names}` could not be measured: {error:#}");
    }
    for metric in pending {
        recorder.fail(metric, &error)?;
    }
    Ok(())
}

/// Marks what cannot be had without docker.
pub fn skip_without(
    recorder: &mut Recorder,
    metrics: &[&str],
    unavailable: &Unavailable,
) -> anyhow::Result<()> {
    for metric in metrics {
        if recorder.pending(metric) {
            eprintln!(
                "warning: `{metric}` is not measured: {}; {}",
                unavailable.reason, unavailable.hint
            );
            recorder.skip(metric, &unavailable.reason, unavailable.hint)?;
        }
    }
    Ok(())
}
