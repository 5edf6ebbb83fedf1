//! What there is to tell: the verdict that belongs to a place, and its text.
//!
//! A pull request and a release are judged by a comparison on one machine; a commit on `main` by the
//! history of its branch. What is missing there gives no verdict, and says so: never a pass.

use super::place::Place;
use super::{Files, read_run};
use crate::metrics::check::Checked;
use crate::metrics::history;
use crate::metrics::history::file::History;
use crate::metrics::judge::history::Test;
use crate::metrics::judge::paired;
use crate::metrics::judge::verdict::Verdict;
use crate::metrics::model::Run;
use crate::metrics::render::comment;

/// A verdict, and what is told of it.
pub struct Found {
    /// The greatest verdict; none where nothing could be judged.
    pub overall: Option<Verdict>,
    /// Why there is none.
    pub why: String,
    /// The metrics with a verdict above PASS, and that verdict.
    pub named: Vec<(&'static str, Verdict)>,
    /// For the summary and the comment, in Markdown.
    pub text: String,
}

impl Found {
    /// Judges what is there.
    ///
    /// # Errors
    /// A comparison, or a history, that cannot be read.
    pub fn of(place: &Place, files: &Files, run: Option<&Run>) -> anyhow::Result<Found> {
        match place {
            Place::Main { .. } => match run {
                Some(run) => on_main(files, run),
                None => Ok(Found::none("no metrics were measured", None)),
            },
            _ => match read_run(&files.comparison)? {
                Some(comparison)
                    if !comparison.looks.is_empty() && comparison.metrics.is_empty() =>
                {
                    Ok(compared(&comparison, run))
                }
                Some(_) => Ok(Found::none(
                    "the file of the comparison is a run of metrics",
                    run,
                )),
                None => Ok(Found::none("there is no comparison", run)),
            },
        }
    }

    fn none(why: &str, run: Option<&Run>) -> Found {
        Found {
            overall: None,
            why: why.to_owned(),
            named: Vec::new(),
            text: run.map_or_else(
                || format!("### No verdict: {why}\n"),
                |run| comment::of_run(why, run),
            ),
        }
    }
}

fn compared(comparison: &Run, run: Option<&Run>) -> Found {
    let judged = paired::judge_all(comparison);
    let rows = judged.rows.iter();
    Found {
        overall: Some(judged.overall),
        why: String::new(),
        named: rows
            .filter(|row| row.verdict > Verdict::Pass)
            .map(|row| (row.metric.name, row.verdict))
            .collect(),
        text: comment::of_comparison(comparison, &judged, run),
    }
}

fn on_main(files: &Files, run: &Run) -> anyhow::Result<Found> {
    if !run.complete || run.quick {
        return Ok(Found::none(
            "the run was cut off, or is a quick one",
            Some(run),
        ));
    }
    let past: History = history::read(&files.history)?;
    let checked = Checked::of(&past, run, "main", Test::Student)?;
    let rows = checked.rows.iter();
    Ok(Found {
        overall: Some(checked.overall()),
        why: String::new(),
        named: rows
            .filter(|row| row.verdict > Verdict::Pass)
            .map(|row| (row.metric.name, row.verdict))
            .collect(),
        text: comment::of_check(&checked.job, checked.comparable, &checked.rows, run),
    })
}
