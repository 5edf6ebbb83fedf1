//! Command-line options of `cargo xtask metrics` and of its commands, except those that report and
//! publish results (`tell`).

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Badges, Notes, Page, Publish, Report};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = EXIT_CODES)]
pub struct Metrics {
    // These apply only without a command: `metrics` alone measures.
    #[command(flatten)]
    pub measure: Measure,
    #[command(subcommand)]
    pub command: Option<MetricsCommand>,
}

const EXIT_CODES: &str = "\
Exit codes: 0 fine (a metric that could not be measured is a warning); 1 a target was missed, with
--enforce-targets; 2 misuse, or no metric could be measured, or with --strict not every metric;
130 or 143 interrupted by SIGINT or SIGTERM, with the results so far in target/metrics/run.json.

`target` is cargo's target directory, which CARGO_TARGET_DIR may change. RUSTFLAGS and other
settings that change a build are ignored; a binary that was built otherwise is measured by --binary.";

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub struct Measure {
    /// Tier to measure; repeat the option or separate tiers by commas [default: 1]
    #[arg(long = "tier", value_name = "TIER", value_enum, value_delimiter = ',')]
    pub tiers: Vec<TierFlag>,
    /// Metric (`latency/p50`) or category of metrics (`latency`) to measure; repeat the option or
    /// separate names by commas [default: all metrics of the tiers]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub only: Vec<String>,
    /// File for the JSON array of results, `-` for standard output; an existing file is removed when
    /// the run begins, and must hold such an array [default: `bench_metrics.json` in the workspace,
    /// with --quick `target/metrics/bench_metrics.quick.json`]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print the whole run as JSON instead of the table
    #[arg(long)]
    pub json: bool,
    /// Measure few and short blocks: shows that measuring works, gives no figures to quote
    #[arg(long)]
    pub quick: bool,
    /// Exit 2 when a metric could not be measured
    #[arg(long)]
    pub strict: bool,
    /// Exit 0 with a warning when nothing could be built or measured (for CI jobs whose results a
    /// later job judges); misuse still exits 2
    #[arg(long, conflicts_with_all = ["strict", "enforce_targets"])]
    pub soft: bool,
    /// Exit 1 when a target is missed
    #[arg(long)]
    pub enforce_targets: bool,
    /// Measure this thoughtgate executable instead of building one
    #[arg(long, value_name = "PATH")]
    pub binary: Option<PathBuf>,
    /// Registry to push the image to, instead of a temporary local one
    #[arg(long, value_name = "HOST:PORT")]
    pub registry: Option<String>,
    /// Seed of the random orders; that of an earlier run repeats its orders [default: from the clock]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub enum MetricsCommand {
    /// Print the catalogue of metrics
    List(List),
    /// Merge the results of several jobs
    Merge(Merge),
    /// Measure two versions side by side, and judge whether the second is slower
    Compare(Compare),
    /// Derive the verdicts again from the saved samples of a comparison
    Judge(Judge),
    /// Judge a run against the history of its branch
    Check(Check),
    /// Find the commits that changed a metric
    Trend(Trend),
    /// Add to, print, export or amend the history that later runs are judged against
    History(History),
    /// Judge the run of a CI job, and report to its summary, the pull request and Bencher
    Report(Report),
    /// Add a run to the history branch, redraw badges and page, and push
    Publish(Publish),
    /// Print the metrics section of release notes, or the claims that a run supports
    Notes(Notes),
    /// Write the badges of a run
    Badges(Badges),
    /// Write one HTML page of the history, the last run and the last comparison
    Page(Page),
    /// Measure how often comparisons are wrong: a program against itself, and against slower builds
    Calibrate(Calibrate),
}

#[derive(Debug, Args)]
pub struct Calibrate {
    /// Sessions to reach of a program against a second build of itself; those in the file count
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub sessions: usize,
    /// Sessions to reach for each known slowdown; those in the file count
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub effects: usize,
    /// Known slowdown to measure; repeat the option or separate names by commas [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub only: Vec<String>,
    /// File of sessions, one per line; new ones are appended
    /// [default: target/metrics/calibration.jsonl]
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Only print the scorecard of the sessions in the file; measure nothing
    #[arg(long)]
    pub score: bool,
    /// Also judge N simulated sessions, resampled from the blocks of those without a slowdown
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub replays: usize,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Verdicts and exit codes are those of `compare`. ALERT needs two of the last three jobs to be worse, \
and ten comparable jobs before those; BLOCK needs twenty. Sizes and instruction counts do not vary \
by chance and are compared with the job before.")]
pub struct Check {
    /// Run to judge [default: target/metrics/run.json]
    #[arg(long, value_name = "FILE")]
    pub run: Option<PathBuf>,
    /// History file [default: target/metrics/history.jsonl]
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    /// Branch whose jobs are the baseline [default: the checked-out branch]
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// Statistical test for metrics that vary from run to run
    #[arg(long, value_name = "TEST", value_enum, default_value_t = HistoryTest::Student)]
    pub test: HistoryTest,
    /// Exit 2 when the verdict is INCONCLUSIVE
    #[arg(long)]
    pub strict: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HistoryTest {
    /// Student's t: this run alone, against the interval in which the next value is expected.
    Student,
    /// Welch's t: the last three jobs against those before; their variances may differ.
    Welch,
    /// Permutation: the last three jobs against those before; assumes no distribution.
    Permutation,
}

#[derive(Debug, Args)]
pub struct Trend {
    /// History file [default: target/metrics/history.jsonl]
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    /// Branch whose jobs are searched [default: the checked-out branch]
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
}

#[derive(Debug, Args)]
pub struct History {
    /// History file [default: target/metrics/history.jsonl]
    #[arg(long, value_name = "FILE", global = true)]
    pub file: Option<PathBuf>,
    #[command(subcommand)]
    pub command: HistoryCommand,
}

#[derive(Debug, Subcommand)]
pub enum HistoryCommand {
    /// Add a run
    Add(HistoryAdd),
    /// Print the recorded jobs, one per line
    Show,
    /// Accept a lasting change of a metric: jobs before it are no longer its baseline
    Accept(HistoryAccept),
    /// Print all values as CSV
    Export,
}

#[derive(Debug, Args)]
pub struct HistoryAdd {
    /// Run to add [default: target/metrics/run.json]
    #[arg(long, value_name = "FILE")]
    pub run: Option<PathBuf>,
    /// Branch of the run [default: the checked-out branch]
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
}

#[derive(Debug, Args)]
pub struct HistoryAccept {
    /// Metric that changed, such as `latency/p50`
    #[arg(long, value_name = "NAME")]
    pub metric: String,
    /// First commit with the new level, at least seven digits of its hash
    #[arg(long, value_name = "COMMIT")]
    pub commit: String,
    /// Why the change is acceptable; kept in the history
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

#[derive(Debug, Args)]
#[command(after_help = VERDICTS)]
pub struct Compare {
    /// Version to compare with: a git revision, or a thoughtgate executable [default: the merge base
    /// of the checkout and origin/main]
    #[arg(long, value_name = "REV|BINARY")]
    pub base: Option<String>,
    /// Version to judge: a git revision, or a thoughtgate executable [default: the checkout,
    /// uncommitted changes included]
    #[arg(long, value_name = "REV|BINARY")]
    pub head: Option<String>,
    /// Output format
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Measure few blocks: shows that comparing works, finds only large differences
    #[arg(long)]
    pub quick: bool,
    /// Exit 2 when the verdict is INCONCLUSIVE
    #[arg(long)]
    pub strict: bool,
    /// Seed of the random orders; that of an earlier comparison repeats its orders [default: from the
    /// clock]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
}

#[derive(Debug, Args)]
#[command(after_help = VERDICTS)]
pub struct Judge {
    /// File of samples that `compare` wrote, such as target/metrics/compare.json
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,
    /// Output format
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Exit 2 when the verdict is INCONCLUSIVE
    #[arg(long)]
    pub strict: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text table, for people.
    Table,
    /// Markdown, for a comment on a pull request.
    Markdown,
    /// JSON, for programs.
    Json,
}

const VERDICTS: &str = "\
Verdicts, mildest first: PASS, SUSPECT, INCONCLUSIVE, NOTICE, ALERT, BLOCK. The worst one of all
metrics is the verdict of the comparison.
Exit codes: 0 fine (INCONCLUSIVE too: the last line says so); 1 BLOCK, confirmed by a second
session; 2 misuse, or INCONCLUSIVE with --strict; 130 or 143 interrupted, with the samples so far
saved. Sizes do not vary by chance: a BLOCK for a size needs no second session.";

#[derive(Debug, Args)]
pub struct List {
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Merge {
    /// Files to merge: `run.json` files, or `bench_metrics.json` arrays
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// File for the merged array, `-` for standard output
    #[arg(long, value_name = "FILE", default_value = "bench_metrics.json")]
    pub output: PathBuf,
    /// File for the merged run, if all inputs are runs [default: not written]
    #[arg(long, value_name = "FILE")]
    pub run_output: Option<PathBuf>,
    /// Allow runs from different machines; the result is marked as such
    #[arg(long)]
    pub across_hosts: bool,
}

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
    /// All three tiers.
    All,
}
