//! The command line: what can be asked. What it does is told by the files of the commands.
//!
//! Deliberately absent: defaults that depend on the machine.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod metrics;
mod tell;

pub use metrics::*;
pub use tell::*;

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
    Metrics(Box<Metrics>),
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
    /// Build it for all architectures and push it under this name; `docker login` comes first
    #[arg(long, value_name = "NAME", conflicts_with_all = ["tag", "check"])]
    pub push: Option<String>,
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
    /// Do what one job of the workflows does instead
    #[arg(long, value_name = "NAME", value_enum, conflicts_with = "skip_tests")]
    pub job: Option<JobFlag>,
    /// The event that the job is to be of [default: that of the workflow that runs here]
    #[arg(long, value_name = "FILE", requires = "job")]
    pub event: Option<PathBuf>,
    /// The folder with what earlier jobs have left, one folder a job
    #[arg(
        long,
        value_name = "FOLDER",
        requires = "job",
        default_value = "artifacts"
    )]
    pub artifacts: PathBuf,
    /// The repository whose branch `metrics-data` holds the history: a remote, or an address
    #[arg(
        long,
        value_name = "REMOTE",
        requires = "job",
        default_value = "origin"
    )]
    pub remote: String,
}

/// The jobs of the workflows that measure and tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum JobFlag {
    /// Measure what is known after the build.
    Build,
    /// Measure the image, and the proxy in it.
    Container,
    /// Measure under load.
    Load,
    /// Measure policies, starts and approvals.
    Bench,
    /// Compare with what a change is to be merged into, or with the release before.
    Compare,
    /// Join what was measured, judge it, tell it.
    Report,
    /// The same of what a fork's jobs have measured.
    ForkReport,
    /// Build the static binary of a release.
    Binaries,
    /// Build the image of a release for all architectures, and push it.
    Image,
    /// Make a release: notes, badges, page, checksums.
    Release,
    /// Archive what is of no use any more.
    Archive,
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
