//! What the jobs of the workflows do, so that YAML holds no logic, and each can be tried on any machine
//! with the event of any push or pull request: `cargo xtask ci --job NAME --event FILE`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser as _;

use super::{release, runner};
use crate::exit::Exit;
use crate::flags::{self, Flags, JobFlag};
use crate::metrics::history;
use crate::metrics::measure::RESULTS;
use crate::metrics::report::announce;
use crate::metrics::report::place::{Job, Place};
use crate::metrics::store;
use crate::say::say;
use crate::tools::cargo;
use crate::tools::git::{self, Repository};
use crate::tools::scratch::Scratch;
use crate::workspace;

/// The branch of the history.
const DATA: &str = "metrics-data";

/// Metrics of a category that are measured with another job than the rest of it, or all of one.
const MEASURED: &[(JobFlag, &[&str])] = &[
    (JobFlag::Build, &["binary/size"]),
    (
        JobFlag::Container,
        &[
            "binary/docker_image_compressed",
            "binary/docker_layers",
            "binary/docker_base",
            "binary/multi_arch",
            "throughput/rps_constrained",
            "memory/constrained_rss",
        ],
    ),
    (
        JobFlag::Load,
        &[
            "latency",
            "ttfb",
            "overhead",
            "cpu",
            "throughput/rps_10vu",
            "memory/idle_rss",
            "memory/under_load_rss",
            "memory/peak_rss",
        ],
    ),
    (
        JobFlag::Bench,
        &["startup", "policy", "approval", "instructions"],
    ),
];

/// Does what `job` does for the event that there is.
pub fn run(job: JobFlag, flags: &flags::Ci) -> anyhow::Result<Exit> {
    let event = Job::of_environment(flags.event.as_deref());
    let place = Place::of(&event)?;
    say!("job of {}", place.describe());
    runner::prepare(job)?;
    match job {
        JobFlag::Build | JobFlag::Container | JobFlag::Load | JobFlag::Bench => measure(job),
        JobFlag::Compare => compare(&place),
        JobFlag::Report => report(&place, flags),
        JobFlag::Archive if place == Place::Schedule => archive(flags),
        JobFlag::ForkReport | JobFlag::Archive => {
            command(&with_event(&["metrics", "report"], flags))
        }
        JobFlag::Binaries => release::binaries(&place),
        JobFlag::Image => release::image(&place),
        JobFlag::Release => release::release(&place, flags),
    }
}

fn measure(job: JobFlag) -> anyhow::Result<Exit> {
    let names = MEASURED.iter().find(|of| of.0 == job);
    let names = names.map(|of| of.1.join(",")).unwrap_or_default();
    command(&["metrics", "--soft", "--only", &names])
}

/// A pull request is compared with where it parted from its base, a release with the one before. The
/// history of `main` is judged by `report`.
fn compare(place: &Place) -> anyhow::Result<Exit> {
    let workspace = workspace::root()?;
    let (base, head) = match place {
        Place::PullRequest(request) => {
            let base = git::merge_base(&workspace, &request.base, &request.head).with_context(|| {
                format!(
                    "the commits {} and {} have no common one here: check out the whole history \
                     (`fetch-depth: 0`)",
                    request.base, request.head
                )
            })?;
            (base, request.head.clone())
        }
        Place::Release { tag, .. } => match git::tag_before(&workspace, tag) {
            Some(before) => (before, tag.clone()),
            None => return Ok(Exit::Fine(format!("there is no release before {tag}"))),
        },
        _ => return Ok(Exit::Fine("nothing is compared here".to_owned())),
    };
    command(&["metrics", "compare", "--base", &base, "--head", &head])
}

/// Joins, judges, tells; on `main` and of releases the run becomes part of the history, whatever the
/// verdict on it is.
fn report(place: &Place, flags: &flags::Ci) -> anyhow::Result<Exit> {
    let results = cargo::target_dir(&workspace::root()?).join(RESULTS);
    let runs = left(&flags.artifacts, "run.json");
    // Without what a job has left, what an earlier run on this machine left must not be taken for it.
    let mut run = flags.artifacts.join("run.json");
    if runs.is_empty() {
        announce::warning("no job has left any metrics");
    } else if join(&runs, &results.join("run.json"))? {
        run = results.join("run.json");
    }
    let mut comparison = flags.artifacts.join("compare.json");
    if let Some(path) = left(&flags.artifacts, "compare.json").pop() {
        comparison = results.join("compare.json");
        store::save(&comparison, &store::read(&path)?)?;
    }
    let has_run = run.exists();
    let (run, comparison) = (run.to_string_lossy(), comparison.to_string_lossy());
    let mut arguments = with_event(&["metrics", "report"], flags);
    arguments.extend(["--run", &run, "--comparison", &comparison]);
    let folder = Scratch::new("the history")?;
    let past = folder
        .path()
        .join(history::FILE)
        .to_string_lossy()
        .into_owned();
    if matches!(place, Place::Main { .. }) {
        fetch_history(&flags.remote, folder.path())?;
        arguments.extend(["--history", &past]);
    }
    let exit = command(&arguments)?;
    let kept = matches!(place, Place::Main { .. } | Place::Release { .. });
    if let (true, true, Some(of)) = (kept, has_run, place.branch()) {
        let whole = ["metrics", "publish", "--run", &run, "--of", &of];
        let to = ["--branch", DATA, "--remote", &flags.remote];
        announce::soft(command(&[&whole[..], &to].concat()), |error| {
            format!("the history was not pushed: {error:#}")
        })?;
    }
    Ok(exit)
}

/// Daily: archives what is old, and draws badges and page anew, so that old figures are shown as such.
fn archive(flags: &flags::Ci) -> anyhow::Result<Exit> {
    let refresh = [
        "metrics",
        "publish",
        "--refresh",
        "--branch",
        DATA,
        "--remote",
        &flags.remote,
    ];
    announce::soft(command(&refresh), |error| {
        format!("the badges were not drawn anew: {error:#}")
    })?;
    command(&with_event(&["metrics", "report"], flags))
}

/// Joins what jobs have measured; whether that is possible.
fn join(runs: &[PathBuf], run: &Path) -> anyhow::Result<bool> {
    let runs: Vec<String> = runs
        .iter()
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    let array = run.with_file_name("bench_metrics.json");
    let (run, array) = (run.to_string_lossy(), array.to_string_lossy());
    let mut arguments = vec!["metrics", "merge", "--across-hosts"];
    arguments.extend(["--run-output", &run, "--output", &array]);
    arguments.extend(runs.iter().map(String::as_str));
    let joined = announce::soft(command(&arguments), |error| {
        format!("the metrics of the jobs could not be joined: {error:#}")
    })?;
    Ok(joined.is_some())
}

/// The history as it is on its branch now; an empty folder before the first job, and, with a warning,
/// where the branch cannot be had.
pub(super) fn fetch_history(remote: &str, folder: &Path) -> anyhow::Result<()> {
    let repository = Repository::beside(&workspace::root()?, folder, remote);
    let taken = repository.and_then(|repository| repository.take(DATA));
    announce::soft(taken, |error| format!("there is no history: {error:#}")).map(drop)
}

/// The files called `name` that jobs have left, one folder a job, in the order of their names.
pub(super) fn left(artifacts: &Path, name: &str) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(artifacts).into_iter().flatten().flatten();
    let files = folders.map(|folder| folder.path().join(name));
    // A link could lead to any file of the machine.
    let mut files: Vec<PathBuf> = files
        .filter(|file| file.symlink_metadata().is_ok_and(|found| found.is_file()))
        .collect();
    files.sort();
    files
}

fn with_event<'a>(arguments: &[&'a str], flags: &'a flags::Ci) -> Vec<&'a str> {
    let mut arguments = arguments.to_vec();
    if let Some(event) = flags.event.as_deref().and_then(Path::to_str) {
        arguments.extend(["--event", event]);
    }
    arguments
}

/// Runs one command of this program, as if it had been typed.
pub(super) fn command(arguments: &[&str]) -> anyhow::Result<Exit> {
    say!("cargo xtask {}", arguments.join(" "));
    let all = ["cargo xtask"].iter().chain(arguments);
    let flags = Flags::try_parse_from(all).context("a job calls a command that is none")?;
    crate::dispatch(&flags.command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalog::METRICS;

    #[test]
    fn each_metric_is_measured_by_one_job() {
        for metric in METRICS {
            let jobs = MEASURED.iter().filter(|(_, names)| {
                let mut names = names.iter();
                names.any(|name| *name == metric.name || *name == metric.category())
            });
            assert_eq!(jobs.count(), 1, "{}", metric.name);
        }
    }

    #[test]
    fn what_jobs_left_is_found_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        for job in ["metrics-load", "metrics-build"] {
            std::fs::create_dir(folder.path().join(job)).unwrap();
            std::fs::write(folder.path().join(job).join("run.json"), "{}").unwrap();
        }
        let hostile = folder.path().join("metrics-x");
        std::fs::create_dir(&hostile).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", hostile.join("run.json")).unwrap();
        let found = left(folder.path(), "run.json");
        let names: Vec<&str> = found
            .iter()
            .filter_map(|file| file.parent()?.file_name()?.to_str())
            .collect();
        assert_eq!(names, ["metrics-build", "metrics-load"]);
        assert!(left(&folder.path().join("nosuch"), "run.json").is_empty());
    }
}
