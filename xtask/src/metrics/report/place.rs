//! The occasion of a report, by the environment of a CI job and the event that started it.
//!
//! Both may contain anything that a stranger wrote into a pull request: each field is checked, and fields
//! that are not needed are not read.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

use crate::metrics::store;

/// GitHub's limit on the payload of a webhook.
const EVENT_BYTES_MAX: u64 = 25_000_000;
/// The branch whose history the project keeps.
const MAIN: &str = "main";

/// The event that a report is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A commit on `main`.
    Main {
        revision: String,
    },
    /// A tag `v…`.
    Release {
        tag: String,
        /// The commit that the tag names.
        revision: String,
    },
    PullRequest(PullRequest),
    /// A commit of a merge queue.
    Queued {
        /// The commit that would become the last one of `main`.
        head: String,
        /// The commit that it would follow.
        base: String,
    },
    /// The end of a workflow run for a pull request from a fork: its artifacts are reported with rights
    /// that the fork does not have.
    ForkDone {
        /// The measured commit, as GitHub reports it.
        revision: String,
    },
    /// A closed pull request, whose branch at Bencher is not needed any more.
    Closed {
        number: u64,
    },
    /// The daily schedule.
    Schedule,
    /// Any other machine, event or branch: nothing is stored, and nothing is sent.
    Local,
}

/// A pull request, as its event describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    pub number: u64,
    /// The last commit of the change.
    pub head: String,
    /// The last commit of the branch that it is to be merged into.
    pub base: String,
    /// Whether it comes from another repository, whose jobs have no secrets.
    pub is_fork: bool,
}

/// The variables that a runner sets for a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Job {
    /// `GITHUB_EVENT_NAME`; if it is not set, the fields of the event file decide.
    pub event: Option<String>,
    /// `GITHUB_EVENT_PATH`, or the file of `--event`.
    pub file: Option<PathBuf>,
    /// `GITHUB_REPOSITORY`, as `OWNER/NAME`.
    pub repository: Option<String>,
}

impl Job {
    /// Reads the environment; `event_file` replaces the event file, for a dry run.
    pub fn of_environment(event_file: Option<&Path>) -> Job {
        let named = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        match event_file {
            Some(file) => Job {
                // That of the current job may be of another kind: the fields tell.
                event: None,
                file: Some(file.to_path_buf()),
                repository: named("GITHUB_REPOSITORY"),
            },
            None if named("GITHUB_ACTIONS").is_some() => Job {
                event: named("GITHUB_EVENT_NAME"),
                file: named("GITHUB_EVENT_PATH").map(PathBuf::from),
                repository: named("GITHUB_REPOSITORY"),
            },
            None => Job::default(),
        }
    }
}

impl Place {
    /// Reads the event of `job`.
    ///
    /// # Errors
    /// An event file that is missing, too large, not JSON or not of the shape that GitHub sends.
    pub fn of(job: &Job) -> anyhow::Result<Place> {
        let Some(file) = &job.file else {
            return Ok(Place::Local);
        };
        let shown = file.display();
        // Before it is read: a file of any size could be named.
        let length = std::fs::metadata(file)
            .with_context(|| format!("failed to read the event `{shown}`"))?
            .len();
        ensure!(
            length <= EVENT_BYTES_MAX,
            "the event `{shown}` is too large: {length} bytes, expected at most {EVENT_BYTES_MAX}"
        );
        let text = store::read(file)?;
        Place::parse(&text, job.event.as_deref())
            .with_context(|| format!("failed to read the event `{shown}`"))
    }

    /// Parses an event. Without a name, its fields decide which event it is.
    fn parse(text: &str, name: Option<&str>) -> anyhow::Result<Place> {
        let event: Event = serde_json::from_str(text)?;
        let name = name.unwrap_or_else(|| event.implied_name());
        match name {
            "push" => push(&event),
            "pull_request" | "pull_request_target" => pull_request(event),
            "merge_group" => merge_group(event),
            "workflow_run" => workflow_run(event),
            "schedule" => Ok(Place::Schedule),
            _ => Ok(Place::Local),
        }
    }

    /// The branch in the history and at Bencher. It is made of constants and a number only: no name that
    /// somebody chose can write into `main`.
    pub fn branch(&self) -> Option<String> {
        match self {
            Place::Main { .. } => Some(MAIN.to_owned()),
            Place::Release { .. } => Some("releases".to_owned()),
            Place::PullRequest(PullRequest { number, .. }) | Place::Closed { number } => {
                Some(pull_request_branch(*number))
            }
            Place::Queued { .. } | Place::ForkDone { .. } | Place::Schedule | Place::Local => None,
        }
    }

    /// The measured commit.
    pub fn revision(&self) -> Option<&str> {
        match self {
            Place::Main { revision }
            | Place::Release { revision, .. }
            | Place::ForkDone { revision } => Some(revision),
            Place::PullRequest(request) => Some(&request.head),
            Place::Queued { head, .. } => Some(head),
            Place::Closed { .. } | Place::Schedule | Place::Local => None,
        }
    }

    /// The event in words, for messages.
    pub fn describe(&self) -> String {
        match self {
            Place::Main { .. } => "a push to main".to_owned(),
            Place::Release { tag, .. } => format!("the release {tag}"),
            Place::PullRequest(request) if request.is_fork => {
                format!("pull request #{} from a fork", request.number)
            }
            Place::PullRequest(request) => format!("pull request #{}", request.number),
            Place::Queued { .. } => "a commit of the merge queue".to_owned(),
            Place::ForkDone { .. } => "the finished run of a fork's pull request".to_owned(),
            Place::Closed { number } => format!("closed pull request #{number}"),
            Place::Schedule => "the daily schedule".to_owned(),
            Place::Local => "a local run".to_owned(),
        }
    }
}

/// The name of a pull request's branch at Bencher.
pub fn pull_request_branch(number: u64) -> String {
    format!("pr-{number}")
}

/// Whether a text is a full commit id: 40 hexadecimal digits.
pub fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[derive(Debug, Deserialize)]
struct Event {
    #[serde(rename = "ref")]
    reference: Option<String>,
    after: Option<String>,
    #[serde(default)]
    deleted: bool,
    action: Option<String>,
    number: Option<u64>,
    pull_request: Option<Request>,
    merge_group: Option<Group>,
    workflow_run: Option<Run>,
    /// The pushed commit; `after` may be the id of an annotated tag instead.
    head_commit: Option<HeadCommit>,
    repository: Option<Repository>,
    schedule: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Request {
    head: End,
    base: End,
}

#[derive(Debug, Deserialize)]
struct End {
    sha: String,
    /// `None` if the fork was deleted.
    repo: Option<Repository>,
}

#[derive(Debug, Deserialize)]
struct Repository {
    full_name: String,
}

#[derive(Debug, Deserialize)]
struct Group {
    head_sha: String,
    base_sha: String,
}

#[derive(Debug, Deserialize)]
struct HeadCommit {
    id: String,
}

#[derive(Debug, Deserialize)]
struct Run {
    head_sha: String,
    event: String,
    head_repository: Option<Repository>,
}

impl Event {
    fn implied_name(&self) -> &'static str {
        // From the most specific payload on: several events have a `pull_request` or a `ref` too.
        if self.workflow_run.is_some() {
            "workflow_run"
        } else if self.merge_group.is_some() {
            "merge_group"
        } else if self.pull_request.is_some() {
            "pull_request"
        } else if self.schedule.is_some() {
            "schedule"
        } else if self.reference.is_some() && self.after.is_some() {
            "push"
        } else {
            "unknown"
        }
    }
}

fn push(event: &Event) -> anyhow::Result<Place> {
    let reference = event.reference.as_deref().context("no `ref`")?;
    // A deleted branch or tag has no commit to report on.
    if event.deleted {
        return Ok(Place::Local);
    }
    let revision = || match &event.head_commit {
        Some(head) => commit(&head.id, "head_commit.id"),
        // An event without the pushed commit still has the id that the reference points to now.
        None => commit(event.after.as_deref().unwrap_or_default(), "after"),
    };
    if reference == "refs/heads/main" {
        return Ok(Place::Main {
            revision: revision()?,
        });
    }
    match reference.strip_prefix("refs/tags/") {
        Some(tag) if tag.starts_with('v') => {
            ensure!(
                is_tag(tag),
                "`{tag}` is not a valid release tag (expected at most 64 letters, digits, `.`, `-`, `+`)"
            );
            Ok(Place::Release {
                tag: tag.to_owned(),
                revision: revision()?,
            })
        }
        _ => Ok(Place::Local),
    }
}

fn pull_request(event: Event) -> anyhow::Result<Place> {
    let number = event.number.context("no `number`")?;
    ensure!(number > 0, "a pull request cannot have the number 0");
    // Before the other fields are read: to archive its branch takes only the number.
    if event.action.as_deref() == Some("closed") {
        return Ok(Place::Closed { number });
    }
    let request = event.pull_request.context("no `pull_request`")?;
    let base_repository = request.base.repo.context("no `pull_request.base.repo`")?;
    let head_repository = request.head.repo.map(|repository| repository.full_name);
    Ok(Place::PullRequest(PullRequest {
        number,
        head: commit(&request.head.sha, "pull_request.head.sha")?,
        base: commit(&request.base.sha, "pull_request.base.sha")?,
        // A deleted fork has no name, and counts as one: the side with fewer rights.
        is_fork: head_repository != Some(base_repository.full_name),
    }))
}

fn merge_group(event: Event) -> anyhow::Result<Place> {
    let group = event.merge_group.context("no `merge_group`")?;
    Ok(Place::Queued {
        head: commit(&group.head_sha, "merge_group.head_sha")?,
        base: commit(&group.base_sha, "merge_group.base_sha")?,
    })
}

fn workflow_run(event: Event) -> anyhow::Result<Place> {
    let run = event.workflow_run.context("no `workflow_run`")?;
    let repository = event.repository.context("no `repository`")?.full_name;
    let head = run.head_repository.map(|head| head.full_name);
    // Pull requests of this repository report in their own workflow run.
    if run.event != "pull_request" || head == Some(repository) {
        return Ok(Place::Local);
    }
    Ok(Place::ForkDone {
        revision: commit(&run.head_sha, "workflow_run.head_sha")?,
    })
}

fn commit(text: &str, field: &str) -> anyhow::Result<String> {
    if !is_commit(text) {
        bail!("`{field}` is not a full commit id (expected 40 hexadecimal digits)");
    }
    // Lower case, as git prints commits: ids are compared as text.
    Ok(text.to_ascii_lowercase())
}

/// Whether a tag is safe on command lines, in headings and as a version.
fn is_tag(tag: &str) -> bool {
    // No `/` and no space: a tag also becomes part of commands and headings.
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || b".-+".contains(&byte);
    tag.len() <= 64 && tag.bytes().all(usual)
}

#[cfg(test)]
mod tests;
