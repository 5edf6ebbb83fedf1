//! `cargo xtask metrics publish`: adds a run to the history on a branch of the repository, with the
//! badges and the page that show it, and pushes.
//!
//! Others may push meanwhile: what they added is fetched, and the run added to it again.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};

use super::history::file::{self, History};
use super::history::line::{Job, Line};
use super::model::Run;
use super::{badges, history, page, store};
use crate::exit::Exit;
use crate::flags;
use crate::interrupt;
use crate::say::say;
use crate::tools::git::Repository;
use crate::tools::scratch::Scratch;
use crate::workspace;

/// How often others may be faster.
const ATTEMPTS: u32 = 6;
/// The last run of `main`, which badges and page show.
const RUN: &str = "run.json";
const MAIN: &str = "main";

/// Adds, draws, commits and pushes.
pub fn run(flags: &flags::Publish) -> anyhow::Result<Exit> {
    interrupt::install()?;
    let added = if flags.refresh {
        None
    } else {
        Some(added(flags)?)
    };
    let branch = &flags.branch;
    let folder = Scratch::new("the branch of the metrics")?;
    let repository = Repository::beside(&workspace::root()?, folder.path(), &flags.remote)?;
    for attempt in 1.. {
        interrupt::check()?;
        repository.take(branch)?;
        let message = match &added {
            Some((run, job)) => {
                if !add(folder.path(), run, job)? {
                    return Ok(Exit::Fine(format!("`{branch}` has this run already")));
                }
                let commit = job.revision.as_deref().unwrap_or("an unknown commit");
                format!("Add the metrics of {commit}")
            }
            None => "Draw badges and page anew".to_owned(),
        };
        draw(folder.path())?;
        if repository.push(branch, &message)? {
            return Ok(Exit::Fine(format!("pushed to the branch `{branch}`")));
        }
        if attempt >= ATTEMPTS {
            bail!("others pushed to `{branch}` each of {ATTEMPTS} times: push again later");
        }
        say!("`{branch}` has moved on: adding to what it is now");
    }
    unreachable!("the attempts are counted")
}

/// The run that is asked for, and the job that it is.
fn added(flags: &flags::Publish) -> anyhow::Result<(Run, Job)> {
    let run = history::last_run(flags.run.as_deref())?;
    ensure!(
        run.complete && !run.quick,
        "a run that was cut off, or a quick one, is no part of a history"
    );
    let job = Job::of(&run, &history::branch(flags.of.as_deref())?);
    Ok((run, job))
}

/// Adds a job to the history in `folder`; whether it was not there yet.
fn add(folder: &Path, run: &Run, job: &Job) -> anyhow::Result<bool> {
    let path = folder.join(history::FILE);
    let past = History::read(&path)?;
    ensure!(
        !past.is_foreign(),
        "the branch holds something else than a history"
    );
    if past.jobs.contains(job) {
        return Ok(false);
    }
    file::append(&path, &Line::Job(Box::new(job.clone()))).context("failed to add the run")?;
    if job.branch == MAIN {
        // What the tools printed is not shown, and is most of it.
        let shown = Run {
            raw: Vec::new(),
            ..run.clone()
        };
        store::save(&folder.join(RUN), &shown.to_text())?;
    }
    Ok(true)
}

/// Badges and page of what is in `folder`.
fn draw(folder: &Path) -> anyhow::Result<()> {
    let past = History::read(&folder.join(history::FILE))?;
    let path = folder.join(RUN);
    let run = if path.exists() {
        Some(history::last_run(Some(&path))?)
    } else {
        None
    };
    if let Some(run) = &run {
        badges::write(run, &folder.join("badges"))?;
    }
    page::write(&past, MAIN, run.as_ref(), None, &folder.join("index.html"))
}
