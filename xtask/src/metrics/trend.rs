//! `cargo xtask metrics trend`: prints the commits that changed the level of a metric, and by how much.
//!
//! How they are found is in `judge::level`.

use anyhow::ensure;

use super::judge::level::{LEAST, moved};
use super::{history, render};
use crate::exit::{self, Exit};
use crate::flags;
use crate::workspace;

pub fn run(flags: &flags::Trend) -> anyhow::Result<Exit> {
    let path = history::path(flags.history.as_deref())?;
    let past = history::read(&path)?;
    let branch = history::branch(flags.branch.as_deref())?;
    let jobs = past.jobs.iter().filter(|job| job.branch == branch).count();
    // A branch without jobs would look like one without changes.
    ensure!(
        jobs > 0,
        "there are no jobs of the branch `{branch}` in `{}`: `cargo xtask metrics history show` lists all jobs",
        workspace::shown(&path)
    );
    let moved = moved(&past, &branch);
    exit::print(&render::history::trend(&moved, jobs, &LEAST))?;
    Ok(Exit::Fine(format!("{} changes of level", moved.len())))
}
