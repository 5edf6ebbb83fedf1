//! `cargo xtask metrics report`: what a job in CI makes of its figures. It finds out where it runs,
//! judges, and tells: the summary of the job, a comment on the pull request, Bencher.
//!
//! Whatever cannot be told to somebody is a warning: the files of the results stay, and the exit code
//! is that of the verdict alone.

pub mod announce;
mod bencher;
pub mod place;
mod setup;
mod verdict;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use super::model::Run;
use super::render::{bmf, comment};
use super::{ending, history, measure, store};
use crate::exit::Exit;
use crate::flags;
use crate::interrupt;
use crate::say::say;
use crate::tools::cargo;
use crate::tools::github::GitHub;
use crate::workspace;
use place::{Job, Place, PullRequest};
use verdict::Found;

/// The comment, for whoever puts it under the pull request.
const COMMENT: &str = "comment.md";
/// What Bencher is sent.
const BENCHER: &str = "bencher.json";
/// The number of a fork's pull request, for the job that may comment on it.
const NUMBER: &str = "pull_request";
/// Digits of the largest number that it may be, and a newline.
const NUMBER_BYTES_MAX: u64 = 21;

/// Judges, tells, and returns the exit that follows from the verdict.
pub fn run(flags: &flags::Report) -> anyhow::Result<Exit> {
    interrupt::install()?;
    if flags.setup {
        return setup::run(flags);
    }
    let results = results()?;
    let job = Job::of_environment(flags.event.as_deref());
    let place = Place::of(&job)?;
    say!("reporting {}", place.describe());
    let archived = match &place {
        Place::Closed { number } => Some(setup::archive(&flags.project, *number)),
        Place::Schedule => Some(setup::archive_old(&flags.project)),
        _ => None,
    };
    if let Some(archived) = archived {
        let mut said = "nothing was archived".to_owned();
        soft("Bencher", archived.map(|text| said = text))?;
        return Ok(Exit::Fine(said));
    }
    let files = Files::of(flags, &results);
    // A fork's own jobs have none.
    let has_rights = matches!(place, Place::ForkDone { .. });
    let place = match place {
        Place::ForkDone { revision } => Place::PullRequest(identify(&files, &revision)?),
        place => place,
    };
    let run = files.run()?;
    let found = Found::of(&place, &files, run.as_ref())?;
    save(&results, &place, &found, run.as_ref())?;
    announce::summary(&found);
    announce::annotations(&found);
    if !flags.dry_run {
        soft("the comment", announce::comment(&place, &found, has_rights))?;
        if let Some(run) = &run {
            soft(
                "Bencher",
                bencher::report(flags, &place, run, &results.join(BENCHER)),
            )?;
        }
    }
    Ok(match found.overall {
        Some(overall) => ending::of(overall, flags.strict),
        None if flags.strict => Exit::Unusable(format!("no verdict: {}", found.why)),
        None => Exit::Fine(format!("no verdict: {}", found.why)),
    })
}

fn results() -> anyhow::Result<PathBuf> {
    Ok(cargo::target_dir(&workspace::root()?).join(measure::RESULTS))
}

/// What cannot be told is a warning; an interruption ends the report.
fn soft(what: &str, result: anyhow::Result<()>) -> anyhow::Result<()> {
    let told =
        |error: &anyhow::Error| format!("{what}: {error:#}; the results are kept as artifacts");
    announce::soft(result, told).map(drop)
}

/// Where the figures are.
pub struct Files {
    run: PathBuf,
    comparison: PathBuf,
    history: PathBuf,
    number: PathBuf,
}

impl Files {
    fn of(flags: &flags::Report, results: &Path) -> Files {
        let named = |path: &Option<PathBuf>, usual: &str| {
            path.clone().unwrap_or_else(|| results.join(usual))
        };
        let run = named(&flags.run, "run.json");
        Files {
            comparison: named(&flags.comparison, "compare.json"),
            history: named(&flags.history, history::FILE),
            number: run.with_file_name(NUMBER),
            run,
        }
    }

    /// The metrics; none where none were measured, which is no reason to say nothing of the rest.
    fn run(&self) -> anyhow::Result<Option<Run>> {
        let Some(run) = read_run(&self.run)? else {
            let shown = workspace::shown(&self.run);
            announce::warning(&format!("there are no metrics: `{shown}` is missing"));
            return Ok(None);
        };
        Ok(Some(run))
    }
}

/// A run, if the file is there.
fn read_run(path: &Path) -> anyhow::Result<Option<Run>> {
    if !path.exists() {
        return Ok(None);
    }
    let shown = workspace::shown(path);
    let run =
        Run::parse(&store::read(path)?).with_context(|| format!("failed to read `{shown}`"))?;
    Ok(Some(run))
}

/// Which pull request a fork's run was of. Its artifact says a number, which anybody can write into it:
/// it counts when GitHub says that this pull request ends with the commit that was measured.
fn identify(files: &Files, revision: &str) -> anyhow::Result<PullRequest> {
    for file in [&files.number, &files.run, &files.comparison] {
        // It would be that of this machine, and not of the artifact.
        let is_link = file
            .symlink_metadata()
            .is_ok_and(|found| found.is_symlink());
        ensure!(!is_link, "`{}` is a link", workspace::shown(file));
    }
    let path = &files.number;
    let shown = workspace::shown(path);
    let length = std::fs::metadata(path)
        .with_context(|| format!("the artifact has no `{shown}`"))?
        .len();
    ensure!(length <= NUMBER_BYTES_MAX, "`{shown}` is not a number");
    let number: Option<u64> = store::read(path)?.trim().parse().ok();
    let number = number.filter(|number| *number > 0);
    let number =
        number.with_context(|| format!("`{shown}` is not the number of a pull request"))?;
    let github = GitHub::of_environment()?.context("GITHUB_TOKEN is not set")?;
    let found = github.pull_request(number)?;
    if found.head.sha != revision {
        bail!("pull request #{number} does not end with the commit {revision} that was measured");
    }
    ensure!(
        place::is_commit(&found.base.sha),
        "GitHub named no base commit"
    );
    Ok(PullRequest {
        number: found.number,
        head: revision.to_owned(),
        base: found.base.sha,
        is_fork: true,
    })
}

/// Keeps what is told as files: whoever cannot be reached now can be told later.
fn save(results: &Path, place: &Place, found: &Found, run: Option<&Run>) -> anyhow::Result<()> {
    store::save(&results.join(COMMENT), &found.text)?;
    if let Some(text) = run.and_then(bmf::render) {
        store::save(&results.join(BENCHER), &text)?;
    }
    if let Place::PullRequest(request) = place {
        store::save(&results.join(NUMBER), &format!("{}\n", request.number))?;
    }
    Ok(())
}

/// The whole text of a comment that is found again by `marker`.
fn marked(marker: &str, text: &str) -> String {
    let room = crate::tools::github::COMMENT_CHARACTERS_MAX - marker.len() - 1;
    format!("{marker}\n{}", comment::fit(text, room))
}
