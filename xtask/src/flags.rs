//! The command line: commands, options and their help. What a command does is in its own file.
//!
//! Deliberately absent: defaults that depend on the machine.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod metrics;
mod tell;

pub use metrics::*;
pub use tell::*;

/// Measures ThoughtGate, and runs the checks of CI.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
pub struct Flags {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build, measure, print a table with targets, write `bench_metrics.json`
    Metrics(Box<Metrics>),
    /// Check each tool that measuring needs, and print how to install a missing one
    Doctor,
    /// Build the container image of this checkout
    Image(Image),
    /// Run all tests of the workspace
    Test(Test),
    /// Run the fuzz targets on generated and mutated inputs
    Fuzz(Fuzz),
    /// Run the proxy under mixed load with faults and kills, then check that all records add up
    Soak(Soak),
    /// Run all checks of CI but the tests, or one job of its workflows
    Ci(Ci),
    /// Remove what a killed run left behind; started by xtask itself, never by hand.
    #[command(name = "__reap", hide = true)]
    Reap,
}

#[derive(Debug, Args)]
pub struct Image {
    /// Name and tag of the image
    #[arg(long, value_name = "NAME", default_value = "thoughtgate:latest")]
    pub tag: String,
    /// Only check that the image can be built for all architectures: build without LTO, push to a
    /// temporary local registry, keep nothing
    #[arg(long, conflicts_with = "tag")]
    pub check: bool,
    /// Build for all architectures and push under this name (run `docker login` first)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["tag", "check"])]
    pub push: Option<String>,
}

#[derive(Debug, Args)]
pub struct Test {
    /// Run all MCP clients and agent frameworks through the proxy, not only the four that CI runs
    #[arg(long)]
    pub all_clients: bool,
    /// Arguments for `cargo test`; `--workspace` is added unless a package is named
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGS"
    )]
    pub args: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Ci {
    /// Run this job of the CI workflows instead of the checks
    #[arg(long, value_name = "NAME", value_enum)]
    pub job: Option<JobFlag>,
    /// GitHub event file (JSON) to run the job for [default: the event of the current workflow run]
    #[arg(long, value_name = "FILE", requires = "job")]
    pub event: Option<PathBuf>,
    /// Outside of GitHub Actions: send and push what the job sends and pushes, instead of printing it
    #[arg(long, requires = "job")]
    pub really: bool,
    /// Folder with the artifacts of earlier jobs, one subfolder per job
    #[arg(
        long,
        value_name = "FOLDER",
        requires = "job",
        default_value = "artifacts"
    )]
    pub artifacts: PathBuf,
    /// Repository with the history in its branch `metrics-data`: a git remote, or a URL
    #[arg(
        long,
        value_name = "REMOTE",
        requires = "job",
        default_value = "origin"
    )]
    pub remote: String,
}

/// Jobs of the CI workflows, as `--job` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum JobFlag {
    /// Measure the size of the binary.
    Build,
    /// Measure the container image, and the proxy under the limits of a sidecar.
    Container,
    /// Measure latency, throughput, CPU and memory, idle and under load.
    Load,
    /// Measure policies, starts and approvals.
    Bench,
    /// Compare a pull request with its merge base, or a release with the one before.
    Compare,
    /// Merge the runs of the measuring jobs, judge them and report the verdict.
    Report,
    /// Judge and report what the jobs of a fork's pull request measured.
    ForkReport,
    /// Add the reported run of main, or of a release, to the history, and redraw badges and page.
    Publish,
    /// Build the static binary of a release.
    Binaries,
    /// Build the image of a release for all architectures, and push it.
    Image,
    /// Make a release: notes, badges, page, checksums.
    Release,
    /// Archive the Bencher branches of closed and old pull requests, and redraw the badges.
    Archive,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A failing input is minimised and written to target/fuzz/TARGET. Exit codes: 0 no target failed; 1 \
one failed; 2 misuse, or the targets could not be built.")]
pub struct Fuzz {
    /// Seconds that each target runs; as many targets run in parallel as there are cores
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub seconds: u64,
    /// Target to run; repeat the option or separate names by commas [default: all]
    #[arg(long = "target", value_name = "NAME", value_delimiter = ',')]
    pub targets: Vec<String>,
    /// Seed of the inputs; that of an earlier run repeats its inputs [default: from the clock]
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
    /// Only check this input file, with the one target that --target names
    #[arg(long, value_name = "FILE", requires = "targets")]
    pub replay: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Logs and records stay in target/soak until the next run. Exit codes: 0 no faults; 1 faults found, \
each printed; 2 misuse, or the soak could not run.")]
pub struct Soak {
    /// Duration in minutes, from 0.1 to 1440
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = minutes)]
    pub minutes: f64,
    /// Seed of the events; that of an earlier run repeats its events [default: from the clock]
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
        .ok_or_else(|| "expected 0.1 to 1440 minutes".to_owned())
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
        let test = |arguments: &[&str]| {
            let arguments = ["cargo xtask", "test"].iter().chain(arguments);
            let Command::Test(test) = Flags::try_parse_from(arguments).unwrap().command else {
                panic!("not test")
            };
            test
        };
        let few = test(&["-p", "xtask", "--", "--nocapture"]);
        assert_eq!(few.args, ["-p", "xtask", "--", "--nocapture"]);
        assert!(!few.all_clients);
        let all = test(&["--all-clients", "-p", "xtask"]);
        assert_eq!(all.args, ["-p", "xtask"]);
        assert!(all.all_clients);
    }
}
