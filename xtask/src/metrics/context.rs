//! The surroundings of a tier: paths, options, progress. Tiers use this, the catalogue, the recorder and
//! `crate::tools`, and nothing else.
//!
//! Deliberately absent: results. Those go to the recorder.

use std::path::PathBuf;

use crate::progress::Progress;

pub use super::host::HostWatch;

pub struct Context<'a> {
    /// Root of the workspace, absolute.
    pub workspace: PathBuf,
    /// Directory of the helper binaries of `thoughtgate-test`: `target/release`, absolute.
    pub release_dir: PathBuf,
    /// Downloads and scratch files of the tools: `target/xtask/tools`, absolute; exists.
    pub tools_dir: PathBuf,
    /// Few and short blocks, to see that it works.
    pub quick: bool,
    /// `HOST:PORT` of the registry for the container metrics; none means start a local one.
    pub registry: Option<String>,
    /// Progress on stderr: `progress.plan(seconds)` first, then a `progress.step(…)` per step.
    pub progress: &'a Progress,
}

impl Context<'_> {
    /// Begins to watch the rest of the machine; `finish` returns the disturbance, with `None` for what
    /// the machine does not report. `contained` is a process in a container, which is part of the run.
    #[expect(
        clippy::unused_self,
        reason = "the machine is part of what a tier is given"
    )]
    pub fn watch(&self, contained: Option<u32>) -> HostWatch {
        HostWatch::start(contained)
    }
}
