//! `cargo xtask metrics check`: judges a run by the history of its branch on machines of the same kind.

use anyhow::ensure;

use super::catalog::threshold::Change;
use super::catalog::{self, Metric};
use super::history::file::History;
use super::history::line::Job;
use super::judge::history::{self as rules, JOBS_MAX, LATEST, Row, Series, Test};
use super::judge::verdict::Verdict;
use super::model::Run;
use super::{ending, history, judge, render};
use crate::exit::{self, Exit};
use crate::flags;
use crate::say::say;
use crate::workspace;

pub fn run(flags: &flags::Check) -> anyhow::Result<Exit> {
    let path = history::path(flags.history.as_deref())?;
    let past = history::read(&path)?;
    if past.jobs.is_empty() {
        say!(
            "warning: there are no jobs in `{}` yet: `cargo xtask metrics history add` adds a run",
            workspace::shown(&path)
        );
    }
    let run = history::last_run(flags.run.as_deref())?;
    if run.quick {
        say!("warning: this is a quick run, which is compared with other quick runs only");
    }
    let branch = history::branch(flags.branch.as_deref())?;
    let test = match flags.test {
        flags::HistoryTest::Student => Test::Student,
        flags::HistoryTest::Welch => Test::Welch,
        flags::HistoryTest::Permutation => Test::Permutation,
    };
    let checked = Checked::of(&past, &run, &branch, test)?;
    exit::print(&render::check::table(
        &checked.job,
        checked.comparable,
        past.jobs.len() - checked.comparable,
        &checked.rows,
    ))?;
    Ok(ending::of(checked.overall(), flags.strict))
}

/// A run, with the verdicts by the history.
pub struct Checked {
    /// The run, as an entry of the history.
    pub job: Job,
    /// Number of jobs that it can be compared with.
    pub comparable: usize,
    /// One row per metric, the worst first.
    pub rows: Vec<Row>,
}

impl Checked {
    /// Judges `run` as a job of `branch`.
    pub fn of(past: &History, run: &Run, branch: &str, test: Test) -> anyhow::Result<Checked> {
        // The metrics that it did not reach would be missing from the verdict.
        ensure!(run.complete, "a run that was cut off cannot be judged");
        let job = Job::of(run, branch);
        ensure!(!job.metrics.is_empty(), "the run has no measured metric");
        let comparable = comparable(past, &job);
        let rows = rules::judge(&series(past, &comparable, &job), test);
        Ok(Checked {
            comparable: comparable.len(),
            job,
            rows,
        })
    }

    /// The greatest of all verdicts.
    pub fn overall(&self) -> Verdict {
        let greatest = self.rows.iter().map(|row| row.verdict).max();
        greatest.unwrap_or(Verdict::Inconclusive)
    }
}

/// The jobs that `job` can be compared with in at least one metric, the oldest first. The job itself is
/// left out, if it was added to the history, and so are later ones, if an old run is judged again.
fn comparable<'h>(past: &'h History, job: &Job) -> Vec<&'h Job> {
    let jobs = past.jobs.iter();
    jobs.filter(|other| {
        other.branch == job.branch
            && (other.started, &other.sha256) != (job.started, &job.sha256)
            && other.started <= job.started
            && job.is_comparable_with(other)
    })
    .collect()
}

/// The values of each metric: the baseline, and the latest jobs including `job`.
fn series(past: &History, comparable: &[&Job], job: &Job) -> Vec<Series> {
    let metrics = catalog::METRICS.iter();
    let of = |metric: &'static Metric| {
        let value = judged(job, metric)?;
        // Jobs from before the accepted change have the old level, and are no baseline any more.
        let from = accepted_from(past, comparable, job, metric);
        let jobs = comparable[from..].iter();
        let jobs = jobs.filter(|other| job.shares(other, metric.name));
        let jobs: Vec<(&Job, f64)> = jobs
            // The same commit once more is no baseline of what does not vary.
            .filter(|other| {
                let varies = matches!(metric.change(), Change::Tested(_));
                varies || other.revision.is_none() || other.revision != job.revision
            })
            .filter_map(|job| Some((*job, judged(job, metric)?)))
            .chain([(job, value)])
            .collect();
        let all: Vec<f64> = jobs.iter().map(|(_, value)| *value).collect();
        // The latest jobs are outside: a regression that has just begun must not be its own baseline.
        let judged_from = jobs.len().saturating_sub(LATEST as usize);
        let mut kept = rules::baseline(metric, &all[..judged_from]);
        kept.drain(..kept.len().saturating_sub(JOBS_MAX));
        let lasts_from = kept.last().map_or(0, |last| last + 1);
        let commits = kept.iter().copied().chain(lasts_from..jobs.len());
        Some(Series {
            metric,
            baseline: kept.iter().map(|index| all[*index]).collect(),
            held: all[lasts_from..judged_from].to_vec(),
            latest: all[judged_from..].to_vec(),
            commits: commits
                .map(|index| jobs[index].0.revision.clone())
                .collect(),
        })
    };
    metrics.filter_map(of).collect()
}

/// The number that is judged: the value, or whether the target is missed.
fn judged(job: &Job, metric: &Metric) -> Option<f64> {
    let value = &job.metrics.get(metric.name)?.value;
    // As 0 or 1, so that leaving a target is a step, and missing it still is none.
    if metric.change() == Change::Target {
        return Some(f64::from(u8::from(!judge::meets(metric, value)?)));
    }
    value.number()
}

/// The index of the first job of the last accepted level of a metric.
fn accepted_from(past: &History, jobs: &[&Job], job: &Job, metric: &Metric) -> usize {
    let accepted = past
        .accepted
        .iter()
        .filter(|line| line.metric == metric.name);
    let starts = accepted.filter_map(|line| {
        if job.revision.as_ref() == Some(&line.revision) {
            // Accepted with the judged job itself: no earlier job has the new level.
            return Some(jobs.len());
        }
        let mut jobs = jobs.iter();
        jobs.position(|job| job.revision.as_ref() == Some(&line.revision))
    });
    // A level can be accepted several times; the latest acceptance is the one in force.
    starts.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalog::{BINARY_DOCKER_BASE, LATENCY_P50};
    use crate::metrics::history::line::{Accept, Figure};
    use crate::metrics::model::Value;
    use crate::metrics::render::fixture::job;

    fn past(values: impl IntoIterator<Item = f64>) -> History {
        let values = values.into_iter().enumerate();
        History {
            jobs: values.map(|(number, value)| job(number, value)).collect(),
            ..History::default()
        }
    }

    fn series_of(past: &History, job: &Job) -> Series {
        let comparable = comparable(past, job);
        series(past, &comparable, job).remove(0)
    }

    #[test]
    fn the_latest_jobs_are_no_part_of_the_baseline() {
        let past = past((0..50).map(f64::from));
        let series = series_of(&past, &job(50, 99.0));
        assert_eq!(series.latest, [48.0, 49.0, 99.0]);
        assert_eq!(series.baseline.len(), JOBS_MAX);
        assert_eq!(series.baseline.last(), Some(&47.0));
        // The same job, judged again after it was added.
        let series = series_of(&past, &job(49, 49.0));
        assert_eq!(series.latest, [47.0, 48.0, 49.0]);
    }

    #[test]
    fn other_branches_machines_and_settings_are_not_compared() {
        let mut past = past((0..30).map(f64::from));
        for (number, job) in past.jobs.iter_mut().enumerate() {
            match number % 3 {
                0 => job.branch = "other".to_owned(),
                1 => job.key = "other".to_owned(),
                _ => {}
            }
        }
        assert_eq!(comparable(&past, &job(40, 1.0)).len(), 10);
    }

    #[test]
    fn a_metric_of_another_machine_is_compared_with_those_of_that_machine() {
        let mut past = past((0..30).map(f64::from));
        let name = LATENCY_P50.name;
        for (number, job) in past.jobs.iter_mut().enumerate() {
            if number % 2 == 0 {
                let figure = job.metrics.get_mut(name).unwrap();
                figure.key = Some("a runner with more cores".to_owned());
            }
        }
        let mut now = job(40, 1.0);
        assert_eq!(series_of(&past, &now).baseline.len(), 13);
        now.metrics.get_mut(name).unwrap().key = past.jobs[0].metrics[name].key.clone();
        let series = series_of(&past, &now);
        assert_eq!(series.latest, [26.0, 28.0, 1.0]);
    }

    #[test]
    fn to_leave_a_target_blocks_and_to_miss_it_still_does_not() {
        let value = |base: &str| Value::Text(base.to_owned());
        let mut past = past([1.0]);
        let mut now = job(1, 1.0);
        let name = BINARY_DOCKER_BASE.name;
        let figure = |base| Figure {
            unit: "string".to_owned(),
            value: value(base),
            samples: Vec::new(),
            key: None,
        };
        for (before, after, expected) in [
            ("scratch", "scratch", Verdict::Pass),
            ("scratch", "debian", Verdict::Block),
            ("debian", "debian", Verdict::Pass),
            ("debian", "scratch", Verdict::Pass),
        ] {
            past.jobs[0].metrics.insert(name.to_owned(), figure(before));
            now.metrics.insert(name.to_owned(), figure(after));
            let comparable = comparable(&past, &now);
            let rows = rules::judge(&series(&past, &comparable, &now), Test::Student);
            let mut rows = rows.iter();
            let row = rows.find(|row| row.metric.name == name).unwrap();
            assert_eq!(row.verdict, expected, "{before} to {after}");
        }
    }

    #[test]
    fn a_regression_is_told_until_it_is_mended_or_accepted() {
        let usual = |number: usize| 2.0 + [0.0, 0.01, -0.01, 0.02][number % 4];
        let worse = |number: usize| {
            if number < 30 {
                usual(number)
            } else {
                1.4 * usual(number)
            }
        };
        let mut past = past((0..90).map(worse));
        let row = |past: &History, value: f64| {
            let series = series_of(past, &job(90, value));
            rules::judge(&[series], Test::Student).remove(0)
        };
        let bad = row(&past, worse(90));
        assert_eq!((bad.verdict, bad.jobs), (Verdict::Block, 30));
        assert_eq!(bad.since, past.jobs[30].revision);
        assert_eq!(row(&past, usual(90)).verdict, Verdict::Pass, "it is mended");
        past.accepted.push(Accept {
            schema: 1,
            metric: LATENCY_P50.name.to_owned(),
            revision: past.jobs[30].revision.clone().unwrap(),
            reason: "a new check".to_owned(),
            accepted: 0,
        });
        assert_eq!(row(&past, worse(90)).verdict, Verdict::Pass);
    }

    #[test]
    fn the_same_commit_measured_again_is_no_better_than_before() {
        let size = |number: usize, size: f64| {
            let mut job = job(number, 2.0);
            let figure = Figure {
                unit: "bytes".to_owned(),
                value: Value::Float(size),
                samples: Vec::new(),
                key: None,
            };
            job.metrics.insert("binary/size".to_owned(), figure);
            job
        };
        let mut again = size(7, 12e6);
        again.revision = size(2, 12e6).revision;
        let past = History {
            jobs: vec![size(1, 10e6), size(2, 12e6)],
            ..History::default()
        };
        let comparable = comparable(&past, &again);
        let rows = rules::judge(&series(&past, &comparable, &again), Test::Student);
        let row = rows
            .iter()
            .find(|row| row.metric.name == "binary/size")
            .unwrap();
        assert_eq!(row.verdict, Verdict::Block);
    }

    #[test]
    fn an_accepted_change_begins_a_new_baseline() {
        let mut past = past((0..40).map(|number| if number < 20 { 2.0 } else { 2.6 }));
        past.accepted.push(Accept {
            schema: 1,
            metric: LATENCY_P50.name.to_owned(),
            revision: format!("{:040}", 20),
            reason: "a new check".to_owned(),
            accepted: 0,
        });
        let series = series_of(&past, &job(40, 2.6));
        assert_eq!(series.baseline, [2.6; 18]);
    }

    #[test]
    fn a_change_that_is_accepted_with_the_judged_job_has_no_baseline_yet() {
        let mut past = past((0..40).map(|_| 2.0));
        let now = job(40, 2.9);
        past.accepted.push(Accept {
            schema: 1,
            metric: LATENCY_P50.name.to_owned(),
            revision: now.revision.clone().unwrap(),
            reason: "a new check".to_owned(),
            accepted: 0,
        });
        let series = series_of(&past, &now);
        assert_eq!((series.baseline.len(), series.latest.len()), (0, 1));
        let row = rules::judge(&[series], Test::Student).remove(0);
        assert_eq!(row.verdict, Verdict::Inconclusive);
    }
}
