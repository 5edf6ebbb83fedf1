//! The program under measurement: a copy of an executable that no later build overwrites, its origin,
//! and the refusal of files that are not a thoughtgate for this machine.
//!
//! Deliberately absent: its command line, ports and readiness, which are in `tools::subject`.

mod copy;
mod kind;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::digest::sha256;
use super::model::{Arm, Binary, Git};
use crate::tools::cargo;
use crate::tools::git::{self, Commit};
use crate::tools::process::{Launch, Output};
use crate::tools::unavailable::Unavailable;

/// The label of the program that the metrics describe.
pub const HEAD: &str = "head";

/// Time limit of `--version`.
const VERSION_DEADLINE: Duration = Duration::from_secs(10);

/// One of the programs that are measured.
#[derive(Debug)]
pub struct Subject {
    /// Its label in the tables of the run.
    pub label: String,
    /// The copy that is started, absolute.
    pub binary: PathBuf,
    pub length: u64,
    /// Its SHA-256, in lower-case hex.
    pub sha256: String,
    /// Path of the executable that was copied, as given or relative to the checkout.
    shown: String,
    origin: Origin,
}

/// The origin of an executable.
#[derive(Debug)]
enum Origin {
    /// Built from a checkout.
    Built {
        checkout: PathBuf,
        /// The commit of the checkout; none without a commit, or if files differ from it.
        commit: Option<Commit>,
        rustc: Option<String>,
    },
    /// Named on the command line; nothing more is known.
    Given,
}

impl Subject {
    /// An executable built from `checkout`, copied into the first of `stores` that can be written.
    pub fn built(
        label: &str,
        checkout: &Path,
        executable: &Path,
        stores: &[PathBuf],
    ) -> anyhow::Result<Subject> {
        let origin = Origin::Built {
            checkout: checkout.to_path_buf(),
            // With changed files the commit would name a program that was not measured.
            commit: git::commit(checkout).filter(|commit| !commit.dirty),
            rustc: cargo::rustc_version(checkout),
        };
        let shown = executable.strip_prefix(checkout).unwrap_or(executable);
        Subject::copied(label, executable, shown, origin, stores)
    }

    /// An executable that passed [`given`], named `shown` on the command line, copied likewise.
    pub fn given(
        label: &str,
        executable: &Path,
        shown: &Path,
        stores: &[PathBuf],
    ) -> anyhow::Result<Subject> {
        Subject::copied(label, executable, shown, Origin::Given, stores)
    }

    fn copied(
        label: &str,
        executable: &Path,
        shown: &Path,
        origin: Origin,
        stores: &[PathBuf],
    ) -> anyhow::Result<Subject> {
        // Read once: hash, length and copy are of the same bytes, even if a build replaces the file.
        let bytes = std::fs::read(executable)
            .with_context(|| format!("failed to read the binary `{}`", executable.display()))?;
        let sha256 = sha256(&bytes);
        Ok(Subject {
            label: label.to_owned(),
            binary: copy::aside(&bytes, &sha256, stores)?,
            length: bytes.len() as u64,
            sha256,
            shown: shown.display().to_string(),
            origin,
        })
    }

    /// The checkout that it was built from, to build more from the same source.
    ///
    /// # Errors
    /// [`Unavailable`] for an executable that was given: the checkout at hand may be another version.
    /// `what` names the thing that needs the source.
    pub fn checkout(&self, what: &str) -> anyhow::Result<&Path> {
        match &self.origin {
            Origin::Built { checkout, .. } => Ok(checkout),
            Origin::Given => Err(Unavailable {
                reason: format!("{what} needs the source, but only a binary was given"),
                hint: "measure without --binary",
            }
            .into()),
        }
    }

    /// The executable, for the header of a run.
    pub fn file(&self) -> Binary {
        Binary {
            path: self.shown.clone(),
            length: self.length,
            sha256: self.sha256.clone(),
        }
    }

    /// Its label and origin, for the header of a run.
    pub fn arm(&self) -> Arm {
        let (commit, rustc) = match &self.origin {
            Origin::Built { commit, rustc, .. } => (commit.as_ref(), rustc.clone()),
            Origin::Given => (None, None),
        };
        Arm {
            name: self.label.clone(),
            revision: commit.map(|commit| commit.revision.clone()),
            parent: commit.and_then(|commit| commit.parent.clone()),
            sha256: self.sha256.clone(),
            rustc,
        }
    }
}

/// The commit that a workspace was checked out from, for the header of a run.
pub fn git(workspace: &Path) -> Git {
    let commit = git::commit(workspace);
    Git {
        dirty: commit.as_ref().is_some_and(|commit| commit.dirty),
        revision: commit.map(|commit| commit.revision),
    }
}

/// The executable named on the command line, absolute; an error if it is not a thoughtgate for this
/// machine.
pub fn given(path: &Path) -> anyhow::Result<PathBuf> {
    let shown = path.display();
    let binary = std::fs::canonicalize(path)
        .with_context(|| format!("failed to find the binary `{shown}`"))?;
    ensure!(binary.is_file(), "the binary `{shown}` is not a file");
    let bytes =
        std::fs::read(&binary).with_context(|| format!("failed to read the binary `{shown}`"))?;
    // Before it is started: the system's own error would be less clear, and a script would be run.
    if let Some(kind) = kind::unfit(&bytes, std::env::consts::ARCH) {
        bail!("the binary `{shown}` is {kind}: give a thoughtgate executable for this machine");
    }
    // With a bare environment: a setting of ThoughtGate in it could make a good binary fail.
    let version = Launch::bare(&binary)
        .arg("--version")
        .run(VERSION_DEADLINE)
        .and_then(Output::success)
        .with_context(|| {
            format!("the binary `{shown}` is not a thoughtgate executable for this machine")
        })?;
    let printed = version.stdout.text();
    // With the space: another program's name could begin with these letters.
    ensure!(
        printed.starts_with("thoughtgate "),
        "the binary `{shown}` is not thoughtgate: its `--version` does not print `thoughtgate` and \
         a number"
    );
    Ok(binary)
}

#[cfg(test)]
mod tests;
