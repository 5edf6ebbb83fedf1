//! The `bencher` CLI: sends a report, and what its answer means.
//!
//! Its exit code 1 means an alert, an outage, a refused key or a failed comment alike; standard output
//! and the text of its errors tell which. Its own time limits cover the connection alone, so that a
//! server that accepts and never answers would hold it for ever: it has a deadline here.

mod answer;

use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;

use super::process::{self, Launch, Output};

/// For a small request.
const REQUEST: Duration = Duration::from_secs(60);
/// What bounds the CLI's own patience: four attempts, 1, 2 and 4 seconds apart.
const PATIENCE: [&str; 8] = [
    "--attempts",
    "4",
    "--retry-after",
    "1",
    "--max-retry-after",
    "8",
    "--timeout",
    "10",
];
const KEY: &str = "BENCHER_API_KEY";
const TOKEN: &str = "BENCHER_API_TOKEN";
const HOST: &str = "BENCHER_HOST";

/// Who reports. It goes to the CLI in its environment, never on its command line.
pub struct Credential {
    variable: &'static str,
    secret: String,
}

impl Credential {
    /// The key, else the older token; none when neither is set. The CLI refuses both at once.
    pub fn of_environment() -> Option<Credential> {
        let of = |variable| {
            let secret = std::env::var(variable).ok()?;
            (!secret.trim().is_empty()).then_some(Credential { variable, secret })
        };
        of(KEY).or_else(|| of(TOKEN))
    }

    /// A text without the secret: the CLI quotes a key that it cannot read.
    fn hidden_in(&self, text: &str) -> String {
        text.replace(self.secret.trim(), "…")
    }
}

/// A report to be sent.
pub struct Report<'a> {
    /// The project's slug.
    pub project: &'a str,
    /// The branch's name.
    pub branch: &'a str,
    /// The commit.
    pub hash: &'a str,
    /// Where the branch begins anew.
    pub start: Start<'a>,
    /// The testbed's name.
    pub testbed: &'a str,
    /// The Bencher Metric Format.
    pub file: &'a Path,
    /// One for each measure.
    pub thresholds: &'a [Threshold],
}

/// What the history of a branch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start<'a> {
    /// It goes on.
    Continued,
    /// It begins with this report.
    Reset,
    /// It is that of another branch up to a commit, and this report.
    From(&'a str, &'a str),
}

/// What Bencher alerts on. Everything that it is not told stays as it is at the server for ever, so
/// each report names all thresholds.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// The measure's slug.
    pub measure: String,
    /// `percentage`, `t_test` or `static`.
    pub test: &'static str,
    /// How many values of the history count; none where the test takes none.
    pub samples_max: Option<u32>,
    /// The boundary below.
    pub lower: Option<f64>,
    /// The boundary above.
    pub upper: Option<f64>,
}

/// What became of a report.
#[derive(Debug, Clone, PartialEq)]
pub enum Sent {
    /// It is stored.
    Stored {
        /// What Bencher found beyond its thresholds: benchmark and side.
        alerts: Vec<String>,
        /// The identifier of the report.
        report: String,
        /// What went wrong after it was stored.
        complaint: Option<String>,
    },
    /// It is not.
    Failed(Failure, String),
}

/// Why a report is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// There is no CLI here.
    Missing,
    /// It does not answer, or answers that it cannot.
    Outage,
    /// The key or token is not accepted.
    Credentials,
    /// The report is not accepted.
    Refused,
    /// It said it was stored, and the answer makes no sense.
    Nonsense,
}

impl Failure {
    /// What happened, in words.
    pub fn describe(self) -> &'static str {
        match self {
            Failure::Missing => "the `bencher` CLI is not installed",
            Failure::Outage => "Bencher cannot be reached",
            Failure::Credentials => "Bencher does not accept the key",
            Failure::Refused => "Bencher refused the report",
            Failure::Nonsense => "Bencher answered something that is no report",
        }
    }
}

/// Sends a report, and waits no longer than `deadline`. All that can go wrong is part of the result,
/// except an interruption.
pub fn send(
    report: &Report<'_>,
    credential: &Credential,
    deadline: Duration,
) -> anyhow::Result<Sent> {
    let launch = cli(credential).args(arguments(report));
    match run(launch, deadline)? {
        Ok(output) => Ok(answer::classify(
            output.status.code(),
            &output.stdout.text(),
            &credential.hidden_in(&output.stderr.text()),
        )),
        Err(sent) => Ok(sent),
    }
}

/// Runs the CLI with other arguments; its standard output.
///
/// # Errors
/// With what it printed, as it is: also that something is there already.
pub fn ask(arguments: &[&str], credential: &Credential) -> anyhow::Result<String> {
    let launch = cli(credential).args(arguments).args(PATIENCE);
    let output = launch.run(REQUEST)?;
    let printed = output.stdout.text();
    output
        .success()
        .map(|_| printed)
        .map_err(|error| anyhow!(credential.hidden_in(&format!("{error:#}"))))
}

fn cli(credential: &Credential) -> Launch {
    let launch = Launch::new("bencher").env(credential.variable, &credential.secret);
    match std::env::var(HOST) {
        Ok(host) if !host.is_empty() => launch.env(HOST, host),
        _ => launch,
    }
}

fn run(launch: Launch, deadline: Duration) -> anyhow::Result<Result<Output, Sent>> {
    match launch.run(deadline) {
        Ok(output) => Ok(Ok(output)),
        Err(error) if crate::interrupt::cause(&error).is_some() => Err(error),
        Err(error) if process::is_missing(&error) => Ok(Err(Sent::Failed(
            Failure::Missing,
            "see https://bencher.dev/docs/how-to/install-cli".to_owned(),
        ))),
        // The deadline.
        Err(error) => Ok(Err(Sent::Failed(Failure::Outage, format!("{error:#}")))),
    }
}

fn arguments(report: &Report<'_>) -> Vec<String> {
    let file = report.file.to_string_lossy();
    let mut arguments = vec![
        "run",
        "--project",
        report.project,
        "--branch",
        report.branch,
        "--hash",
        report.hash,
        "--testbed",
        report.testbed,
        "--adapter",
        "json",
        "--file",
        &file,
        "--format",
        "json",
        "--quiet",
    ];
    match report.start {
        Start::Continued => {}
        Start::Reset => arguments.push("--start-point-reset"),
        Start::From(branch, hash) => arguments.extend([
            "--start-point",
            branch,
            "--start-point-hash",
            hash,
            "--start-point-reset",
        ]),
    }
    arguments.extend(PATIENCE);
    let mut arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
    arguments.push("--thresholds-reset".to_owned());
    arguments.extend(report.thresholds.iter().flat_map(threshold));
    arguments
}

/// The lists of the CLI are read side by side, so that what a measure has not is a `_`.
fn threshold(threshold: &Threshold) -> [String; 12] {
    let number = |number: Option<f64>| number.map_or("_".to_owned(), |number| number.to_string());
    [
        "--threshold-measure".to_owned(),
        threshold.measure.clone(),
        "--threshold-test".to_owned(),
        threshold.test.to_owned(),
        "--threshold-max-sample-size".to_owned(),
        threshold
            .samples_max
            .map_or("_".to_owned(), |samples| samples.to_string()),
        "--threshold-lower-boundary".to_owned(),
        number(threshold.lower),
        "--threshold-upper-boundary".to_owned(),
        number(threshold.upper),
        // Of all history.
        "--threshold-window".to_owned(),
        "_".to_owned(),
    ]
}

/// The version of the CLI; none where there is none.
pub fn version() -> Option<String> {
    let output = Launch::new("bencher").arg("--version").run(REQUEST);
    let output = output.and_then(Output::success).ok()?;
    Some(output.stdout.text().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_measure_has_its_place_in_all_lists() {
        let threshold = super::threshold(&Threshold {
            measure: "throughput-rps-10vu".to_owned(),
            test: "percentage",
            samples_max: Some(64),
            lower: Some(0.1),
            upper: None,
        });
        assert_eq!(
            threshold.join(" "),
            "--threshold-measure throughput-rps-10vu --threshold-test percentage \
             --threshold-max-sample-size 64 --threshold-lower-boundary 0.1 \
             --threshold-upper-boundary _ --threshold-window _"
        );
    }
}
