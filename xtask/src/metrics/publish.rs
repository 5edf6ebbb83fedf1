//! `cargo xtask metrics publish`: adds a run, or an accepted change of level, to the history on a branch
//! of the repository, redraws the badges and the page, and pushes.
//!
//! If another job pushes first, its commits are fetched, and the change is made again on top of them.

use std::fs::DirEntry;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::history::file::{self, History};
use super::history::line::{Job, Line};
use super::model::{Run, is_future};
use super::report::annotate;
use super::{badges, history, page, store};
use crate::clock;
use crate::exit::Exit;
use crate::flags;
use crate::interrupt;
use crate::say::say;
use crate::tools::git::Repository;
use crate::tools::scratch::Scratch;
use crate::workspace;

/// Attempts to push: other jobs may push first.
const ATTEMPTS: u32 = 6;
/// Pause after a failed attempt, times its number: the job that pushed first may have more to push.
const PAUSE: Duration = Duration::from_millis(300);
/// File with the last run of `main`, which badges and page show.
const RUN: &str = "run.json";
/// File with the comparison of the last release, which the page shows.
const COMPARISON: &str = "compare.json";
const MAIN: &str = "main";

/// A change to the branch.
enum Change {
    /// A run becomes part of the history; that of a release with its comparison.
    Add(Box<Added>),
    /// A change of level is accepted: the new level becomes the baseline.
    Accept {
        metric: String,
        commit: String,
        reason: String,
    },
    /// Badges and page are redrawn as of today; the history stays as it is.
    Refresh,
}

struct Added {
    run: Run,
    job: Job,
    comparison: Option<Run>,
}

pub fn run(flags: &flags::Publish) -> anyhow::Result<Exit> {
    interrupt::install()?;
    // Once, before the loop: each attempt makes the same change on top of other commits.
    let change = Change::of(flags)?;
    let branch = &flags.branch;
    let folder = Scratch::new("the branch of the metrics")?;
    let repository = Repository::beside(&workspace::root()?, folder.path(), &flags.remote)?;
    for attempt in 1.. {
        interrupt::check()?;
        repository.take(branch)?;
        // Again in each attempt, since others may have changed the branch.
        check_branch(folder.path(), branch)?;
        let Some(message) = change.make(folder.path())? else {
            return Ok(Exit::Fine(format!("`{branch}` has this run already")));
        };
        // Drawn from the files of the folder, so that the page also shows what others have pushed.
        draw(folder.path())?;
        if repository.push(branch, &message)? {
            return Ok(Exit::Fine(format!("pushed to the branch `{branch}`")));
        }
        if attempt >= ATTEMPTS {
            bail!(
                "failed to push to `{branch}`: others pushed first in all {ATTEMPTS} attempts; try again later"
            );
        }
        say!("`{branch}` has new commits: fetching them, and trying again");
        interrupt::rest(PAUSE * attempt)?;
    }
    unreachable!("the attempts are counted")
}

/// Refuses a branch with other files than a history, which would be overwritten, and a symlink, through
/// which files outside the folder would be.
fn check_branch(folder: &Path, branch: &str) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("failed to read `{}`", folder.display()))?;
    let entries: Vec<DirEntry> = entries.flatten().collect();
    let is_link = |entry: &DirEntry| entry.file_type().is_ok_and(|kind| kind.is_symlink());
    if let Some(link) = entries.iter().find(|entry| is_link(entry)) {
        let name = link.file_name();
        bail!("`{}` on the branch `{branch}` is a symlink", name.display());
    }
    let is_empty = entries.iter().all(|entry| entry.file_name() == ".git");
    let path = folder.join(history::FILE);
    let is_history = path.exists() && !History::read(&path)?.is_foreign();
    ensure!(
        is_empty || is_history,
        "the branch `{branch}` has files, but no valid history.jsonl; name the branch that holds the history with --branch"
    );
    Ok(())
}

impl Change {
    fn of(flags: &flags::Publish) -> anyhow::Result<Change> {
        if flags.refresh {
            return Ok(Change::Refresh);
        }
        if let (Some(metric), Some(commit), Some(reason)) =
            (&flags.accept, &flags.commit, &flags.reason)
        {
            return Ok(Change::Accept {
                metric: metric.clone(),
                commit: commit.clone(),
                reason: reason.clone(),
            });
        }
        let run = history::last_run(flags.run.as_deref())?;
        ensure!(
            run.complete && !run.quick,
            "a run that was cut off, or a quick run, cannot be added to a history"
        );
        let job = Job::of(&run, &history::branch(flags.of.as_deref())?);
        let comparison = flags
            .comparison
            .as_deref()
            .map(|path| history::last_run(Some(path)));
        Ok(Change::Add(Box::new(Added {
            run,
            job,
            comparison: comparison.transpose()?,
        })))
    }

    /// Makes the change in `folder`. Returns the commit message, or `None` if there was nothing to change.
    fn make(&self, folder: &Path) -> anyhow::Result<Option<String>> {
        let path = folder.join(history::FILE);
        match self {
            Change::Refresh => Ok(Some("Redraw badges and page".to_owned())),
            Change::Accept {
                metric,
                commit,
                reason,
            } => {
                let line = history::accepted(&path, metric, commit, reason)?;
                file::append(&path, &Line::Accept(line))?;
                Ok(Some(format!("Accept {metric} as of {commit}")))
            }
            Change::Add(added) => {
                let Added {
                    run,
                    job,
                    comparison,
                } = &**added;
                if !add(folder, run, job)? {
                    return Ok(None);
                }
                // A commit on `main` is judged by its history and has no comparison to show.
                if let (Some(comparison), true) = (comparison, job.branch != MAIN) {
                    store::save(&folder.join(COMPARISON), &shown(comparison).to_text())?;
                }
                let commit = job.revision.as_deref().unwrap_or("an unknown commit");
                Ok(Some(format!("Add the metrics of {commit}")))
            }
        }
    }
}

/// Adds a job to the history in `folder`, and returns whether it was new.
fn add(folder: &Path, run: &Run, job: &Job) -> anyhow::Result<bool> {
    let path = folder.join(history::FILE);
    let past = History::read(&path)?;
    if past.has(job) {
        return Ok(false);
    }
    file::append(&path, &Line::Job(Box::new(job.clone()))).context("failed to add the run")?;
    let last = last(folder, RUN)?;
    if job.branch == MAIN && replaces(run, last.as_ref(), clock::seconds()) {
        store::save(&folder.join(RUN), &shown(run).to_text())?;
    }
    Ok(true)
}

/// Whether badges and page show `run` from now on: not if it is older than the run that they show (a job
/// was started again), nor if it lacks a metric that they show. Old figures are marked as stale. A run of
/// the future, by a wrong clock, is not newer than others.
fn replaces(run: &Run, last: Option<&Run>, now: u64) -> bool {
    last.is_none_or(|last| {
        let lacks = |name: &String| {
            let mut records = run.metrics.iter();
            !records.any(|record| record.name == *name && record.value().is_some())
        };
        let measured = last
            .metrics
            .iter()
            .filter(|record| record.value().is_some());
        // A shown run of the future would otherwise stay until that time comes.
        let is_newer = run.started >= last.started || is_future(last.started, now);
        is_newer && !measured.map(|record| &record.name).any(lacks)
    })
}

/// A copy without the raw output of the tools, which is most of a run and is not shown.
fn shown(run: &Run) -> Run {
    Run {
        raw: Vec::new(),
        ..run.clone()
    }
}

/// A run in `folder`, if the file exists. One that cannot be read is replaced by the next one: the history
/// goes on without it.
fn last(folder: &Path, name: &str) -> anyhow::Result<Option<Run>> {
    let path = folder.join(name);
    if !path.exists() {
        return Ok(None);
    }
    annotate::soft(history::last_run(Some(&path)), |error| {
        format!("`{name}` on the branch is not shown: {error:#}")
    })
}

/// Draws badges and page from the files in `folder`.
fn draw(folder: &Path) -> anyhow::Result<()> {
    let past = History::read(&folder.join(history::FILE))?;
    let (run, comparison) = (last(folder, RUN)?, last(folder, COMPARISON)?);
    if let Some(run) = &run {
        badges::write(run, &folder.join("badges"))?;
    }
    let page = folder.join("index.html");
    page::write(&past, MAIN, run.as_ref(), comparison.as_ref(), &page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalog::{BINARY_SIZE, LATENCY_P50, Tier};
    use crate::metrics::model::Value;
    use crate::metrics::render::fixture;

    #[test]
    fn badges_keep_a_figure_that_a_newer_run_lacks_and_older_runs_replace_none() {
        let run = |started: u64, metrics: &[&_]| {
            let mut run = fixture::run(&[Tier::One]);
            run.started = started;
            for metric in metrics {
                fixture::set(&mut run, metric, Value::Float(2.0), None);
            }
            run
        };
        let last = run(10, &[&LATENCY_P50]);
        let replaces = |run: &Run, last| replaces(run, last, 100);
        assert!(replaces(&run(1, &[]), None));
        assert!(replaces(
            &run(11, &[&LATENCY_P50, &BINARY_SIZE]),
            Some(&last)
        ));
        assert!(!replaces(&run(11, &[&BINARY_SIZE]), Some(&last)));
        assert!(!replaces(&run(9, &[&LATENCY_P50]), Some(&last)));
        let of_the_future = run(1_000_000, &[&LATENCY_P50]);
        assert!(replaces(&run(11, &[&LATENCY_P50]), Some(&of_the_future)));
    }
}
