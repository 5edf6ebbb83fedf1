//! Child processes with a limit on everything: a deadline, a cap on what is kept
//! of their output, and a whole process group that dies with its owner.
//!
//! Knows nothing of what it runs. Does not interpret output, retry, or choose
//! deadlines for its callers.

mod capture;
mod child;
mod environment;
mod journal;
mod launch;
mod reaper;

use std::process::ExitStatus;

use anyhow::bail;

pub use capture::{Capture, Captured};
pub use child::{Child, Stream};
pub use environment::{raise_open_files, temporary_folder};
pub use journal::begin as begin_journal;
pub use launch::Launch;
pub use reaper::{Leftover, reaper_main};

/// Where runs keep their lists of what they have made, below cargo's target directory.
pub const JOURNALS: &str = "xtask/made";
/// How many last lines of standard error an error message carries.
const LAST_LINES: usize = 6;

/// What a child that ended had said.
#[derive(Debug)]
pub struct Output {
    /// The command line, shortened for messages.
    pub name: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output, up to the cap.
    pub stdout: Captured,
    /// Standard error, up to the cap.
    pub stderr: Captured,
}

impl Output {
    /// Makes an exit status other than 0 an error that carries the last lines of standard error.
    pub fn success(self) -> anyhow::Result<Output> {
        if !self.status.success() {
            bail!(
                "`{}` failed ({}){}",
                self.name,
                self.status,
                last_words(&self.stderr)
            );
        }
        if self.stdout.dropped_bytes() > 0 {
            bail!(
                "`{}` said {} bytes more than are kept",
                self.name,
                self.stdout.dropped_bytes()
            );
        }
        Ok(self)
    }
}

/// Whether a command could not be started because there is no such program.
pub fn is_missing(error: &anyhow::Error) -> bool {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref());
    let mut kinds = causes.map(std::io::Error::kind);
    kinds.any(|kind| kind == std::io::ErrorKind::NotFound)
}

/// The last lines of standard error, ready to follow a message; empty when there are none.
fn last_words(stderr: &Captured) -> String {
    let lines = stderr.last_lines(LAST_LINES);
    if lines.is_empty() {
        String::new()
    } else {
        format!("; its last words:\n{lines}")
    }
}

#[cfg(test)]
mod tests;
