//! Reports to people: the summary of a job, its annotations, and the comment on a pull request.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;

use super::annotate::{annotate, notice, soft, warning};
use super::place::Place;
use super::verdict::Found;
use crate::exit;
use crate::interrupt;
use crate::metrics::judge::verdict::Verdict;
use crate::metrics::render::comment::{MARKER, MARKER_ON_MAIN, fit};
use crate::say::say;
use crate::tools::github::{COMMENT_CHARACTERS_MAX, Commented, GitHub};

/// Appends the text to the summary of the job; without one, prints it to standard output.
pub fn summary(found: &Found) {
    let file = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|file| !file.is_empty());
    let Some(file) = file else {
        exit::show(&found.text);
        return;
    };
    // All commands of a step share the file: append to it.
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

/// Prints one annotation per verdict above PASS, the worst first, and a warning if there is no verdict.
pub fn annotations(place: &Place, found: &Found) {
    for verdict in [Verdict::Block, Verdict::Alert, Verdict::Notice] {
        let worse = found.named.iter().filter(|named| named.verdict == verdict);
        let names: Vec<&str> = worse.map(|named| named.metric).collect();
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
    match (found.overall, place) {
        (Some(Verdict::Inconclusive), _) => {
            // A short history decides nothing until enough jobs were added: no reason for a warning.
            let kind = match place {
                Place::Main { .. } => "notice",
                _ => "warning",
            };
            let text = "could not decide whether this is slower";
            annotate(kind, Verdict::Inconclusive.word(), text);
        }
        (None, Place::Local) | (Some(_), _) => {}
        (None, _) => warning(&format!("no verdict: {}", found.why)),
    }
}

/// Comments on the pull request, or on those that brought the commits which made `main` slower. The jobs
/// of a fork have no right to comment: the workflow that runs after them does it.
///
/// A comment on `main` is updated by each job that still alerts. One that does not alert leaves it as it is:
/// the comment says of which commit it speaks. To take it back, all merged pull requests would have to be
/// searched for such a comment after each push.
pub fn comment(place: &Place, found: &Found, has_rights: bool) -> anyhow::Result<()> {
    let marker = match place {
        Place::PullRequest(request) if request.is_fork && !has_rights => return Ok(()),
        Place::PullRequest(_) => MARKER,
        Place::Main { .. } if found.overall >= Some(Verdict::Alert) => MARKER_ON_MAIN,
        _ => return Ok(()),
    };
    let Some(github) = GitHub::of_environment()? else {
        say!("no comment: GITHUB_TOKEN is not set");
        return Ok(());
    };
    let texts = match place {
        Place::PullRequest(request) => {
            // The job was started again, or took so long that newer commits were pushed meanwhile.
            if github.pull_request(request.number)?.head.sha != request.head {
                say!(
                    "no comment: pull request #{} has another last commit by now",
                    request.number
                );
                return Ok(());
            }
            vec![(request.number, found.text.clone())]
        }
        _ => to_blame(&github, found, place.revision().unwrap_or_default())?,
    };
    let mut failed = None;
    for (number, text) in texts {
        // A pull request that is locked keeps no other from its comment.
        match github.comment(number, marker, &marked(marker, &text)) {
            Ok(Commented::Created) => say!("commented on pull request #{number}"),
            Ok(Commented::Updated) => say!("updated the comment on pull request #{number}"),
            Err(error) if interrupt::cause(&error).is_some() => return Err(error),
            Err(error) => {
                failed =
                    Some(error.context(format!("failed to comment on pull request #{number}")));
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

/// The pull requests that brought the commits which made metrics worse, each with the text of its comment:
/// the headline, the reason for a comment after the merge, and the rest. `judged` is the last commit.
fn to_blame(github: &GitHub, found: &Found, judged: &str) -> anyhow::Result<Vec<(u64, String)>> {
    let mut brought: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for named in &found.named {
        let Some(commit) = named
            .since
            .as_ref()
            .filter(|_| named.verdict >= Verdict::Alert)
        else {
            continue;
        };
        let requests = soft(github.pull_requests_of(commit), |error| {
            format!("failed to find the pull request of {commit}: {error:#}")
        })?;
        match requests.as_deref() {
            // A commit can be in several pull requests; the first one that GitHub lists stands for them.
            Some([request, ..]) => {
                brought
                    .entry(request.number)
                    .or_default()
                    .push(named.metric);
            }
            Some([]) => notice(&format!("{commit} came with no pull request to comment on")),
            // The failure has been printed, and the other metrics still have their pull requests.
            None => {}
        }
    }
    let (headline, rest) = found.text.split_once('\n').unwrap_or((&found.text, ""));
    let texts = brought.into_iter().map(|(number, metrics)| {
        let metrics = metrics.join("`, `");
        let why = format!(
            "`main` is worse since this pull request was merged: `{metrics}`. This was measured at commit \
             `{judged}`; when a later commit mends it, this comment stays as it is."
        );
        (number, format!("{headline}\n\n{why}\n{rest}"))
    });
    Ok(texts.collect())
}

/// The text of a comment that begins with `marker`, by which later runs find it.
fn marked(marker: &str, text: &str) -> String {
    // The marker is kept whole whatever is cut: without it a later run would add a second comment.
    let room = COMMENT_CHARACTERS_MAX - marker.len() - 1;
    format!("{marker}\n{}", fit(text, room))
}
