//! Commands of this program that a job runs. Those that send or push something are only printed when a
//! contributor tries the job out.
//!
//! Knows no job.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser as _;

use crate::exit::Exit;
use crate::flags::{self, Command, Flags};
use crate::metrics::measure::{RESULTS, TRIAL};
use crate::say::say;
use crate::tools::cargo;
use crate::workspace;

/// Runs a command line that was parsed. It is passed down from `main`: one of the commands is `ci` itself.
pub type Dispatch = fn(&Command) -> anyhow::Result<Exit>;

/// The commands of this program, for a job.
#[derive(Debug, Clone, Copy)]
pub struct Commands {
    pub tells: Tells,
    dispatch: Dispatch,
}

impl Commands {
    pub fn of(flags: &flags::Ci, dispatch: Dispatch) -> Commands {
        Commands {
            tells: Tells::of(flags),
            dispatch,
        }
    }

    /// Runs one command of this program, as if it had been typed.
    pub fn run(self, arguments: &[&str]) -> anyhow::Result<Exit> {
        say!("cargo xtask {}", arguments.join(" "));
        let all = ["cargo xtask"].iter().chain(arguments);
        // Not `parse_from`, which would end the process instead of returning an error.
        let flags = Flags::try_parse_from(all).context("the job calls an invalid command")?;
        (self.dispatch)(&flags.command)
    }

    /// Runs a command that sends or pushes something, or only prints it.
    pub fn tell(self, arguments: &[&str]) -> anyhow::Result<Exit> {
        match self.tells {
            Tells::Others => self.run(arguments),
            Tells::Nobody => {
                say!("would run: cargo xtask {}", arguments.join(" "));
                Ok(Exit::Fine(
                    "nothing was sent or pushed (--really does it)".to_owned(),
                ))
            }
        }
    }
}

/// Whether a job sends and pushes: one that a contributor tries out changes nothing elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tells {
    /// In a workflow, or with `--really`.
    Others,
    /// Commands that would send or push are only printed.
    Nobody,
}

impl Tells {
    fn of(flags: &flags::Ci) -> Tells {
        let in_workflow = std::env::var_os("GITHUB_ACTIONS").is_some();
        if in_workflow || flags.really {
            Tells::Others
        } else {
            Tells::Nobody
        }
    }

    /// The folder of the files that a job makes. A contributor's own results are not overwritten.
    pub fn results(self) -> anyhow::Result<PathBuf> {
        let results = cargo::target_dir(&workspace::root()?).join(RESULTS);
        Ok(match self {
            Tells::Others => results,
            Tells::Nobody => results.join(TRIAL),
        })
    }
}
