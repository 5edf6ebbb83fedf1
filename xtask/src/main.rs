//! `cargo xtask`: measures ThoughtGate, and runs the checks of CI. `main` only dispatches.

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
            // `--help` was asked for: it goes to stdout and is not misuse.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            let _ = error.print();
            return exit::close(Ok(Exit::Unusable(
                "invalid command line (see `cargo xtask --help`)".to_owned(),
            )));
        }
    };
    // Before anything else: the reaper prints nothing, not even the closing line.
    if matches!(flags.command, Command::Reap) {
        tools::process::reaper_main();
        return ExitCode::SUCCESS;
    }
    exit::close(dispatch(&flags.command))
}

fn dispatch(command: &Command) -> anyhow::Result<Exit> {
    match command {
        Command::Metrics(metrics) => metrics::run(metrics),
        Command::Doctor => doctor::run(),
        Command::Image(image) => image::run(image),
        Command::Test(test) => test::run(test),
        Command::Fuzz(fuzz) => fuzz::run(fuzz),
        Command::Soak(soak) => soak::run(soak),
        Command::Ci(ci) => ci::run(ci, dispatch),
        Command::Reap => Ok(Exit::Fine("nothing is left behind".to_owned())),
    }
}
