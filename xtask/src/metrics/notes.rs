//! `cargo xtask metrics notes`: the section of release notes, or the claims that a run supports.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, ensure};

use super::history;
use super::merge::input::{self, Input};
use super::model::{Host, Outcome, Value};
use super::render::{claims, notes};
use crate::exit::{self, Exit};
use crate::flags;
use crate::workspace;

/// The longest version that is one.
const VERSION_BYTES_MAX: usize = 64;

/// Prints Markdown.
pub fn run(flags: &flags::Notes) -> anyhow::Result<Exit> {
    exit::print(&text(flags)?)?;
    let what = if flags.claims { "claims" } else { "notes" };
    Ok(Exit::Fine(format!("{what} of the run")))
}

/// The Markdown that is asked for.
pub fn text(flags: &flags::Notes) -> anyhow::Result<String> {
    let run = history::last_run(flags.run.as_deref())?;
    ensure!(run.complete, "a run that was cut off is not quoted");
    if flags.claims {
        return Ok(claims::render(&run));
    }
    ensure!(!run.quick, "a quick run is not quoted");
    let version = flags
        .version
        .as_deref()
        .context("give a version with --version")?;
    let version = version.strip_prefix('v').unwrap_or(version);
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || b".-+".contains(&byte);
    ensure!(
        !version.is_empty() && version.len() <= VERSION_BYTES_MAX && version.bytes().all(usual),
        "`{version}` is not a version"
    );
    let (values, host) = match &flags.previous {
        Some(path) => previous(path)?,
        None => (BTreeMap::new(), None),
    };
    let previous = notes::Previous {
        values: &values,
        // Nothing is compared without values.
        same_machine: host.map_or(values.is_empty().then_some(true), |host| {
            Some(host == run.host)
        }),
    };
    Ok(notes::render(version, &run, &previous))
}

/// The values of the release before, and its machine where the file tells it.
fn previous(path: &Path) -> anyhow::Result<(BTreeMap<String, Value>, Option<Host>)> {
    let shown = workspace::shown(path);
    match input::read(path).with_context(|| format!("failed to read `{shown}`"))? {
        Input::Run(run) => {
            let measured = run
                .metrics
                .into_iter()
                .filter_map(|record| match record.outcome {
                    Outcome::Measured { value, .. } => Some((record.name, value)),
                    _ => None,
                });
            Ok((measured.collect(), Some(run.host)))
        }
        Input::Array(values) => {
            let values = values.into_iter();
            let values = values.map(|(metric, value)| (metric.name.to_owned(), value));
            Ok((values.collect(), None))
        }
    }
}
