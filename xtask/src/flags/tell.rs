//! What can be asked of the commands of `metrics` that tell others what was measured.

use std::path::PathBuf;

use clap::Args;

/// What to report, and to whom.
#[derive(Debug, Args)]
#[command(after_help = "\
It finds out where it runs from the variables and the event file of GitHub Actions. On a push to main
the run is judged by the history, else by a comparison. GITHUB_TOKEN allows a comment; BENCHER_API_KEY
(or the older BENCHER_API_TOKEN) a report to Bencher. Whatever cannot be reached is a warning.

Exit codes: 0 fine, or nothing could be judged; 1 BLOCK; 2 misuse, or under --strict no verdict.")]
pub struct Report {
    /// The run [default: target/metrics/run.json]
    #[arg(long, value_name = "FILE")]
    pub run: Option<PathBuf>,
    /// The samples of a comparison [default: target/metrics/compare.json]
    #[arg(long, value_name = "FILE")]
    pub comparison: Option<PathBuf>,
    /// The history [default: target/metrics/history.jsonl]
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    /// Another event than the one of this job: to see what would be done
    #[arg(long, value_name = "FILE")]
    pub event: Option<PathBuf>,
    /// Judge and print, and tell nobody
    #[arg(long)]
    pub dry_run: bool,
    /// Exit 2 when it could not be told
    #[arg(long)]
    pub strict: bool,
    /// How long Bencher may take, its retries included
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub patience: u64,
    /// Bencher's project
    #[arg(long, value_name = "SLUG", default_value = "thoughtgate")]
    pub project: String,
    /// Bencher's testbed
    #[arg(long, value_name = "NAME", default_value = "ci-ubuntu-latest")]
    pub testbed: String,
    /// Make project, branches, testbed, measures with their units and thresholds at Bencher, where
    /// they are missing, and report nothing
    #[arg(long)]
    pub setup: bool,
    /// The organization that a new project belongs to [default: the name of the project]
    #[arg(long, value_name = "SLUG", requires = "setup")]
    pub organization: Option<String>,
}

/// What to publish, and where.
#[derive(Debug, Args)]
pub struct Publish {
    /// The run [default: target/metrics/run.json]
    #[arg(long, value_name = "FILE")]
    pub run: Option<PathBuf>,
    /// The branch that holds the history
    #[arg(long, value_name = "NAME", default_value = "metrics-data")]
    pub branch: String,
    /// Add no run, but draw badges and page of what is there anew
    #[arg(long, conflicts_with_all = ["run", "of"])]
    pub refresh: bool,
    /// The branch that was measured [default: the one that is checked out]
    #[arg(long, value_name = "NAME")]
    pub of: Option<String>,
    /// The repository that it is pushed to: a remote of this checkout, or an address
    #[arg(long, value_name = "REMOTE", default_value = "origin")]
    pub remote: String,
}

/// What to write notes of.
#[derive(Debug, Args)]
pub struct Notes {
    /// The version that is released
    #[arg(long, value_name = "VERSION", required_unless_present = "claims")]
    pub version: Option<String>,
    /// The run or the array of the release before [default: nothing is compared]
    #[arg(long, value_name = "FILE", conflicts_with = "claims")]
    pub previous: Option<PathBuf>,
    /// The run [default: target/metrics/run.json]
    #[arg(long, value_name = "FILE")]
    pub run: Option<PathBuf>,
    /// Print the one-line claims instead, each with what the run says of it
    #[arg(long)]
    pub claims: bool,
}

/// Of what to make badges, and where they go.
#[derive(Debug, Args)]
pub struct Badges {
    /// The run [default: target/metrics/run.json]
    #[arg(long, value_name = "FILE")]
    pub run: Option<PathBuf>,
    /// The folder [default: target/metrics/badges]
    #[arg(long, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
}

/// What the page shows.
#[derive(Debug, Args)]
pub struct Page {
    /// The history [default: target/metrics/history.jsonl]
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    /// The branch whose jobs are charted [default: the one that is checked out]
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// The run [default: target/metrics/run.json, if it is there]
    #[arg(long, value_name = "FILE")]
    pub run: Option<PathBuf>,
    /// The samples of a comparison [default: target/metrics/compare.json, if it is there]
    #[arg(long, value_name = "FILE")]
    pub comparison: Option<PathBuf>,
    /// Where it goes [default: target/metrics/index.html]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}
