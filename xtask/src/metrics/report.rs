//! `cargo xtask metrics report`: judges the results of a CI job, and reports the verdict to the summary of
//! the job, the pull request and Bencher. The event that started the job decides which of them.
//!
//! A service that cannot be reached is a warning: the results stay as files, and the exit code is that of
//! the verdict alone.

pub mod annotate;
mod announce;
mod bencher;
mod files;
pub mod place;
mod setup;
mod verdict;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use super::model::Run;
use super::render::bmf;
use super::{ending, measure, store};
use crate::exit::Exit;
use crate::flags;
use crate::interrupt;
use crate::say::say;
use crate::tools::cargo;
use crate::tools::github::GitHub;
use crate::workspace;
use annotate::warning;
use files::{Files, NUMBER};
use place::{Job, Place, PullRequest};
use verdict::Found;

pub use files::NOT_COMPARED;

/// File with the text of the comment.
const COMMENT: &str = "comment.md";
/// File with the metrics, in the format that is sent to Bencher.
const BENCHER: &str = "bencher.json";
/// The digits of the largest `u64`, and a newline.
const NUMBER_BYTES_MAX: u64 = 21;

pub fn run(flags: &flags::Report) -> anyhow::Result<Exit> {
    interrupt::install()?;
    if flags.setup {
        return setup::run(flags);
    }
    let results = results()?;
    let job = Job::of_environment(flags.event.as_deref());
    let place = Place::of(&job)?;
    say!("reporting on {}", place.describe());
    if flags.dry_run && matches!(place, Place::Closed { .. } | Place::Schedule) {
        return Ok(Exit::Fine("would archive branches at Bencher".to_owned()));
    }
    let archived = match &place {
        Place::Closed { number } => Some(setup::archive(&flags.project, *number)),
        Place::Schedule => Some(setup::archive_old(&flags.project)),
        _ => None,
    };
    if let Some(archived) = archived {
        let mut said = "nothing was archived".to_owned();
        soft("archiving at Bencher", archived.map(|text| said = text))?;
        return Ok(Exit::Fine(said));
    }
    let files = Files::of(flags, &results);
    // The jobs of a fork have no right to comment; the workflow that runs after them has.
    let has_rights = matches!(place, Place::ForkDone { .. });
    let place = match place {
        Place::ForkDone { revision } => match identify(&files, &revision)? {
            Identified::Known(request) => Place::PullRequest(request),
            Identified::Unknown(why) => {
                warning(&format!("no comment and no report to Bencher: {why}"));
                Place::ForkDone { revision }
            }
            Identified::Past(why) => {
                warning(&why);
                return Ok(Exit::Fine("nothing to report".to_owned()));
            }
        },
        place => place,
    };
    let run = files.run()?;
    let missing = run.as_ref().map(verdict::unmeasured).unwrap_or_default();
    if !missing.is_empty() && place != Place::Local {
        warning(&format!("not measured: {}", missing.join(", ")));
    }
    let mut found = Found::of(&place, &files, run.as_ref())?;
    if found.left_out > 0 {
        let entries = found.left_out;
        warning(&format!(
            "{entries} entries of the history are left out: they cannot be read, or are of the future"
        ));
    }
    if has_rights {
        found.text += "\nMeasured by the jobs of the fork.\n";
    }
    let saved = save(folder(flags, &place, results), &place, &found, run.as_ref())?;
    announce::summary(&found);
    announce::annotations(&place, &found);
    if !flags.dry_run {
        soft("commenting", announce::comment(&place, &found, has_rights))?;
        if let Some(run) = &run {
            let sent = bencher::report(flags, &place, run, &found, &saved.join(BENCHER));
            soft("reporting to Bencher", sent)?;
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

/// The folder of the reports: apart from the results if nothing is to be sent, as no job will take them up.
fn folder(flags: &flags::Report, place: &Place, results: PathBuf) -> PathBuf {
    let is_trial = *place == Place::Local && std::env::var_os("GITHUB_ACTIONS").is_none();
    if !flags.dry_run && !is_trial {
        return results;
    }
    let folder = results.join(measure::TRIAL);
    say!("nothing is sent; see `{}`", workspace::shown(&folder));
    folder
}

/// Turns the failure of a service into a warning; an interruption ends the report.
fn soft(what: &str, result: anyhow::Result<()>) -> anyhow::Result<()> {
    let told = |error: &anyhow::Error| {
        format!("{what} failed: {error:#}; the results are kept as artifacts")
    };
    annotate::soft(result, told).map(drop)
}

/// The pull request of a fork's run, as far as GitHub confirms it.
enum Identified {
    /// Its last commit is the one that was measured.
    Known(PullRequest),
    /// GitHub could not be asked, or does not know it, for this reason.
    Unknown(String),
    /// It has another last commit by now, or the run was cut off before it reported.
    Past(String),
}

/// Finds the pull request of a fork's run. Its artifact contains a number, which anybody can write into
/// it: it counts if GitHub says that this pull request ends with the commit that was measured.
fn identify(files: &Files, revision: &str) -> anyhow::Result<Identified> {
    // A link could lead out of the artifact, to any file of this machine: to read it, or to write it.
    let folder = files.run.parent().unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        ensure!(
            !is_link,
            "`{}` is a symlink, expected a regular file",
            workspace::shown(&entry.path())
        );
    }
    let path = &files.number;
    let shown = workspace::shown(path);
    let Ok(found) = std::fs::metadata(path) else {
        let why = "the run of the pull request was cut off before it reported";
        return Ok(Identified::Past(why.to_owned()));
    };
    let length = found.len();
    ensure!(
        length <= NUMBER_BYTES_MAX,
        "`{shown}` is too long: {length} bytes, expected a pull request number"
    );
    let number: Option<u64> = store::read(path)?.trim().parse().ok();
    let number = number.filter(|number| *number > 0);
    let number =
        number.with_context(|| format!("`{shown}` does not contain a pull request number"))?;
    let github = GitHub::of_environment()?.context("GITHUB_TOKEN is not set")?;
    let found = match github.pull_request(number) {
        Ok(found) => found,
        Err(error) if interrupt::cause(&error).is_some() => return Err(error),
        Err(error) => return Ok(Identified::Unknown(format!("{error:#}"))),
    };
    if found.state.as_deref() == Some("closed") {
        return Ok(Identified::Past(format!(
            "pull request #{number} is closed"
        )));
    }
    // The number alone proves nothing: a stranger could name any pull request, and comment on it this way.
    if found.head.sha != revision {
        return Ok(Identified::Past(format!(
            "pull request #{number} does not end with the commit {revision} that was measured"
        )));
    }
    ensure!(
        place::is_commit(&found.base.sha),
        "GitHub returned an invalid base commit"
    );
    Ok(Identified::Known(PullRequest {
        number: found.number,
        head: revision.to_owned(),
        base: found.base.sha,
        is_fork: true,
    }))
}

/// Saves the reports as files in this folder: they can be sent later if a service cannot be reached now.
fn save(
    folder: PathBuf,
    place: &Place,
    found: &Found,
    run: Option<&Run>,
) -> anyhow::Result<PathBuf> {
    store::save(&folder.join(COMMENT), &found.text)?;
    if let Some(text) = run.and_then(bmf::render) {
        store::save(&folder.join(BENCHER), &text)?;
    }
    // For the workflow that runs after a fork's jobs: its own event does not name the pull request.
    if let Place::PullRequest(request) = place {
        store::save(&folder.join(NUMBER), &format!("{}\n", request.number))?;
    }
    Ok(folder)
}
