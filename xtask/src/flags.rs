//! The command line: what can be asked. What it does is told by the files of the commands.
//!
//! Deliberately absent: defaults that depend on the machine.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

mod metrics;

pub use metrics::*;

/// Measures ThoughtGate, and runs what CI runs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
pub struct Flags {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build, measure, print a table with targets, write `bench_metrics.json`
    Metrics(Metrics),
    /// Tell what is there, what is missing, and the command that gets it
    Doctor,
    /// Build the container image of this checkout
    Image(Image),
    /// Run all tests
    Test(Test),
    /// Check generated and changed inputs against the fuzz targets
    Fuzz(Fuzz),
    /// Run the proxy under mixed load with faults and kills, and count everything
    Soak(Soak),
    /// Run all that CI checks
    Ci(Ci),
    /// Remove what a killed run left behind; started by the tools layer alone.
    #[command(name = "__reap", hide = true)]
    Reap,
}

/// What the image is called.
#[derive(Debug, Args)]
pub struct Image {
    /// Its name and tag
    #[arg(long, value_name = "NAME", default_value = "thoughtgate:latest")]
    pub tag: String,
    /// Check instead that it can be had for all architectures: build it without LTO, push it to a
    /// registry of this machine, keep nothing
    #[arg(long, conflicts_with = "tag")]
    pub check: bool,
}

/// What to test.
#[derive(Debug, Args)]
pub struct Test {
    /// Passed on to `cargo test --workspace`
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGS"
    )]
    pub args: Vec<String>,
}

/// What of CI to run.
#[derive(Debug, Args)]
pub struct Ci {
    /// Leave the tests out: for scripts that run `cargo xtask test` themselves
    #[arg(long)]
    pub skip_tests: bool,
}

/// What to fuzz, and for how long.
#[derive(Debug, Args)]
#[command(after_help = "\
A failing input is made small and written to target/fuzz/TARGET. Exit codes: 0 none failed; 1 one \
failed; 2 misuse, or the targets could not be built.")]
pub struct Fuzz {
    /// How long each target runs; as many run at once as there are cores
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub seconds: u64,
    /// Target to run; repeat it or separate by commas [default: all]
    #[arg(long = "target", value_name = "NAME", value_delimiter = ',')]
    pub targets: Vec<String>,
    /// Repeat the inputs of an earlier run [default: from the clock]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Cargo profile to build with [default: fuzzing, which is optimised]
    #[arg(
        long,
        value_name = "NAME",
        default_value = "fuzzing",
        hide_default_value = true
    )]
    pub profile: String,
    /// Check this one input instead, against the one `--target`
    #[arg(long, value_name = "FILE", requires = "targets")]
    pub replay: Option<PathBuf>,
}

/// How long to soak.
#[derive(Debug, Args)]
#[command(after_help = "\
What the processes wrote is left in target/soak. Exit codes: 0 everything adds up; 1 something does \
not; 2 misuse, or it could not run.")]
pub struct Soak {
    /// How long, in minutes
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = minutes)]
    pub minutes: f64,
    /// Repeat the events of an earlier run [default: from the clock]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Cargo profile to build with
    #[arg(long, value_name = "NAME", default_value = "release")]
    pub profile: String,
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let sensible = (0.1..=24.0 * 60.0).contains(&minutes);
    sensible
        .then_some(minutes)
        .ok_or_else(|| "give minutes from 0.1 to 1440".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Flags::command().debug_assert();
    }

    #[test]
    fn misuse_is_refused() {
        for arguments in [
            &["metrics", "--tier", "4"][..],
            &["metrics", "--quick", "list"],
            &["metrics", "merge"],
            &["metrics", "--seed", "x"],
            &["nonsense"],
            &[],
        ] {
            let arguments = ["cargo xtask"].iter().chain(arguments);
            assert!(Flags::try_parse_from(arguments).is_err());
        }
    }

    #[test]
    fn test_arguments_pass_through() {
        let flags =
            Flags::try_parse_from(["cargo xtask", "test", "-p", "xtask", "--", "--nocapture"]);
        let Command::Test(test) = flags.unwrap().command else {
            panic!("not test")
        };
        assert_eq!(test.args, ["-p", "xtask", "--", "--nocapture"]);
    }
}
