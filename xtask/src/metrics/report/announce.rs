//! Telling people: the summary of a job, its annotations, and the comment on a pull request.

use std::fs::OpenOptions;
use std::io::Write as _;

use anyhow::Context as _;

use super::marked;
use super::place::Place;
use super::verdict::Found;
use crate::exit;
use crate::interrupt;
use crate::metrics::judge::verdict::Verdict;
use crate::metrics::render::comment::{MARKER, MARKER_ON_MAIN};
use crate::say::{say, short};
use crate::tools::github::{Commented, GitHub};

/// Appends to the summary of the job; elsewhere the text goes to standard output.
pub fn summary(found: &Found) {
    let file = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|file| !file.is_empty());
    let Some(file) = file else {
        exit::show(&found.text);
        return;
    };
    // The tests of a step share the file: what is in it stays.
    let written = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&file)
        .and_then(|mut file| file.write_all(found.text.as_bytes()));
    if let Err(error) = written {
        let file = file.to_string_lossy();
        warning(&format!("failed to write the summary `{file}`: {error}"));
    }
}

/// One annotation per verdict above PASS, the worst first.
pub fn annotations(found: &Found) {
    for verdict in [Verdict::Block, Verdict::Alert, Verdict::Notice] {
        let worse = found.named.iter().filter(|(_, of)| *of == verdict);
        let names: Vec<&str> = worse.map(|(name, _)| *name).collect();
        if names.is_empty() {
            continue;
        }
        let kind = match verdict {
            Verdict::Block => "error",
            Verdict::Alert => "warning",
            _ => "notice",
        };
        let word = verdict.word();
        annotate(kind, word, &format!("worse: {}", names.join(", ")));
    }
    if found.overall == Some(Verdict::Inconclusive) {
        annotate(
            "warning",
            "INCONCLUSIVE",
            "whether this is slower could not be told",
        );
    }
}

/// A warning, which GitHub shows at the job.
pub fn warning(text: &str) {
    annotate("warning", "metrics", text);
}

/// What failed and ends nothing is a warning, in the words of `told`; an interruption ends all. None when
/// it failed.
pub fn soft<T>(
    result: anyhow::Result<T>,
    told: impl FnOnce(&anyhow::Error) -> String,
) -> anyhow::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if interrupt::cause(&error).is_some() => Err(error),
        Err(error) => {
            warning(&told(&error));
            Ok(None)
        }
    }
}

fn annotate(kind: &str, title: &str, text: &str) {
    if std::env::var_os("GITHUB_ACTIONS").is_some() {
        // A command of the runner is a line: what would end it is written as it wants.
        let escaped = short(text)
            .replace('%', "%25")
            .replace('\r', "%0D")
            .replace('\n', "%0A");
        exit::show(&format!("::{kind} title={title}::{escaped}\n"));
    } else {
        say!("{}: {text}", if kind == "error" { title } else { kind });
    }
}

/// Puts the text under the pull request, or under the one that brought a commit which made `main`
/// slower. The jobs of a fork have no right to: theirs is made by the workflow that runs after them.
pub fn comment(place: &Place, found: &Found, has_rights: bool) -> anyhow::Result<()> {
    let number = match place {
        Place::PullRequest(request) if request.is_fork && !has_rights => return Ok(()),
        Place::PullRequest(request) => Some(request.number),
        Place::Main { revision } if found.overall >= Some(Verdict::Alert) => {
            let Some(github) = GitHub::of_environment()? else {
                return Ok(());
            };
            let requests = github.pull_requests_of(revision)?;
            requests.first().map(|request| request.number)
        }
        _ => None,
    };
    let Some(number) = number else {
        return Ok(());
    };
    let Some(github) = GitHub::of_environment()? else {
        say!("no comment: GITHUB_TOKEN is not set");
        return Ok(());
    };
    let marker = match place {
        Place::Main { .. } => MARKER_ON_MAIN,
        _ => MARKER,
    };
    let commented = github
        .comment(number, marker, &marked(marker, &found.text))
        .with_context(|| format!("failed to comment on pull request #{number}"))?;
    match commented {
        Commented::Created => say!("commented on pull request #{number}"),
        Commented::Updated => say!("updated the comment on pull request #{number}"),
    }
    Ok(())
}
