//! `cargo xtask metrics history`: the record of jobs that later ones are compared with.

pub mod file;
pub mod line;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use super::model::Run;
use super::{catalog, measure, render, store};
use crate::clock;
use crate::exit::{self, Exit};
use crate::flags::{self, HistoryCommand};
use crate::say::say;
use crate::tools::{cargo, git};
use crate::workspace;
use file::History;
use line::{Accept, Job, Line, SCHEMA};

/// The file, below the results.
pub const FILE: &str = "history.jsonl";
/// The branch where none is checked out.
const DETACHED: &str = "detached";

/// Dispatches.
pub fn run(flags: &flags::History) -> anyhow::Result<Exit> {
    let path = path(flags.file.as_deref())?;
    match &flags.command {
        HistoryCommand::Add(flags) => add(&path, flags),
        HistoryCommand::Show => {
            let history = read(&path)?;
            exit::print(&render::history::list(&history))?;
            Ok(Exit::Fine(format!("{} jobs", history.jobs.len())))
        }
        HistoryCommand::Accept(flags) => accept(&path, flags),
        HistoryCommand::Export => {
            let history = read(&path)?;
            exit::print(&render::history::csv(&history))?;
            Ok(Exit::Fine(format!("{} jobs", history.jobs.len())))
        }
    }
}

/// The file that was named, or the one of the results.
pub fn path(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path.to_path_buf());
    }
    let target = cargo::target_dir(&workspace::root()?);
    Ok(target.join(measure::RESULTS).join(FILE))
}

/// Reads a history, and warns of what could not be read of it.
pub fn read(path: &Path) -> anyhow::Result<History> {
    let history = History::read(path)?;
    for why in &history.unread {
        say!("warning: `{}`: {why}", workspace::shown(path));
    }
    Ok(history)
}

/// The run that is added or judged: the one that was named, or the last one here.
pub fn last_run(named: Option<&Path>) -> anyhow::Result<Run> {
    let path = match named {
        Some(path) => path.to_path_buf(),
        None => cargo::target_dir(&workspace::root()?)
            .join(measure::RESULTS)
            .join("run.json"),
    };
    let shown = workspace::shown(&path);
    let text = store::read(&path).with_context(|| {
        format!("there is no run in `{shown}`: `cargo xtask metrics` makes one")
    })?;
    Run::parse(&text).with_context(|| format!("failed to read `{shown}`"))
}

/// The branch that was named, or the one that is checked out.
pub fn branch(named: Option<&str>) -> anyhow::Result<String> {
    if let Some(branch) = named {
        return Ok(branch.to_owned());
    }
    let branch = git::branch(&workspace::root()?);
    Ok(branch.unwrap_or_else(|| DETACHED.to_owned()))
}

fn add(path: &Path, flags: &flags::HistoryAdd) -> anyhow::Result<Exit> {
    let run = last_run(flags.run.as_deref())?;
    ensure!(
        run.complete,
        "a run that was cut off is no part of a history"
    );
    ensure!(!run.quick, "a quick run is no part of a history");
    let branch = branch(flags.branch.as_deref())?;
    let job = Job::of(&run, &branch);
    ensure!(!job.metrics.is_empty(), "the run has no metric");
    let count = job.metrics.len();
    let (past, shown) = (History::read(path)?, workspace::shown(path));
    ensure!(
        !past.is_foreign(),
        "`{shown}` is no history: name another file with --file"
    );
    if past.jobs.contains(&job) {
        return Ok(Exit::Fine(format!("`{shown}` has this run already")));
    }
    file::append(path, &Line::Job(Box::new(job)))?;
    Ok(Exit::Fine(format!(
        "{count} metrics of `{branch}` added to `{shown}`"
    )))
}

fn accept(path: &Path, flags: &flags::HistoryAccept) -> anyhow::Result<Exit> {
    let metric = catalog::find(&flags.metric).with_context(|| {
        let name = &flags.metric;
        format!("there is no metric `{name}`: `cargo xtask metrics list` prints those there are")
    })?;
    ensure!(!flags.reason.trim().is_empty(), "give a reason");
    let history = read(path)?;
    ensure!(
        flags.commit.len() >= 7,
        "`{}` is too short: give seven digits of the commit or more",
        flags.commit
    );
    let mut commits = history.jobs.iter().filter_map(|job| job.revision.as_ref());
    let revision = commits
        .find(|revision| revision.starts_with(&flags.commit.to_lowercase()))
        .with_context(|| {
            let (commit, shown) = (&flags.commit, workspace::shown(path));
            format!("no job in `{shown}` is of the commit `{commit}`: `history show` lists those there are")
        })?;
    let line = Accept {
        schema: SCHEMA,
        metric: metric.name.to_owned(),
        revision: revision.clone(),
        reason: flags.reason.clone(),
        accepted: clock::seconds(),
    };
    file::append(path, &Line::Accept(line))?;
    Ok(Exit::Fine(format!(
        "`{}` has a new baseline from {}",
        metric.name, flags.commit
    )))
}
