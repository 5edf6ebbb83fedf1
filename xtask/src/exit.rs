//! How a command ends: its exit code, and the one closing line on stderr that says why.
//!
//! Deliberately absent: ending the process; `main` returns the code.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::interrupt::{self, Interrupted};
use crate::say::{harmless, say};

/// The ends that a command can come to. The text says why, without the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// 0: fine, also when a metric could not be collected.
    Fine(String),
    /// 1: a failing check, a blocking regression, a missed target under `--enforce-targets`.
    Blocked(String),
    /// 2: misuse, or nothing could be measured.
    Unusable(String),
    /// 130 or 143: a signal cut it off.
    Interrupted(Interrupted, String),
}

impl Exit {
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Fine(_) => 0,
            Self::Blocked(_) => 1,
            Self::Unusable(_) => 2,
            // Like a shell tells a child that died of the signal.
            Self::Interrupted(interrupted, _) => {
                u8::try_from(128 + interrupted.signal).unwrap_or(255)
            }
        }
    }

    /// The closing line.
    pub fn line(&self) -> String {
        let why = match self {
            Self::Fine(why) | Self::Blocked(why) | Self::Unusable(why) => why.clone(),
            Self::Interrupted(interrupted, why) => format!("{interrupted}; {why}"),
        };
        format!("exit {}: {why}", self.code())
    }
}

/// Prints the error, if it is one, and the closing line.
pub fn close(result: anyhow::Result<Exit>) -> ExitCode {
    let exit = result.unwrap_or_else(|error| match interrupt::cause(&error) {
        Some(interrupted) => Exit::Interrupted(interrupted, "nothing was saved".to_owned()),
        None => Exit::Unusable(format!("{error:#}")),
    });
    say!("{}", exit.line());
    ExitCode::from(exit.code())
}

/// Writes what a command found to stdout; that it cannot be written does not change what was found.
pub fn show(text: &str) {
    if let Err(error) = print(text) {
        say!("warning: {error:#}");
    }
}

/// Writes `text` to stdout. A reader that has gone (`| head`) is no error.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout
        .write_all(harmless(text).as_bytes())
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
