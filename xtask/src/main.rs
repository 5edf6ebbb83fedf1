//! `cargo xtask`: measures ThoughtGate, and runs what CI runs. `main` dispatches, nothing more.

mod ci;
mod clock;
mod doctor;
mod exit;
mod flags;
mod fuzz;
mod image;
mod interrupt;
mod metrics;
mod progress;
mod say;
mod soak;
mod test;
#[cfg(test)]
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::Parser as _;

use crate::exit::Exit;
use crate::flags::{Command, Flags};

fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) if !error.use_stderr() => {
            // Help is the answer to a question, not misuse.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            let _ = error.print();
            return exit::close(Ok(Exit::Unusable(
                "the command line makes no sense".to_owned(),
            )));
        }
    };
    if matches!(flags.command, Command::Reap) {
        tools::process::reaper_main();
        return ExitCode::SUCCESS;
    }
    exit::close(dispatch(&flags.command))
}

/// Runs a command.
fn dispatch(command: &Command) -> anyhow::Result<Exit> {
    match command {
        Command::Metrics(metrics) => metrics::run(metrics),
        Command::Doctor => doctor::run(),
        Command::Image(image) => image::run(image),
        Command::Test(test) => test::run(test),
        Command::Fuzz(fuzz) => fuzz::run(fuzz),
        Command::Soak(soak) => soak::run(soak),
        Command::Ci(ci) => ci::run(ci),
        Command::Reap => Ok(Exit::Fine("nothing is left behind".to_owned())),
    }
}
