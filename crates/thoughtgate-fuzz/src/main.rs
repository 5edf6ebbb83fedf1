//! Fuzz targets of `ThoughtGate`, each with an oracle that shares no code with what it judges.
//!
//! Works on stable and repeats with its seed. `cargo xtask fuzz` builds and runs it. Deliberately
//! absent: coverage feedback; the kinds of outcome that a target names stand in for it.

mod generate;
mod hex;
mod json;
mod minimise;
mod mutate;
mod random;
mod readers;
mod runner;
mod sse;
mod targets;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::targets::{TARGETS, Target};

/// Limit of the address space. Inputs have at most 64 KiB: a target that takes more than this for one
/// fails.
const MEMORY_BYTES_MAX: u64 = 2 << 30;
/// The stack of a worker thread of the product.
const STACK_BYTES: usize = 2 << 20;

/// Fuzzes one target.
#[derive(Debug, Parser)]
struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the names of the targets, one a line
    List,
    /// Check generated inputs until the time is over or one fails
    Run {
        /// One of `list`
        target: String,
        /// For how long
        #[arg(long, value_name = "N")]
        seconds: u64,
        /// The same seed makes the same inputs
        #[arg(long, value_name = "S")]
        seed: u64,
        /// CPU time that one input may take; more than that in a build that is not optimised
        #[arg(long, value_name = "N", default_value_t = runner::CPU_SECONDS_MAX)]
        cpu_seconds: u64,
        /// Where a failing input goes
        #[arg(long, value_name = "FOLDER")]
        output: PathBuf,
    },
    /// Check one input
    Replay {
        /// One of `list`
        target: String,
        /// The input
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    let work = std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(move || work(flags.command));
    let result = work.context("failed to start a thread").and_then(|thread| {
        thread
            .join()
            .map_err(|_| anyhow::anyhow!("the runner panicked"))?
    });
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("thoughtgate-fuzz: error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn work(command: Command) -> anyhow::Result<ExitCode> {
    let limit = rustix::process::Rlimit {
        current: Some(MEMORY_BYTES_MAX),
        maximum: Some(MEMORY_BYTES_MAX),
    };
    rustix::process::setrlimit(rustix::process::Resource::As, limit)
        .context("failed to limit the address space")?;
    match command {
        Command::List => {
            for target in TARGETS {
                println!("{}", target.name);
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Run {
            target,
            seconds,
            seed,
            cpu_seconds,
            output,
        } => {
            // Inputs that make something panic are many while one is made smaller.
            std::panic::set_hook(Box::new(|_| {}));
            let plan = runner::Plan {
                time: Duration::from_secs(seconds),
                seed,
                cpu_max: Duration::from_secs(cpu_seconds),
                folder: output,
            };
            let target = named(&target)?;
            let found = runner::run(target, seeds(target.name)?, &plan)?;
            Ok(report(target, &found))
        }
        Command::Replay { target, file } => {
            let input = std::fs::read(&file)
                .with_context(|| format!("failed to read `{}`", file.display()))?;
            let mut check = (named(&target)?.check)()?;
            let cpu_max = Duration::from_secs(runner::CPU_SECONDS_MAX);
            match runner::one(&mut *check, &input, cpu_max) {
                Ok(_) => {
                    println!("{target}: `{}` is fine", file.display());
                    Ok(ExitCode::SUCCESS)
                }
                Err(reason) => {
                    println!("{target}: {reason}");
                    Ok(ExitCode::FAILURE)
                }
            }
        }
    }
}

fn report(target: &Target, found: &runner::Found) -> ExitCode {
    let runner::Found {
        inputs,
        kinds,
        failure,
    } = found;
    let name = target.name;
    let Some(failure) = failure else {
        println!("{name}: {inputs} inputs, {kinds} kinds of outcome, none failed");
        return ExitCode::SUCCESS;
    };
    println!("{name}: failed after {inputs} inputs: {}", failure.reason);
    // `cargo xtask fuzz` takes the last text in backquotes for the path of the input.
    println!("{name}: the input is in `{}`", failure.file.display());
    ExitCode::FAILURE
}

fn named(name: &str) -> anyhow::Result<&'static Target> {
    let names = || {
        TARGETS
            .iter()
            .map(|target| target.name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    TARGETS
        .iter()
        .find(|target| target.name == name)
        .with_context(|| format!("unknown target `{name}`, expected one of {}", names()))
}

/// The files of `seeds/NAME`: inputs that matter, those that once failed among them.
fn seeds(name: &str) -> anyhow::Result<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(name);
    let shown = folder.display();
    let entries =
        std::fs::read_dir(&folder).with_context(|| format!("failed to read `{shown}`"))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    // The order of a folder differs between machines, and a run has to repeat with its seed.
    paths.sort();
    paths
        .iter()
        .map(|path| {
            std::fs::read(path).with_context(|| format!("failed to read `{}`", path.display()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Time that an input may take where nothing is optimised.
    const UNOPTIMISED: Duration = Duration::from_secs(20);

    #[test]
    fn every_seed_and_some_generated_inputs_pass_every_target() {
        for target in TARGETS {
            let mut check = (target.check)().unwrap();
            let generated = (0..300).map(|number| (target.generate)(&mut Random::new(1, number)));
            let seeds = seeds(target.name).unwrap();
            assert!(!seeds.is_empty(), "{} has no seeds", target.name);
            for input in seeds.into_iter().chain(generated) {
                let result = runner::one(&mut *check, &input, UNOPTIMISED);
                let shown = String::from_utf8_lossy(&input);
                assert!(result.is_ok(), "{}: {result:?}: {shown}", target.name);
            }
        }
    }
}
