//! The files that the results of a run go to, and the refusal to replace anything but results.
//!
//! Deliberately absent: writing them, which is in `store`.

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use serde_json::Value as Json;

use super::store;
use crate::exit;
use crate::flags;
use crate::say::say;
use crate::workspace;

const RUN: &str = "run.json";
const QUICK_RUN: &str = "run.quick.json";
/// `--output` that means standard output.
const STANDARD: &str = "-";

/// The destinations of a run's results. A quick run has files of its own under cargo's target
/// directory: its figures must not replace those of a full run, nor be taken for them, since the array
/// has no place for a mark.
pub struct Outputs {
    /// The whole run, saved while it goes on.
    pub run: PathBuf,
    pub array: Array,
}

/// The destination of an array of results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Array {
    /// Standard output; the table goes to standard error then.
    Standard,
    File(PathBuf),
}

impl Outputs {
    /// The destinations that `flags` ask for, checked before anything is measured.
    ///
    /// # Errors
    /// When the array cannot be written where it was asked for, or would replace something that is
    /// not an array of results.
    pub fn of(flags: &flags::Measure, workspace: &Path, results: &Path) -> anyhow::Result<Self> {
        let (run, array) = if flags.quick {
            (QUICK_RUN, results.join("bench_metrics.quick.json"))
        } else {
            let usual = workspace.join("bench_metrics.json");
            (RUN, writable(usual, results))
        };
        let array = match &flags.output {
            None => Array::File(array),
            Some(path) => Array::of(path),
        };
        ensure!(
            !(flags.json && array == Array::Standard),
            "--json and `--output -` both need standard output: name a file with --output"
        );
        array.check()?;
        // The recorder saves runs under these names, and one file would overwrite the other.
        if let Array::File(path) = &array {
            // Both names, whatever kind this run is: the other file may not exist yet.
            let taken = [RUN, QUICK_RUN, store::LOCK].map(|name| results.join(name));
            if taken.iter().any(|file| store::is_same(file, path)) {
                let path = path.display();
                bail!(
                    "`{path}` is reserved for the samples of runs: name another file with --output"
                );
            }
        }
        Ok(Self {
            run: results.join(run),
            array,
        })
    }

    /// Removes the results of an earlier run: if this run fails or is cut off, no file could be taken
    /// for its results.
    pub fn clear(&self) -> anyhow::Result<()> {
        store::remove(&self.run)?;
        match &self.array {
            Array::Standard => Ok(()),
            Array::File(path) => store::remove(path),
        }
    }
}

impl Array {
    /// The destination that a value of `--output` means.
    pub fn of(path: &Path) -> Array {
        if path == Path::new(STANDARD) {
            Array::Standard
        } else {
            Array::File(path.to_path_buf())
        }
    }

    /// Fails now, rather than after minutes of measuring, if the array could not be written later, or
    /// would replace a file that is not an array of results.
    pub fn check(&self) -> anyhow::Result<()> {
        let Array::File(path) = self else {
            return Ok(());
        };
        store::check_writable(path)?;
        ensure!(
            replaceable(path, Json::is_array)?,
            "`{}` is not an array of results and would be replaced: name another file with --output, \
             or remove it first",
            path.display()
        );
        Ok(())
    }

    pub fn save(&self, text: &str) -> anyhow::Result<()> {
        match self {
            Array::Standard => exit::print(text),
            Array::File(path) => store::save(path, text),
        }
    }

    /// The destination as a message shows it.
    pub fn shown(&self) -> String {
        match self {
            Array::Standard => "standard output".to_owned(),
            Array::File(path) => format!("`{}`", workspace::shown(path)),
        }
    }
}

/// The usual file of the array; if it cannot be written, as in a read-only checkout, a file beside the
/// run.
fn writable(usual: PathBuf, results: &Path) -> PathBuf {
    let Err(error) = store::check_writable(&usual) else {
        return usual;
    };
    let instead = results.join("bench_metrics.json");
    say!(
        "warning: {error:#}\n  hint: the results go to `{}` instead",
        workspace::shown(&instead)
    );
    instead
}

/// Fails if a run could not be written to `path`, or would replace something else.
pub fn check_run(path: &Path) -> anyhow::Result<()> {
    store::check_writable(path)?;
    ensure!(
        replaceable(path, is_run)?,
        "`{}` is not a run of metrics and would be replaced: name another file, or remove it first",
        path.display()
    );
    Ok(())
}

/// A comparison has an empty list of metrics, and a job of a history has an object.
fn is_run(json: &Json) -> bool {
    let metrics = json["metrics"].as_array();
    !json["schema"].is_null() && metrics.is_some_and(|metrics| !metrics.is_empty())
}

/// Whether there is nothing at `path`, or an empty file, or JSON of that kind.
fn replaceable(path: &Path, is_kind: impl Fn(&Json) -> bool) -> anyhow::Result<bool> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() > 0 => {}
        // An empty file has nothing to lose, and what is no file was refused by `check_writable`.
        _ => return Ok(true),
    }
    let bytes = store::read_bytes(path)?;
    Ok(serde_json::from_slice(&bytes).is_ok_and(|json| is_kind(&json)))
}

#[cfg(test)]
mod tests;
