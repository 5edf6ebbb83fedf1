//! The commits that changed the level of a metric, and by how much.
//!
//! Deliberately absent: a verdict. A change may be for the better, or accepted.

use crate::metrics::catalog::threshold::{Scale, Thresholds};
use crate::metrics::catalog::{METRICS, Metric};
use crate::metrics::history::file::History;
use crate::metrics::history::line::Job;
use crate::metrics::stats::changepoint::{self, Change, Least};

/// Minimum requirements for a change of level: one that fewer jobs have is a bump.
pub const LEAST: Least = Least {
    distance: 2.5,
    relative: 0.015,
    segment: 16,
    newest: 5,
};

/// A change of level of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    pub metric: &'static Metric,
    /// The first job of the new level.
    pub job: Job,
    /// The change, with the levels before and after.
    pub change: Change,
    /// The reason for which it was accepted, if it was.
    pub accepted: Option<String>,
    /// Whether too few jobs followed to be sure that the level stays.
    pub provisional: bool,
}

/// The changes of all metrics on a branch, separately for each kind of machine.
pub fn moved(past: &History, branch: &str) -> Vec<Moved> {
    let on_branch = past.jobs.iter().filter(|job| job.branch == branch);
    let mut all = Vec::new();
    for metric in METRICS {
        let measured = on_branch.clone();
        let measured = measured.filter(|job| job.number(metric.name).is_some());
        let measured: Vec<&Job> = measured.collect();
        let mut keys: Vec<&str> = measured.iter().map(|job| job.key_of(metric.name)).collect();
        // A change of machine would look like a change of level, so each kind is a series of its own.
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let with_value = measured.iter().filter(|job| job.key_of(metric.name) == key);
            let with_value: Vec<&&Job> = with_value.collect();
            let values = with_value.iter().filter_map(|job| job.number(metric.name));
            let values: Vec<f64> = values.collect();
            let changes = match metric.change().exact() {
                Some(thresholds) => steps(&values, &thresholds),
                None => changepoint::changes(&values, &LEAST),
            };
            for change in changes {
                let job = (**with_value[change.index]).clone();
                let accepted = past.accepted.iter().find(|line| {
                    line.metric == metric.name && Some(&line.revision) == job.revision.as_ref()
                });
                all.push(Moved {
                    metric,
                    job,
                    change,
                    accepted: accepted.map(|line| line.reason.clone()),
                    provisional: metric.change().exact().is_none()
                        && values.len() - change.index < LEAST.segment,
                });
            }
        }
    }
    all
}

/// The steps of a metric that needs no test, from the smallest threshold on.
fn steps(values: &[f64], thresholds: &Thresholds) -> Vec<Change> {
    let least = thresholds.notice.unwrap_or(thresholds.alert);
    let pairs = values.windows(2).enumerate();
    let steps = pairs.filter_map(|(number, pair)| {
        let difference = match thresholds.scale {
            Scale::Points => pair[1] - pair[0],
            Scale::Share if pair[0] == 0.0 => return None,
            Scale::Share => pair[1] / pair[0] - 1.0,
        };
        (difference.abs() >= least).then_some(Change {
            index: number + 1,
            before: pair[0],
            after: pair[1],
            // No test is made: without chance in the values every step is real.
            p: 0.0,
        })
    });
    steps.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalog::{BINARY_SIZE, LATENCY_P50};
    use crate::metrics::history::line::{Accept, Figure};
    use crate::metrics::model::Value;
    use crate::metrics::render::fixture::job;
    use crate::metrics::stats::Random;

    fn history(levels: &[(usize, f64)]) -> History {
        let mut random = Random::new(4);
        let levels = levels
            .iter()
            .flat_map(|(count, level)| std::iter::repeat_n(*level, *count));
        let jobs = levels.enumerate().map(|(number, level)| {
            job(
                number,
                level * (1.0 + 0.01 * (random.below(1000) as f64 / 1000.0 - 0.5)),
            )
        });
        History {
            jobs: jobs.collect(),
            ..History::default()
        }
    }

    fn indices(moved: &[Moved]) -> Vec<u64> {
        moved.iter().map(|of| of.job.started).collect()
    }

    #[test]
    fn a_step_is_found_at_its_commit_and_a_bump_is_not() {
        let past = history(&[(40, 2.0), (8, 2.1), (40, 2.0), (60, 2.2), (6, 2.4)]);
        let found = moved(&past, "main");
        assert_eq!(indices(&found), [88, 148], "{found:?}");
        assert!((found[0].change.relative() - 0.1).abs() < 0.01);
        assert!(!found[0].provisional && found[1].provisional);
        assert!(moved(&past, "other").is_empty());
        assert!(moved(&history(&[(200, 2.0)]), "main").is_empty());
        assert!(moved(&history(&[(2, 2.0)]), "main").is_empty());
    }

    #[test]
    fn each_step_of_a_size_is_found_wherever_it_is() {
        let mut past = history(&[(12, 2.0)]);
        for (number, job) in past.jobs.iter_mut().enumerate() {
            let size = [10_000_000, 10_060_000, 10_070_000, 14_000_000][number / 3];
            let figure = Figure {
                unit: "bytes".to_owned(),
                value: Value::Integer(size),
                samples: Vec::new(),
                key: None,
            };
            job.metrics.insert(BINARY_SIZE.name.to_owned(), figure);
        }
        let found = moved(&past, "main");
        assert_eq!(indices(&found), [3, 9], "{found:?}");
        assert!(found.iter().all(|of| !of.provisional));
    }

    #[test]
    fn machines_are_not_mixed_and_what_was_accepted_says_so() {
        let mut past = history(&[(60, 2.0), (60, 2.2)]);
        for job in past.jobs.iter_mut().skip(60) {
            job.key = "another machine".to_owned();
        }
        assert!(moved(&past, "main").is_empty());
        let mut past = history(&[(60, 2.0), (60, 2.2)]);
        past.accepted.push(Accept {
            schema: 1,
            metric: LATENCY_P50.name.to_owned(),
            revision: format!("{:040}", 60),
            reason: "a new check".to_owned(),
            accepted: 0,
        });
        let found = moved(&past, "main");
        assert_eq!(found[0].accepted.as_deref(), Some("a new check"));
    }
}
