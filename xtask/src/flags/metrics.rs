//! What can be asked of `metrics`, and of its commands.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Badges, Notes, Page, Publish, Report};

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
    /// Metric, or category of metrics (`latency`), to measure; repeat it or separate by commas
    /// [default: all of the tiers]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub only: Vec<String>,
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
    /// Exit 0 with a warning when nothing could be measured, or built: for jobs of CI whose results
    /// are judged by a later one. Misuse stays 2
    #[arg(long, conflicts_with_all = ["strict", "enforce_targets"])]
    pub soft: bool,
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
    /// Measure two versions side by side, and tell whether the second is slower
    Compare(Compare),
    /// Derive the verdicts again from the samples of a comparison
    Judge(Judge),
    /// Judge a run by the history of its branch
    Check(Check),
    /// Tell which commit moved which metric
    Trend(Trend),
    /// The record of runs that later ones are compared with
    History(History),
    /// Judge what a job of CI measured, and tell the pull request and Bencher
    Report(Report),
    /// Add a run to the history on a branch, with badges and page, and push it
    Publish(Publish),
    /// Print the section of release notes, or the claims that a run supports
    Notes(Notes),
    /// Write the badges of a run
    Badges(Badges),
    /// Write one HTML file of the history, the last run and the last comparison
    Page(Page),
    /// Prove how often comparisons are wrong: a program against itself, and against slower ones
    Calibrate(Calibrate),
}

/// How many sessions of which kinds there are to be.
#[derive(Debug, Args)]
pub struct Calibrate {
    /// Sessions of a program against a second build of itself, earlier ones included
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub sessions: usize,
    /// Sessions for each known slowdown, earlier ones included
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub effects: usize,
    /// Slowdown to make sessions of; repeat it or separate by commas [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Where the lines are [default: target/metrics/calibration.jsonl]
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Print the scorecard of the sessions there are, and make none
    #[arg(long)]
    pub score: bool,
    /// Judge so many sessions besides that are drawn from the blocks of those without a slowdown
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub replays: usize,
}

/// What to judge, and by what.
#[derive(Debug, Args)]
#[command(after_help = "\
Verdicts and exit codes are those of `compare`. An alert takes two of three jobs and ten comparable \
ones before those, a block twenty. Sizes and instructions are held against the job before.")]
pub struct Check {
    /// The run [default: target/metrics/run.json]
    #[arg(long, value_name = "FILE")]
    pub run: Option<PathBuf>,
    /// The history [default: target/metrics/history.jsonl]
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    /// The branch whose jobs count [default: the one that is checked out]
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// The test of metrics that vary
    #[arg(long, value_name = "TEST", value_enum, default_value_t = HistoryTest::Student)]
    pub test: HistoryTest,
    /// Exit 2 when it could not be told
    #[arg(long)]
    pub strict: bool,
}

/// How a run is tested against a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HistoryTest {
    /// The run alone: whether it lies where the next one of the history would.
    Student,
    /// The last three jobs together, which may vary otherwise.
    Welch,
    /// The same, whatever the values are spread like.
    Permutation,
}

/// Where to look for changes.
#[derive(Debug, Args)]
pub struct Trend {
    /// The history [default: target/metrics/history.jsonl]
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    /// The branch whose jobs count [default: the one that is checked out]
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
}

/// What to do with a history.
#[derive(Debug, Args)]
pub struct History {
    /// The file [default: target/metrics/history.jsonl]
    #[arg(long, value_name = "FILE", global = true)]
    pub file: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: HistoryCommand,
}

/// What `history` does.
#[derive(Debug, Subcommand)]
pub enum HistoryCommand {
    /// Add a run
    Add(HistoryAdd),
    /// Print the jobs, one a line
    Show,
    /// Take a change of level for granted: what came before is no baseline any more
    Accept(HistoryAccept),
    /// Print all values as CSV
    Export,
}

/// What to add.
#[derive(Debug, Args)]
pub struct HistoryAdd {
    /// The run [default: target/metrics/run.json]
    #[arg(long, value_name = "FILE")]
    pub run: Option<PathBuf>,
    /// Its branch [default: the one that is checked out]
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
}

/// What to accept.
#[derive(Debug, Args)]
pub struct HistoryAccept {
    /// The metric
    #[arg(long, value_name = "NAME")]
    pub metric: String,
    /// The commit with which the new level begins, seven digits or more
    #[arg(long, value_name = "COMMIT")]
    pub commit: String,
    /// Why it is as it should be
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// What to compare.
#[derive(Debug, Args)]
#[command(after_help = VERDICTS)]
pub struct Compare {
    /// What to compare with: a revision, or a thoughtgate executable [default: where the checkout
    /// parted from origin/main]
    #[arg(long, value_name = "REV|BINARY")]
    pub base: Option<String>,
    /// What to judge: the same [default: the checkout as it is]
    #[arg(long, value_name = "REV|BINARY")]
    pub head: Option<String>,
    /// How to print the result
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Few blocks: to see that it works; nothing small is found
    #[arg(long)]
    pub quick: bool,
    /// Exit 2 when it could not be told
    #[arg(long)]
    pub strict: bool,
    /// Repeat the random orders of an earlier comparison [default: from the clock]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
}

/// Where the samples are.
#[derive(Debug, Args)]
#[command(after_help = VERDICTS)]
pub struct Judge {
    /// The file that `compare` wrote
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,
    /// How to print the result
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Exit 2 when it could not be told
    #[arg(long)]
    pub strict: bool,
}

/// The form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For a comment on a pull request.
    Markdown,
    /// For programs.
    Json,
}

const VERDICTS: &str = "\
Verdicts, the greatest of all metrics last: PASS, SUSPECT, INCONCLUSIVE, NOTICE, ALERT, BLOCK.
Exit codes: 0 fine (INCONCLUSIVE too: the last line says so); 1 BLOCK, measured twice; 2 misuse, or
under --strict INCONCLUSIVE; 130 or 143 interrupted, with the samples so far saved. A size that
became larger by as much as a block takes is no matter of chance, and is measured once.";

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
