//! `cargo xtask metrics notes`: prints the section of release notes, or the claims that a run supports.

use std::path::Path;

use anyhow::{Context as _, ensure};

use super::catalog::Metric;
use super::history::{self, line::Job};
use super::merge::input::{self, Input};
use super::model::{Run, Value};
use super::render::claims;
use super::render::notes::{self, Before, Previous};
use crate::exit::{self, Exit};
use crate::flags;
use crate::workspace;

/// Longest version that is accepted.
const VERSION_BYTES_MAX: usize = 64;

pub fn run(flags: &flags::Notes) -> anyhow::Result<Exit> {
    exit::print(&text(flags)?)?;
    let what = if flags.claims { "claims" } else { "notes" };
    Ok(Exit::Fine(format!("printed the {what}")))
}

pub fn text(flags: &flags::Notes) -> anyhow::Result<String> {
    let run = history::last_run(flags.run.as_deref())?;
    if flags.claims {
        ensure!(run.complete, "a run that was cut off cannot be quoted");
        return Ok(claims::render(&run));
    }
    let version = flags.version.as_deref().context("--version is required")?;
    let previous = match &flags.previous {
        Some(path) => previous(path, &run)?,
        None => Previous::new(),
    };
    section(version, &run, &previous)
}

/// The section of the release notes of a version.
///
/// # Errors
/// An invalid version, and a run that cannot be quoted.
pub fn section(version: &str, run: &Run, previous: &Previous) -> anyhow::Result<String> {
    ensure!(run.complete, "a run that was cut off cannot be quoted");
    ensure!(!run.quick, "a quick run cannot be quoted");
    // A tag begins with `v`, and so does the heading.
    let version = version.strip_prefix('v').unwrap_or(version);
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || b".-+".contains(&byte);
    ensure!(
        !version.is_empty() && version.len() <= VERSION_BYTES_MAX && version.bytes().all(usual),
        "`{version}` is not a valid version (expected at most {VERSION_BYTES_MAX} letters, digits, `.`, \
         `-`, `+`)"
    );
    Ok(notes::render(version, run, previous))
}

/// The values of the release before. Of an array of results it is not known where it was measured.
fn previous(path: &Path, run: &Run) -> anyhow::Result<Previous> {
    let shown = workspace::shown(path);
    let previous = match input::read(path)? {
        Input::Run(before) => {
            ensure!(
                before.complete && !before.quick,
                "`{shown}` is a quick run or was cut off: nothing is compared with it"
            );
            // No branch: the keys, which are all that is compared, contain none.
            let (before, now) = (Job::of(&before, ""), Job::of(run, ""));
            values_of(&before, &now)
        }
        Input::Array(values) => {
            let values = values.into_iter();
            let unknown = |(metric, value): (&Metric, Value)| {
                let before = Before {
                    value,
                    is_comparable: None,
                };
                (metric.name.to_owned(), before)
            };
            values.map(unknown).collect()
        }
    };
    Ok(previous)
}

/// The values of a job, and which of them can be compared with those of `now`.
pub fn values_of(before: &Job, now: &Job) -> Previous {
    let values = before.metrics.iter().map(|(name, figure)| {
        let before = Before {
            value: figure.value.clone(),
            is_comparable: Some(before.key_of(name) == now.key_of(name)),
        };
        (name.clone(), before)
    });
    values.collect()
}
