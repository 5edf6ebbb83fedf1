//! The result of a command: its exit code, and the one closing line on stderr that says why.
//!
//! Deliberately absent: ending the process; `main` returns the code.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::interrupt::{self, Interrupted};
use crate::say::{harmless, say};

/// Result of a command. The text says why, without the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// 0: fine, also when a metric could not be collected.
    Fine(String),
    /// 1: a failing check, a blocking regression, a missed target under `--enforce-targets`.
    Blocked(String),
    /// 2: misuse, or nothing could be measured.
    Unusable(String),
    /// 130 or 143: interrupted by SIGINT or SIGTERM.
    Interrupted(Interrupted, String),
}

impl Exit {
    pub fn code(&self) -> u8 {
        match self {
            Self::Fine(_) => 0,
            Self::Blocked(_) => 1,
            Self::Unusable(_) => 2,
            // As a shell reports a child that died of the signal.
            Self::Interrupted(interrupted, _) => {
                u8::try_from(128 + interrupted.signal).unwrap_or(255)
            }
        }
    }

    /// The closing line, `exit CODE: REASON`.
    pub fn line(&self) -> String {
        let why = match self {
            Self::Fine(why) | Self::Blocked(why) | Self::Unusable(why) => why.clone(),
            Self::Interrupted(interrupted, why) => format!("{interrupted}; {why}"),
        };
        format!("exit {}: {why}", self.code())
    }
}

/// Prints the closing line of a result. An error is exit 2, unless an interruption caused it.
pub fn close(result: anyhow::Result<Exit>) -> ExitCode {
    let exit = result.unwrap_or_else(|error| match interrupt::cause(&error) {
        Some(interrupted) => {
            Exit::Interrupted(interrupted, "the command did not finish".to_owned())
        }
        None => Exit::Unusable(format!("{error:#}")),
    });
    say!("{}", exit.line());
    ExitCode::from(exit.code())
}

/// Writes a result to stdout. A failure is only a warning: it must not change the verdict.
pub fn show(text: &str) {
    if let Err(error) = print(text) {
        say!("warning: {error:#}");
    }
}

/// Writes a workflow command to stdout; [`print()`] would disarm it.
pub fn workflow_command(line: &str) {
    if let Err(error) = write(line) {
        say!("warning: {error:#}");
    }
}

/// Writes `text` to stdout. A closed pipe (`| head`) is not an error.
pub fn print(text: &str) -> anyhow::Result<()> {
    write(&harmless(text))
}

fn write(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    // Flushed here, since a write that fails while the process ends goes unnoticed.
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("failed to write to standard output"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_its_code_and_says_it() {
        let interrupted = |signal| Exit::Interrupted(Interrupted { signal }, "saved".to_owned());
        let ends = [
            (Exit::Fine("all".to_owned()), "exit 0: all"),
            (Exit::Blocked("slow".to_owned()), "exit 1: slow"),
            (Exit::Unusable("no k6".to_owned()), "exit 2: no k6"),
            (interrupted(2), "exit 130: interrupted by SIGINT; saved"),
            (interrupted(15), "exit 143: interrupted by SIGTERM; saved"),
        ];
        for (exit, line) in ends {
            assert_eq!(exit.line(), line);
        }
    }
}
