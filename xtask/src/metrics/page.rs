//! `cargo xtask metrics page`: writes one HTML file of the history, the last run and the last comparison.

use std::path::Path;

use anyhow::{Context as _, ensure};

use super::history::file::History;
use super::judge::{level, paired};
use super::model::Run;
use super::render::page::{self, View};
use super::{history, measure, store};
use crate::clock;
use crate::exit::Exit;
use crate::flags;
use crate::tools::cargo;
use crate::workspace;

/// Default file, below the results.
const FILE: &str = "index.html";

pub fn run(flags: &flags::Page) -> anyhow::Result<Exit> {
    let results = cargo::target_dir(&workspace::root()?).join(measure::RESULTS);
    let path = history::path(flags.history.as_deref())?;
    let past = history::read(&path)?;
    let branch = history::branch(flags.branch.as_deref())?;
    let run = given_or_usual(flags.run.as_deref(), &results.join("run.json"))?;
    let comparison = given_or_usual(flags.comparison.as_deref(), &results.join("compare.json"))?;
    ensure!(
        !past.jobs.is_empty() || run.is_some() || comparison.is_some(),
        "there is nothing to show: measure with `cargo xtask metrics` first"
    );
    let output = flags.output.clone().unwrap_or_else(|| results.join(FILE));
    write(&past, &branch, run.as_ref(), comparison.as_ref(), &output)?;
    let shown = workspace::shown(&output);
    Ok(Exit::Fine(format!(
        "{} jobs shown in `{shown}`",
        past.jobs.len()
    )))
}

/// Writes the page to `output`.
pub fn write(
    past: &History,
    branch: &str,
    run: Option<&Run>,
    comparison: Option<&Run>,
    output: &Path,
) -> anyhow::Result<()> {
    let judged = comparison.map(|run| (run, paired::judge_all(run)));
    let now = clock::seconds();
    let made = i64::try_from(now).ok();
    let made = made.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let made = made.map_or("at an unknown time".to_owned(), |made| made.to_string());
    let text = page::render(&View {
        history: past,
        branch,
        moved: &level::moved(past, branch),
        run,
        comparison: judged.as_ref().map(|(run, judged)| (*run, judged)),
        made: &made,
        now,
    });
    store::save(output, &text)
}

/// The run in the file that was named, or in the default file if that exists.
fn given_or_usual(named: Option<&Path>, usual: &Path) -> anyhow::Result<Option<Run>> {
    let path = named.unwrap_or(usual);
    // Only the usual file may be missing; one that was named must exist.
    if named.is_none() && !path.exists() {
        return Ok(None);
    }
    let shown = workspace::shown(path);
    let run =
        Run::parse(&store::read(path)?).with_context(|| format!("failed to read `{shown}`"))?;
    Ok(Some(run))
}
