//! The command line: what can be asked. What it does is told by the files of the commands.
//!
//! Deliberately absent: defaults that depend on the machine.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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

/// `metrics`, alone or with a command of its own.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = EXIT_CODES)]
pub struct Metrics {
    /// Without a command: measure.
    #[command(flatten)]
    pub measure: Measure,
    /// What to do instead of measuring.
    #[command(subcommand)]
    pub command: Option<MetricsCommand>,
}

const EXIT_CODES: &str = "\
Exit codes: 0 fine (a metric that could not be measured is a warning); 1 a missed target under
--enforce-targets; 2 misuse, or nothing could be measured, or under --strict not everything;
130 or 143 interrupted, with what there was saved in target/metrics/run.json.

`target` is the target directory of cargo, wherever that is. RUSTFLAGS and other settings that change
what is built are ignored: --binary measures one that was built in another way.";

/// How to measure.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub struct Measure {
    /// Tier to measure; repeat it or separate by commas [default: 1]
    #[arg(long = "tier", value_name = "TIER", value_enum, value_delimiter = ',')]
    pub tiers: Vec<TierFlag>,
    /// Where the array of results goes, `-` for standard output; replaces nothing but an older one,
    /// which is removed when the run begins [default: `bench_metrics.json` in the workspace, of a
    /// quick run `target/metrics/bench_metrics.quick.json`]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print the whole run as JSON instead of the table
    #[arg(long)]
    pub json: bool,
    /// Few and short blocks: to see that it works, not to quote
    #[arg(long)]
    pub quick: bool,
    /// Exit 2 when a metric could not be measured
    #[arg(long)]
    pub strict: bool,
    /// Exit 1 when a target is missed
    #[arg(long)]
    pub enforce_targets: bool,
    /// Measure this thoughtgate instead of building one
    #[arg(long, value_name = "PATH")]
    pub binary: Option<PathBuf>,
    /// Push the image to this registry instead of a local one
    #[arg(long, value_name = "HOST:PORT")]
    pub registry: Option<String>,
    /// Repeat the random orders of an earlier run [default: from the clock]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
}

/// What `metrics` does besides measuring.
#[derive(Debug, Subcommand)]
pub enum MetricsCommand {
    /// Print the catalogue
    List(List),
    /// Join the outputs of several jobs
    Merge(Merge),
}

/// How to print the catalogue.
#[derive(Debug, Args)]
pub struct List {
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// What to join, and where the result goes.
#[derive(Debug, Args)]
pub struct Merge {
    /// `run.json` files or `bench_metrics.json` arrays
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Where the joined array goes, `-` for standard output
    #[arg(long, value_name = "FILE", default_value = "bench_metrics.json")]
    pub output: PathBuf,
    /// Where the joined run goes, when all inputs are runs [default: not written]
    #[arg(long, value_name = "FILE")]
    pub run_output: Option<PathBuf>,
    /// Join runs of different machines, and mark them
    #[arg(long)]
    pub across_hosts: bool,
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

/// A value of `--tier`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TierFlag {
    /// Must have.
    #[value(name = "1")]
    One,
    /// Should have.
    #[value(name = "2")]
    Two,
    /// Nice to have.
    #[value(name = "3")]
    Three,
    /// All three.
    All,
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
