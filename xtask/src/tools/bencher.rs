//! The `bencher` CLI: sends a report, and interprets the result.
//!
//! The CLI has one exit code, 1, for an alert, an outage, a rejected key and a failed comment; they differ in
//! standard output and in the text of the error. Its own time limits only cover the connection: it would
//! wait forever for a server that accepts and never answers, so it gets a deadline here.

mod answer;
mod sent;

use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use xshell::{Cmd, Shell, cmd};

use super::process::{self, Launch, Output};
use sent::{Failure, KEY, TOKEN};

pub use sent::{Alert, Sent};

/// Time limit of a small request.
const REQUEST: Duration = Duration::from_secs(60);
/// Options that limit the CLI's retries: four attempts, 1, 2 and 4 seconds apart.
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
const HOST: &str = "BENCHER_HOST";

/// The key or token for Bencher. It is passed to the CLI in its environment, never on its command line.
pub struct Credential {
    variable: &'static str,
    secret: String,
}

impl Credential {
    /// The key, else the older token; `None` if neither is set. The CLI rejects both at once.
    pub fn of_environment() -> Option<Credential> {
        let of = |variable| {
            let secret = std::env::var(variable).ok()?;
            (!secret.trim().is_empty()).then_some(Credential { variable, secret })
        };
        of(KEY).or_else(|| of(TOKEN))
    }

    /// `text` without the secret: the CLI quotes a key that it cannot parse.
    fn hidden_in(&self, text: &str) -> String {
        text.replace(self.secret.trim(), "…")
    }
}

/// A report to be sent.
pub struct Report<'a> {
    /// The slug of the project.
    pub project: &'a str,
    pub branch: &'a str,
    /// The measured commit.
    pub hash: &'a str,
    pub start: Start<'a>,
    pub testbed: &'a str,
    /// The metrics, in the Bencher Metric Format.
    pub file: &'a Path,
    /// One per measure.
    pub thresholds: &'a [Threshold],
}

/// The history that a report continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start<'a> {
    /// That of its branch.
    Continued,
    /// None: the branch starts again with this report.
    Reset,
    /// That of another branch, up to a commit of it.
    From(&'a str, &'a str),
}

/// A threshold beyond which Bencher alerts. The server keeps thresholds that a report does not name forever,
/// so each report names all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// The slug of the measure.
    pub measure: String,
    /// `percentage`, `t_test` or `static`.
    pub test: &'static str,
    /// Number of latest values that the test uses; `None` for a test without this limit.
    pub samples_max: Option<u32>,
    /// Lower boundary: a share, a confidence level or a value, depending on the test.
    pub lower: Option<f64>,
    /// Upper boundary, likewise.
    pub upper: Option<f64>,
}

/// Sends a report, and waits no longer than `deadline`. Every failure is part of the result, except an
/// interruption.
pub fn send(
    report: &Report<'_>,
    credential: &Credential,
    deadline: Duration,
) -> anyhow::Result<Sent> {
    let sh = Shell::new()?;
    match run(cli(sending(&sh, report), credential), deadline)? {
        Ok(output) => Ok(answer::classify(
            output.status.code(),
            &output.stdout.text(),
            &credential.hidden_in(&output.stderr.text()),
        )),
        Err(sent) => Ok(sent),
    }
}

/// Runs the CLI with other arguments, and returns its standard output.
///
/// # Errors
/// The message of the CLI, also if something to be created exists already.
pub fn ask(arguments: &[&str], credential: &Credential) -> anyhow::Result<String> {
    let sh = Shell::new()?;
    let command = cmd!(sh, "bencher {arguments...} {PATIENCE...}");
    let output = cli(command, credential).run(REQUEST)?;
    let printed = output.stdout.text();
    output
        .success()
        .map(|_| printed)
        .map_err(|error| anyhow!(credential.hidden_in(&format!("{error:#}"))))
}

/// A command of the CLI, which gets the credential in its environment.
fn cli(command: Cmd<'_>, credential: &Credential) -> Launch {
    let launch = Launch::from(command).env(credential.variable, &credential.secret);
    // `Launch` removes all `BENCHER_*` variables, but a server that the user chose has to be kept.
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
        // The deadline has passed.
        Err(error) => Ok(Err(Sent::Failed(Failure::Outage, format!("{error:#}")))),
    }
}

fn sending<'s>(sh: &'s Shell, report: &Report<'_>) -> Cmd<'s> {
    let Report {
        project,
        branch,
        hash,
        testbed,
        file,
        ..
    } = report;
    let start = match report.start {
        Start::Continued => vec![],
        Start::Reset => vec!["--start-point-reset"],
        Start::From(branch, hash) => vec![
            "--start-point",
            branch,
            "--start-point-hash",
            hash,
            "--start-point-reset",
        ],
    };
    let thresholds = report.thresholds.iter().flat_map(threshold);
    cmd!(
        sh,
        "bencher run --project {project} --branch {branch} --hash {hash} --testbed {testbed}
            --adapter json --file {file} --format json --quiet {start...} {PATIENCE...}
            --thresholds-reset {thresholds...}"
    )
}

/// The CLI matches its lists by position: `_` stands for a value that a threshold does not have.
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
        // No time window: old values count, too.
        "--threshold-window".to_owned(),
        "_".to_owned(),
    ]
}

/// The version of the CLI; `None` if it is not installed.
pub fn version() -> Option<String> {
    let sh = Shell::new().ok()?;
    let output = Launch::from(cmd!(sh, "bencher --version")).run(REQUEST);
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
