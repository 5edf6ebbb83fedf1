//! Exit status and output of a child that has ended, and the lines of it that explain a failure.
//!
//! Does not interpret the output.

use std::process::ExitStatus;

use anyhow::bail;

use super::Captured;

/// Number of last lines of standard error in an error message.
const LAST_LINES: usize = 6;

/// Exit status and output of a child that has ended.
#[derive(Debug)]
pub struct Output {
    /// The command line, shortened for messages.
    pub name: String,
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
        // A parser could take the text that was kept for the whole output.
        if self.stdout.dropped_bytes() > 0 {
            bail!(
                "`{}` printed {} bytes more than are kept",
                self.name,
                self.stdout.dropped_bytes()
            );
        }
        Ok(self)
    }
}

/// The last lines of standard error, ready to follow a message; empty when there are none.
pub(super) fn last_words(stderr: &Captured) -> String {
    let lines = stderr.last_lines(LAST_LINES);
    if lines.is_empty() {
        String::new()
    } else {
        format!("; last lines of its standard error:\n{lines}")
    }
}
