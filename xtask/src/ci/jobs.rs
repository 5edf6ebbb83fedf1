//! The jobs of the workflows. They are here so that YAML holds no logic, and each can be tried on any
//! machine with the event of any push or pull request: `cargo xtask ci --job NAME --event FILE`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::artifacts::{DATA, fetch_history, left};
use super::command::{Commands, Dispatch, Tells};
use super::{release, runner};
use crate::exit::Exit;
use crate::flags::{self, JobFlag};
use crate::interrupt;
use crate::metrics::history;
use crate::metrics::measure::RESULTS;
use crate::metrics::report::place::{Job, Place};
use crate::metrics::report::{NOT_COMPARED, annotate};
use crate::metrics::store;
use crate::say::{self, say};
use crate::tools::cargo;
use crate::tools::git;
use crate::tools::scratch::Scratch;
use crate::workspace;

/// The metrics of each measuring job: single ones, or whole categories if one job measures all of them.
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

/// Runs `job` for the event of the current workflow run, or of `--event`.
pub fn run(job: JobFlag, flags: &flags::Ci, dispatch: Dispatch) -> anyhow::Result<Exit> {
    let event = Job::of_environment(flags.event.as_deref());
    let place = Place::of(&event)?;
    say!("running the job for {}", place.describe());
    runner::prepare(job)?;
    let commands = Commands::of(flags, dispatch);
    let measures = matches!(
        job,
        JobFlag::Build | JobFlag::Container | JobFlag::Load | JobFlag::Bench | JobFlag::Compare
    );
    if measures && commands.tells == Tells::Nobody {
        let results = cargo::target_dir(&workspace::root()?).join(RESULTS);
        let shown = workspace::shown(&results);
        say!("note: this job measures, and replaces the results in `{shown}`");
    }
    match job {
        JobFlag::Build | JobFlag::Container | JobFlag::Load | JobFlag::Bench => {
            measure(job, commands)
        }
        JobFlag::Compare => compare(&place, commands),
        JobFlag::Report => report(&place, flags, commands),
        JobFlag::Publish => publish(&place, flags, commands),
        JobFlag::Archive if place == Place::Schedule => archive(flags, commands),
        JobFlag::Archive => commands.tell(&with_event(&["metrics", "report"], flags)),
        JobFlag::ForkReport => match place {
            Place::ForkDone { .. } => commands.run(&report_command(flags, commands.tells)),
            _ => Ok(Exit::Fine(
                "the workflow run was not for a fork's pull request".to_owned(),
            )),
        },
        JobFlag::Binaries => release::binaries(&place),
        JobFlag::Image => release::image(&place, commands),
        JobFlag::Release => release::release(&place, flags, commands.tells),
    }
}

fn measure(job: JobFlag, commands: Commands) -> anyhow::Result<Exit> {
    let names = MEASURED.iter().find(|of| of.0 == job);
    let names = names.map(|of| of.1.join(",")).unwrap_or_default();
    commands.run(&["metrics", "--soft", "--only", &names])
}

/// Compares a pull request with its merge base, or a release with the one before. A commit on `main` is
/// judged by `report`, from the history.
fn compare(place: &Place, commands: Commands) -> anyhow::Result<Exit> {
    let Some((base, head)) = sides(place)? else {
        return Ok(Exit::Fine("nothing to compare for this event".to_owned()));
    };
    let results = cargo::target_dir(&workspace::root()?).join(RESULTS);
    // Files that are left on this machine are of another comparison.
    for name in ["compare.json", NOT_COMPARED] {
        let _ = std::fs::remove_file(results.join(name));
    }
    let compared = commands.run(&["metrics", "compare", "--base", &base, "--head", &head]);
    let why = match compared {
        Err(error) if interrupt::cause(&error).is_some() => return Err(error),
        Err(error) => format!("{error:#}"),
        Ok(Exit::Unusable(why)) => why,
        Ok(exit) => return Ok(exit),
    };
    // An old release may not build any more, or responses may have changed on purpose: no verdict, but no
    // reason to stop a release. The report gives the reason.
    annotate::warning(&format!("nothing was compared: {why}"));
    store::save(
        &results.join(NOT_COMPARED),
        &format!("{}\n", say::short(&why)),
    )?;
    Ok(Exit::Fine("nothing was compared".to_owned()))
}

/// The base and the head of the comparison; `None` if there is nothing to compare.
fn sides(place: &Place) -> anyhow::Result<Option<(String, String)>> {
    let workspace = workspace::root()?;
    let parted = |base: &str, head: &str| {
        git::merge_base(&workspace, base, head).with_context(|| {
            format!(
                "{base} and {head} have no merge base in this checkout: check out the whole history \
                 (`fetch-depth: 0`)"
            )
        })
    };
    Ok(match place {
        Place::PullRequest(request) => {
            let base = parted(&request.base, &request.head)?;
            Some((base, request.head.clone()))
        }
        Place::Queued { head, base } => Some((base.clone(), head.clone())),
        Place::Release { tag, .. } => {
            let before = git::tag_before(&workspace, tag);
            before.map(|before| (before, tag.clone()))
        }
        _ => None,
    })
}

/// Merges the runs of the measuring jobs, and judges and reports them with `metrics report`.
fn report(place: &Place, flags: &flags::Ci, commands: Commands) -> anyhow::Result<Exit> {
    let results = commands.tells.results()?;
    let runs = whole(left(&flags.artifacts, "run.json"));
    // Without results of a job this file does not exist: those of an earlier run on this machine must not
    // be reported instead.
    let mut run = flags.artifacts.join("run.json");
    if runs.is_empty() {
        annotate::warning("no job has left any metrics");
    } else if join(&runs, &results.join("run.json"), commands)? {
        run = results.join("run.json");
    }
    for name in ["compare.json", NOT_COMPARED] {
        match left(&flags.artifacts, name).pop() {
            Some(path) => {
                // Whether it can be read is for the report to say.
                let text = String::from_utf8_lossy(&store::read_bytes(&path)?).into_owned();
                store::save(&results.join(name), &text)?;
            }
            None => drop(std::fs::remove_file(results.join(name))),
        }
    }
    let comparison = results.join("compare.json");
    let (run, comparison) = (run.to_string_lossy(), comparison.to_string_lossy());
    let mut arguments = report_command(flags, commands.tells);
    arguments.extend(["--run", &run, "--comparison", &comparison]);
    let folder = Scratch::new("the history")?;
    let past = folder
        .path()
        .join(history::FILE)
        .to_string_lossy()
        .into_owned();
    // Only commits on `main` are judged by the history; the others are compared with another commit.
    if matches!(place, Place::Main { .. }) {
        fetch_history(&flags.remote, folder.path())?;
        arguments.extend(["--history", &past]);
    }
    commands.run(&arguments)
}

fn report_command(flags: &flags::Ci, tells: Tells) -> Vec<&str> {
    let mut arguments = with_event(&["metrics", "report"], flags);
    if tells == Tells::Nobody {
        arguments.push("--dry-run");
    }
    arguments
}

/// Adds the run that `report` left to the history, whatever its verdict.
fn publish(place: &Place, flags: &flags::Ci, commands: Commands) -> anyhow::Result<Exit> {
    let kept = matches!(place, Place::Main { .. } | Place::Release { .. });
    let (true, Some(of)) = (kept, place.branch()) else {
        return Ok(Exit::Fine("nothing to publish for this event".to_owned()));
    };
    let Some(run) = left(&flags.artifacts, "run.json").pop() else {
        annotate::warning("the report left no metrics: nothing is published");
        return Ok(Exit::Fine("nothing was published".to_owned()));
    };
    let run = run.to_string_lossy();
    let mut arguments = vec!["metrics", "publish", "--run", &run, "--of", &of];
    arguments.extend(["--branch", DATA, "--remote", &flags.remote]);
    let comparison = left(&flags.artifacts, "compare.json").pop();
    let comparison = comparison.as_deref().map(Path::to_string_lossy);
    if let Some(path) = &comparison {
        arguments.extend(["--comparison", path]);
    }
    // Only a warning: `report` has given the verdict, and a failed push does not change it.
    let published = annotate::soft(commands.tell(&arguments), |error| {
        format!("the history was not pushed: {error:#}")
    })?;
    Ok(published.unwrap_or_else(|| Exit::Fine("nothing was published".to_owned())))
}

/// Daily: archives old branches at Bencher, and redraws badges and page, so that old figures are marked as
/// stale.
fn archive(flags: &flags::Ci, commands: Commands) -> anyhow::Result<Exit> {
    let refresh = [
        "metrics",
        "publish",
        "--refresh",
        "--branch",
        DATA,
        "--remote",
        &flags.remote,
    ];
    annotate::soft(commands.tell(&refresh), |error| {
        format!("the badges were not redrawn: {error:#}")
    })?;
    commands.tell(&with_event(&["metrics", "report"], flags))
}

/// The runs that can be read and are complete: a bad one costs only its own metrics.
fn whole(runs: Vec<PathBuf>) -> Vec<PathBuf> {
    let is_whole = |path: &PathBuf| match history::last_run(Some(path)) {
        Ok(run) if run.complete && !run.quick => true,
        Ok(_) => {
            annotate::warning(&format!(
                "`{}` is left out: the run was cut off, or is a quick one",
                path.display()
            ));
            false
        }
        Err(error) => {
            annotate::warning(&format!("{error:#}; this run is left out"));
            false
        }
    };
    runs.into_iter().filter(is_whole).collect()
}

/// Merges the runs of the jobs, and returns whether that succeeded.
fn join(runs: &[PathBuf], run: &Path, commands: Commands) -> anyhow::Result<bool> {
    let runs: Vec<String> = runs
        .iter()
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    let array = run.with_file_name("bench_metrics.json");
    let (run, array) = (run.to_string_lossy(), array.to_string_lossy());
    // Each job has run on a machine of its own, hence `--across-hosts`.
    let mut arguments = vec!["metrics", "merge", "--across-hosts"];
    arguments.extend(["--run-output", &run, "--output", &array]);
    arguments.extend(runs.iter().map(String::as_str));
    let joined = annotate::soft(commands.run(&arguments), |error| {
        format!("failed to merge the metrics of the jobs: {error:#}")
    })?;
    Ok(joined.is_some())
}

fn with_event<'a>(arguments: &[&'a str], flags: &'a flags::Ci) -> Vec<&'a str> {
    let mut arguments = arguments.to_vec();
    if let Some(event) = flags.event.as_deref().and_then(Path::to_str) {
        arguments.extend(["--event", event]);
    }
    arguments
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
}
