//! The verdict to report, and its text.
//!
//! A pull request and a release are judged by a comparison on one machine, a commit on `main` by the
//! history of its branch. Without them there is no verdict, and the report says so: never a pass.

use super::files::{Files, read_run};
use super::place::Place;
use crate::metrics::catalog::threshold::Change;
use crate::metrics::catalog::{METRICS, Metric};
use crate::metrics::check::Checked;
use crate::metrics::history::file::History;
use crate::metrics::history::line::Job;
use crate::metrics::judge::history::{Row, Test};
use crate::metrics::judge::verdict::Verdict;
use crate::metrics::judge::{self, TargetVerdict, paired};
use crate::metrics::model::Run;
use crate::metrics::render::comment;

const MAIN: &str = "main";
/// A metric that was measured in one of so many jobs before is missed in this one.
const LOST_JOBS: usize = 30;

/// A verdict, and its report.
pub struct Found {
    /// The greatest verdict; `None` if nothing could be judged.
    pub overall: Option<Verdict>,
    /// The reason why there is no verdict; empty if there is one.
    pub why: String,
    /// The metrics with a verdict above PASS.
    pub named: Vec<Named>,
    /// The text of the summary and the comment, in Markdown.
    pub text: String,
    /// Number of entries of the history that are left out.
    pub left_out: usize,
}

/// A metric with a verdict above PASS.
pub struct Named {
    pub metric: &'static str,
    pub verdict: Verdict,
    /// The commit with which the metric became worse, if the history shows it.
    pub since: Option<String>,
}

impl Found {
    /// Judges the comparison, or on `main` the run, that earlier jobs left.
    ///
    /// # Errors
    /// A comparison or a history that cannot be read.
    pub fn of(place: &Place, files: &Files, run: Option<&Run>) -> anyhow::Result<Found> {
        // A commit on `main` is compared with earlier jobs, and needs no base to be built.
        if let Place::Main { revision } = place {
            return match run {
                Some(run) if run.git.revision.as_ref().is_some_and(|of| of != revision) => {
                    Ok(Found::none("the run is of another commit", Some(run)))
                }
                Some(run) => on_main(files, run, revision),
                None => Ok(Found::none("no metrics were measured", None)),
            };
        }
        let comparison = match read_run(&files.comparison) {
            Ok(Some(comparison)) => comparison,
            Ok(None) => {
                let why = files.not_compared();
                let why = why.unwrap_or_else(|| "there is no comparison".to_owned());
                return Ok(Found::none(&why, run));
            }
            // No error: the metrics of the run can still be reported, without a verdict.
            Err(error) => return Ok(Found::none(&format!("{error:#}"), run)),
        };
        // A run of metrics has the same file format, but no pairs to judge.
        if comparison.looks.is_empty() || !comparison.metrics.is_empty() {
            let why = "the comparison file contains a run of metrics, not a comparison";
            return Ok(Found::none(why, run));
        }
        if let Some(revision) = place.revision() {
            let mut arms = comparison.arms.iter();
            let head = arms.find(|arm| arm.name == paired::HEAD);
            // The file may be of another commit, or forged: only the commit of the event is judged.
            if head.and_then(|arm| arm.revision.as_deref()) != Some(revision) {
                return Ok(Found::none("the comparison is of another commit", run));
            }
        }
        Ok(compared(&comparison, run))
    }

    fn none(why: &str, run: Option<&Run>) -> Found {
        Found {
            overall: None,
            why: why.to_owned(),
            named: Vec::new(),
            text: comment::without_verdict(why, run),
            left_out: 0,
        }
    }
}

/// The metrics without a value in `run`.
pub fn unmeasured(run: &Run) -> Vec<&'static str> {
    let value = |metric: &Metric| run.record(metric)?.value();
    let missing = METRICS.iter().filter(|metric| value(metric).is_none());
    missing.map(|metric| metric.name).collect()
}

fn compared(comparison: &Run, run: Option<&Run>) -> Found {
    let judged = paired::judge_all(comparison);
    let rows = judged.rows.iter();
    let rows = rows.map(|row| (row.metric.name, row.verdict, None));
    // A comparison does not build the image: its targets are checked on the run.
    let missed = run.map(missed_targets).unwrap_or_default();
    let named: Vec<Named> =
        named(rows.chain(missed.iter().map(|name| (*name, Verdict::Alert, None))));
    let greatest = named.iter().map(|named| named.verdict).max();
    let overall = greatest.unwrap_or(Verdict::Pass).max(judged.overall);
    let head = (overall, worst(&named, overall));
    Found {
        overall: Some(overall),
        why: String::new(),
        text: comment::of_comparison(comparison, &judged, (head.0, &head.1), &missed, run),
        left_out: 0,
        named,
    }
}

/// Targets that a run misses, of metrics that do not vary: a comparison does not build the image.
fn missed_targets(run: &Run) -> Vec<&'static str> {
    let missed = METRICS.iter().filter(|metric| {
        let record = run.record(metric);
        !matches!(metric.change(), Change::Tested(_))
            && record.is_some_and(|record| judge::target(metric, record) == TargetVerdict::Missed)
    });
    missed.map(|metric| metric.name).collect()
}

fn on_main(files: &Files, run: &Run, revision: &str) -> anyhow::Result<Found> {
    if !run.complete || run.quick {
        let why = "the run was cut off, or was a quick run";
        return Ok(Found::none(why, Some(run)));
    }
    let past = match History::read(&files.history) {
        Ok(past) => past,
        Err(error) => return Ok(Found::none(&format!("no history: {error:#}"), Some(run))),
    };
    let checked = Checked::of(&past, run, MAIN, Test::Student)?;
    // A metric without a value has no row of its own, so that its loss would go unnoticed.
    let lost = lost(&past, &checked.job);
    let rows = checked.rows.iter();
    let since = |row: &Row| row.since.clone().or_else(|| Some(revision.to_owned()));
    let rows = rows.map(|row| (row.metric.name, row.verdict, since(row)));
    let unknown = lost.iter().map(|name| (*name, Verdict::Inconclusive, None));
    let named = named(rows.chain(unknown));
    let greatest = named.iter().map(|named| named.verdict).max();
    let overall = greatest.unwrap_or(Verdict::Pass).max(checked.overall());
    let worst = worst(&named, overall);
    Ok(Found {
        overall: Some(overall),
        why: String::new(),
        text: comment::of_check(
            (&checked.job, checked.comparable, &checked.rows),
            (overall, &worst),
            &lost,
            run,
        ),
        left_out: past.left_out().len(),
        named,
    })
}

/// Metrics that one of the last jobs measured, and this one did not: they may have become worse.
fn lost(past: &History, job: &Job) -> Vec<&'static str> {
    let others = past.jobs.iter().filter(|other| {
        other.branch == job.branch && (other.started, &other.sha256) != (job.started, &job.sha256)
    });
    let others: Vec<&Job> = others.collect();
    // Not only the job before: a metric that is lost twice in a row would be forgotten.
    let recent = &others[others.len().saturating_sub(LOST_JOBS)..];
    let has = |job: &Job, metric: &Metric| job.metrics.contains_key(metric.name);
    let lost = METRICS
        .iter()
        .filter(|metric| recent.iter().any(|other| has(other, metric)) && !has(job, metric));
    lost.map(|metric| metric.name).collect()
}

fn named(rows: impl Iterator<Item = (&'static str, Verdict, Option<String>)>) -> Vec<Named> {
    rows.filter(|(_, verdict, _)| *verdict > Verdict::Pass)
        .map(|(metric, verdict, since)| Named {
            metric,
            verdict,
            since,
        })
        .collect()
}

/// The metrics that the overall verdict is about.
fn worst(named: &[Named], overall: Verdict) -> Vec<&'static str> {
    let worst = named.iter().filter(|named| named.verdict == overall);
    worst.map(|named| named.metric).collect()
}
