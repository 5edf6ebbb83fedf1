//! The files that a report is made from. They may come from the jobs of a fork: the size of each is limited.
//!
//! Deliberately absent: what they mean, and the files that a report leaves.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use super::annotate::{soft, warning};
use crate::flags;
use crate::metrics::model::Run;
use crate::metrics::{history, store};
use crate::workspace;

/// File with the number of the pull request. The jobs of a fork may not comment: the workflow that runs
/// after them reads the number.
pub(super) const NUMBER: &str = "pull_request";
/// File with the reason why no comparison was made; written by the job that was to make it.
pub const NOT_COMPARED: &str = "not_compared.txt";
/// A reason is a sentence, with the last words of a compiler at most.
const REASON_BYTES_MAX: u64 = 1024 * 1024;
const REASON_CHARACTERS_MAX: usize = 2000;
/// A comparison of two sessions takes some 8 MB.
const RUN_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// A comparison has at most 40 blocks in each of two sessions.
const BLOCKS_MAX: usize = 1000;

/// The paths of the input files.
pub struct Files {
    pub(super) run: PathBuf,
    pub(super) comparison: PathBuf,
    pub(super) history: PathBuf,
    pub(super) number: PathBuf,
    not_compared: PathBuf,
}

impl Files {
    pub(super) fn of(flags: &flags::Report, results: &Path) -> Files {
        let named = |path: &Option<PathBuf>, usual: &str| {
            path.clone().unwrap_or_else(|| results.join(usual))
        };
        let run = named(&flags.run, "run.json");
        let comparison = named(&flags.comparison, "compare.json");
        Files {
            history: named(&flags.history, history::FILE),
            number: run.with_file_name(NUMBER),
            not_compared: comparison.with_file_name(NOT_COMPARED),
            comparison,
            run,
        }
    }

    /// The reason why there is no comparison, if the job that was to make one left it.
    pub(super) fn not_compared(&self) -> Option<String> {
        // The length is checked before the file is read, since a fork may have written it.
        let length = std::fs::metadata(&self.not_compared).ok()?.len();
        let why = (length <= REASON_BYTES_MAX).then(|| store::read(&self.not_compared).ok());
        let why = why.flatten()?;
        Some(why.trim().chars().take(REASON_CHARACTERS_MAX).collect())
    }

    /// The run with the metrics. A file that is missing or cannot be read is a warning, since all else can
    /// be reported without it.
    pub(super) fn run(&self) -> anyhow::Result<Option<Run>> {
        let shown = workspace::shown(&self.run);
        let run = soft(read_run(&self.run), |error| {
            format!("no metrics: {error:#}")
        })?;
        if let Some(None) = run {
            warning(&format!("no metrics: `{shown}` is missing"));
        }
        Ok(run.flatten())
    }
}

/// Reads a run, if the file exists. It may come from the jobs of a fork: its size is limited, and so is
/// the number of its blocks, since each pair of them is looked at.
pub(super) fn read_run(path: &Path) -> anyhow::Result<Option<Run>> {
    // A missing file is no error: each kind of event has only some of the files.
    let Ok(found) = std::fs::metadata(path) else {
        return Ok(None);
    };
    let shown = workspace::shown(path);
    let length = found.len();
    ensure!(
        length <= RUN_BYTES_MAX,
        "`{shown}` is too large: {length} bytes, expected at most {RUN_BYTES_MAX}"
    );
    let run =
        Run::parse(&store::read(path)?).with_context(|| format!("failed to read `{shown}`"))?;
    let blocks = run.samples.iter().map(|sample| sample.block).max();
    ensure!(
        blocks.is_none_or(|last| last < BLOCKS_MAX),
        "`{shown}` has too many blocks, expected at most {BLOCKS_MAX}"
    );
    Ok(Some(run))
}
