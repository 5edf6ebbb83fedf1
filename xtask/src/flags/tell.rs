//! Command-line options of the `metrics` commands that report and publish results.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "\
The event comes from the variables and the event file of GitHub Actions. A push to main is judged
against the history, all else by a comparison. GITHUB_TOKEN is needed for the comment on the pull
request, BENCHER_API_KEY (or the older BENCHER_API_TOKEN) for the report to Bencher. A service that
cannot be reached is a warning and does not change the exit code.

Exit codes: 0 fine, or nothing could be judged; 1 BLOCK; 2 misuse, or no verdict with --strict; 130
or 143 interrupted: what was not sent yet is not sent.

The comment (comment.md) and the metrics for Bencher (bencher.json) are written to target/metrics, or,
outside of a workflow and with --dry-run, to target/metrics/trial.")]
pub struct Report {
    /// Run to report [default: target/metrics/run.json]
    #[arg(long, value_name = "FILE")]
    pub run: Option<PathBuf>,
    /// Samples of the comparison [default: target/metrics/compare.json]
    #[arg(long, value_name = "FILE")]
    pub comparison: Option<PathBuf>,
    /// History file [default: target/metrics/history.jsonl]
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    /// GitHub event file (JSON) to report for, instead of the one of the current workflow run
    #[arg(long, value_name = "FILE")]
    pub event: Option<PathBuf>,
    /// Only judge and print; send nothing to GitHub or Bencher
    #[arg(long)]
    pub dry_run: bool,
    /// Exit 2 when there is no verdict, or it is INCONCLUSIVE
    #[arg(long)]
    pub strict: bool,
    /// Time limit for Bencher in seconds, retries included
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub patience: u64,
    /// Project at Bencher
    #[arg(long, value_name = "SLUG", default_value = "thoughtgate")]
    pub project: String,
    /// Testbed at Bencher
    #[arg(long, value_name = "NAME", default_value = "ci-ubuntu-latest")]
    pub testbed: String,
    /// Only create what is missing at Bencher: project, branches, testbed, measures with their units,
    /// thresholds
    #[arg(long)]
    pub setup: bool,
    /// Organization at Bencher for a new project [default: the name of the project]
    #[arg(long, value_name = "SLUG", requires = "setup")]
    pub organization: Option<String>,
}

#[derive(Debug, Args)]
pub struct Publish {
    /// Run to add [default: target/metrics/run.json]
    #[arg(long, value_name = "FILE")]
    pub run: Option<PathBuf>,
    /// Branch that holds the history
    #[arg(long, value_name = "NAME", default_value = "metrics-data")]
    pub branch: String,
    /// Comparison of a release, shown on the page
    #[arg(long, value_name = "FILE")]
    pub comparison: Option<PathBuf>,
    /// Add no run; only redraw badges and page from the history
    #[arg(long, conflicts_with_all = ["run", "of", "comparison"])]
    pub refresh: bool,
    /// Add no run; accept the level of this metric from --commit on as its new baseline
    #[arg(long, value_name = "METRIC", requires_all = ["commit", "reason"],
          conflicts_with_all = ["run", "of", "comparison", "refresh"])]
    pub accept: Option<String>,
    /// Commit that the accepted level begins with, at least seven digits
    #[arg(long, value_name = "COMMIT", requires = "accept")]
    pub commit: Option<String>,
    /// Reason for accepting the new level
    #[arg(long, value_name = "TEXT", requires = "accept")]
    pub reason: Option<String>,
    /// Branch that was measured [default: the checked-out branch]
    #[arg(long, value_name = "NAME")]
    pub of: Option<String>,
    /// Repository to push to: a git remote of this checkout, or a URL
    #[arg(long, value_name = "REMOTE", default_value = "origin")]
    pub remote: String,
}

#[derive(Debug, Args)]
pub struct Notes {
    /// Version that is released
    #[arg(long, value_name = "VERSION", required_unless_present = "claims")]
    pub version: Option<String>,
    /// `run.json` or `bench_metrics.json` of the release before [default: no comparison]
    #[arg(long, value_name = "FILE", conflicts_with = "claims")]
    pub previous: Option<PathBuf>,
    /// Run of the release [default: target/metrics/run.json]
    #[arg(long, value_name = "FILE")]
    pub run: Option<PathBuf>,
    /// Print the one-line claims instead, each with whether the run supports it
    #[arg(long)]
    pub claims: bool,
}

#[derive(Debug, Args)]
pub struct Badges {
    /// Run whose badges are drawn [default: target/metrics/run.json]
    #[arg(long, value_name = "FILE")]
    pub run: Option<PathBuf>,
    /// Folder for the badges [default: target/metrics/badges]
    #[arg(long, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Page {
    /// History file [default: target/metrics/history.jsonl]
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    /// Branch whose jobs are charted [default: the checked-out branch]
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// Run to show [default: target/metrics/run.json, if it exists]
    #[arg(long, value_name = "FILE")]
    pub run: Option<PathBuf>,
    /// Samples of the comparison to show [default: target/metrics/compare.json, if it exists]
    #[arg(long, value_name = "FILE")]
    pub comparison: Option<PathBuf>,
    /// File for the page [default: target/metrics/index.html]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}
