//! `cargo xtask metrics history`: the record of earlier jobs, with which later ones are compared.

pub mod file;
pub mod line;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use super::catalog::Metric;
use super::model::{Run, is_future};
use super::{catalog, digest, measure, render, store};
use crate::clock;
use crate::exit::{self, Exit};
use crate::flags::{self, HistoryCommand};
use crate::say::say;
use crate::tools::{cargo, git};
use crate::workspace;
use file::History;
use line::{Accept, Job, Line, SCHEMA};

/// The default file, in the directory of results.
pub const FILE: &str = "history.jsonl";
/// The branch of a job when no branch is checked out.
const DETACHED: &str = "detached";

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

/// The file that was named, or the default one.
pub fn path(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path.to_path_buf());
    }
    let target = cargo::target_dir(&workspace::root()?);
    Ok(target.join(measure::RESULTS).join(FILE))
}

/// Reads a history, and warns of entries that are left out.
pub fn read(path: &Path) -> anyhow::Result<History> {
    let history = History::read(path)?;
    for why in history.left_out() {
        say!("warning: `{}`: {why}", workspace::shown(path));
    }
    Ok(history)
}

/// The run that is added or judged: the one that was named, or the last one of this checkout.
pub fn last_run(named: Option<&Path>) -> anyhow::Result<Run> {
    let path = match named {
        Some(path) => path.to_path_buf(),
        None => cargo::target_dir(&workspace::root()?)
            .join(measure::RESULTS)
            .join("run.json"),
    };
    let shown = workspace::shown(&path);
    let text = store::read(&path).with_context(|| {
        format!("there is no run in `{shown}`: measure with `cargo xtask metrics`")
    })?;
    let run = Run::parse(&text).with_context(|| format!("failed to read `{shown}`"))?;
    if is_future(run.started, clock::seconds()) {
        say!(
            "warning: the run in `{shown}` began in the future, by the clock of this machine: when it was \
             measured is not known"
        );
    }
    Ok(run)
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
        "a run that was cut off cannot be added to a history"
    );
    ensure!(!run.quick, "a quick run cannot be added to a history");
    let branch = branch(flags.branch.as_deref())?;
    let job = Job::of(&run, &branch);
    ensure!(!job.metrics.is_empty(), "the run has no measured metric");
    let count = job.metrics.len();
    let (past, shown) = (History::read(path)?, workspace::shown(path));
    ensure!(
        !past.is_foreign(),
        "`{shown}` is not a history: name another file with --file"
    );
    // A step of CI that is repeated must not count one job twice.
    if past.has(&job) {
        return Ok(Exit::Fine(format!("`{shown}` has this run already")));
    }
    file::append(path, &Line::Job(Box::new(job)))?;
    Ok(Exit::Fine(format!(
        "{count} metrics of `{branch}` added to `{shown}`"
    )))
}

fn accept(path: &Path, flags: &flags::HistoryAccept) -> anyhow::Result<Exit> {
    let line = accepted(path, &flags.metric, &flags.commit, &flags.reason)?;
    let (metric, revision) = (line.metric.clone(), line.revision.clone());
    file::append(path, &Line::Accept(line))?;
    Ok(Exit::Fine(format!(
        "`{metric}` has a new baseline from {revision}"
    )))
}

/// The entry that accepts a change of level as a new baseline. Warns if it would change nothing for the
/// last job.
///
/// # Errors
/// An unknown metric, a commit that the history at `path` lacks, an empty reason.
pub fn accepted(path: &Path, metric: &str, commit: &str, reason: &str) -> anyhow::Result<Accept> {
    let metric = catalog::known(metric)?;
    ensure!(
        !reason.trim().is_empty(),
        "--reason is empty: give the reason for accepting the new level"
    );
    let history = read(path)?;
    ensure!(
        commit.len() >= 7,
        "`{commit}` is too short: give at least seven digits of the commit"
    );
    let commits = history.jobs.iter().filter_map(|job| job.revision.as_ref());
    let mut found: Vec<&String> = commits
        // Commits of the history only: the full id is stored, whatever was abbreviated.
        .filter(|revision| revision.starts_with(&commit.to_lowercase()))
        .collect();
    // A commit may have several jobs.
    found.sort_unstable();
    found.dedup();
    let shown = workspace::shown(path);
    let revision = match found.as_slice() {
        [revision] => *revision,
        [] => bail!("no job in `{shown}` is of commit `{commit}`: `history show` lists all jobs"),
        _ => bail!("`{commit}` fits several commits in `{shown}`: give more digits"),
    };
    for branch in unmoved(&history, metric, revision) {
        let (name, short) = (metric.name, digest::short(revision));
        say!(
            "warning: the last job of `{branch}` is not compared with the job of {short}, which ran on another \
             kind of machine or with other settings: the baseline of `{name}` stays as it was for it\n  \
             hint: accept the first commit with the new level that has a job of the same kind: `cargo xtask \
             metrics history show` lists the machine of each job"
        );
    }
    Ok(Accept {
        schema: SCHEMA,
        metric: metric.name.to_owned(),
        revision: revision.clone(),
        reason: reason.to_owned(),
        accepted: clock::seconds(),
    })
}

/// The branches with a job of `revision` for whose last job nothing changes if it is accepted: it is
/// compared with no such job.
fn unmoved<'h>(history: &'h History, metric: &Metric, revision: &str) -> BTreeSet<&'h str> {
    let is_accepted = |job: &Job| job.revision.as_deref() == Some(revision);
    let accepted = history.jobs.iter().filter(|job| is_accepted(job));
    let branches: BTreeSet<&str> = accepted.map(|job| job.branch.as_str()).collect();
    let is_unmoved = |branch: &&str| {
        let jobs = history.jobs.iter().filter(|job| job.branch == *branch);
        let mut measured = jobs.clone();
        // A baseline is per kind of machine: accepted on one kind, it changes nothing for another.
        let last = measured.rfind(|job| job.metrics.contains_key(metric.name));
        let mut accepted = jobs.filter(|job| is_accepted(job));
        last.is_some_and(|last| !accepted.any(|job| last.is_comparable_with(job)))
    };
    branches.into_iter().filter(is_unmoved).collect()
}
