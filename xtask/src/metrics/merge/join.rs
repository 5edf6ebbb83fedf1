//! Joining what was read, pure. One value per metric; one commit; one kind of machine unless it
//! is asked for otherwise; never quick figures among full ones.

use std::collections::BTreeMap;

use anyhow::{bail, ensure};

use super::input::Input;
use crate::metrics::catalog::{METRICS, Metric};
use crate::metrics::model::{Host, Note, Outcome, Part, Record, Run, Value};

/// A value, and the file that has it.
#[derive(Debug)]
pub struct Found<'a> {
    /// Its row.
    pub metric: &'static Metric,
    /// The value.
    pub value: Value,
    file: &'a str,
}

/// All values in the order of the catalogue, each with one file.
pub fn values(inputs: &[(String, Input)]) -> anyhow::Result<Vec<Found<'_>>> {
    let mut found: Vec<Found<'_>> = Vec::new();
    for (file, input) in inputs {
        for (name, value) in measured(input) {
            if let Some(other) = found.iter().find(|found| found.metric.name == name) {
                bail!(
                    "`{name}` has two values: {} in `{}` and {} in `{file}`: \
                     leave out one of the files",
                    show(&other.value),
                    other.file,
                    show(value)
                );
            }
            let metric = METRICS.iter().find(|metric| metric.name == name);
            let metric = metric.expect("reading refused unknown names");
            found.push(Found {
                metric,
                value: value.clone(),
                file,
            });
        }
    }
    found.sort_by_key(|found| {
        METRICS
            .iter()
            .position(|metric| metric.name == found.metric.name)
    });
    Ok(found)
}

/// The joined run; none when an array is among the inputs, since an array has no host or commit.
/// Call it after `values`, which refuses two values for one metric.
pub fn runs(inputs: &[(String, Input)], across_hosts: bool) -> anyhow::Result<Option<Run>> {
    let runs: Vec<(&str, &Run)> = inputs
        .iter()
        .filter_map(|(file, input)| match input {
            Input::Run(run) => Some((file.as_str(), &**run)),
            Input::Array(_) => None,
        })
        .collect();
    let Some(((first_file, first), others)) = runs.split_first() else {
        return Ok(None);
    };
    for (file, run) in others {
        check_same(first_file, first, file, run, across_hosts)?;
    }
    Ok((runs.len() == inputs.len()).then(|| joined(first, &runs)))
}

fn check_same(
    first_file: &str,
    first: &Run,
    file: &str,
    run: &Run,
    across_hosts: bool,
) -> anyhow::Result<()> {
    let quick = |run: &Run| if run.quick { "quick" } else { "full" };
    ensure!(
        first.quick == run.quick,
        "`{first_file}` is a {} run and `{file}` a {} one: measure both alike",
        quick(first),
        quick(run)
    );
    let revision = |run: &Run| {
        run.git
            .revision
            .clone()
            .unwrap_or_else(|| "none".to_owned())
    };
    ensure!(
        first.git.revision == run.git.revision,
        "`{first_file}` is of revision {} and `{file}` of {}: merge outputs of one revision",
        revision(first),
        revision(run)
    );
    let differences = differences(&first.host, &run.host);
    ensure!(
        differences.is_empty() || across_hosts,
        "`{first_file}` and `{file}` are of different hosts ({differences}): \
         figures of two machines do not compare; --across-hosts joins and marks them"
    );
    Ok(())
}

fn joined(first: &Run, runs: &[(&str, &Run)]) -> Run {
    let all = || runs.iter().map(|(_, run)| *run);
    let mut tiers: Vec<_> = all().flat_map(|run| run.tiers.clone()).collect();
    tiers.sort_unstable();
    tiers.dedup();
    Run {
        started: all().map(|run| run.started).min().unwrap_or(first.started),
        finished: all()
            .map(|run| run.finished)
            .max()
            .unwrap_or(first.finished),
        complete: all().all(|run| run.complete),
        tiers,
        tools: agreed(all().map(|run| &run.tools)),
        git: crate::metrics::model::Git {
            dirty: all().any(|run| run.git.dirty),
            ..first.git.clone()
        },
        settings: agreed(all().map(|run| &run.settings)),
        metrics: METRICS
            .iter()
            .filter_map(|metric| best_record(first, runs, metric))
            .collect(),
        parts: runs
            .iter()
            .flat_map(|(file, run)| parts(file, run))
            .collect(),
        ..first.clone()
    }
}

/// The record that says most: a value before a failure before a skip. What the others said is
/// noted, so that a failure is not lost.
fn best_record(first: &Run, runs: &[(&str, &Run)], metric: &Metric) -> Option<Record> {
    let rank = |record: &Record| match record.outcome {
        Outcome::Measured { .. } => 0,
        Outcome::Failed { .. } => 1,
        Outcome::Skipped { .. } => 2,
        Outcome::Pending => 3,
    };
    let mut records: Vec<(&str, &Run, &Record)> = runs
        .iter()
        .filter_map(|(file, run)| Some((*file, *run, run.record(metric.name)?)))
        .collect();
    records.sort_by_key(|(_, _, record)| rank(record));
    let ((_, run, best), others) = records.split_first()?;
    let mut record = (*best).clone();
    if run.host != first.host && !record.notes.contains(&Note::OtherHost) {
        record.notes.push(Note::OtherHost);
    }
    for (file, _, other) in others {
        if let Outcome::Failed { error } = &other.outcome {
            record
                .notes
                .push(Note::Text(format!("failed in `{file}`: {error}")));
        }
    }
    Some(record)
}

/// A merged run keeps the parts it was made of; any other is a part itself.
fn parts(file: &str, run: &Run) -> Vec<Part> {
    if !run.parts.is_empty() {
        return run.parts.clone();
    }
    let measured = run
        .metrics
        .iter()
        .filter(|record| matches!(record.outcome, Outcome::Measured { .. }));
    vec![Part {
        file: file.to_owned(),
        started: run.started,
        finished: run.finished,
        host: run.host.clone(),
        tools: run.tools.clone(),
        subject: run.subject.clone(),
        settings: run.settings.clone(),
        metrics: measured.map(|record| record.name.clone()).collect(),
    }]
}

/// The entries that no two maps disagree on. The others stay with the parts.
fn agreed<'a, V: Clone + PartialEq + 'a>(
    maps: impl Iterator<Item = &'a BTreeMap<String, V>> + Clone,
) -> BTreeMap<String, V> {
    let all = maps.clone();
    let undisputed = |key: &String, value: &V| {
        all.clone()
            .all(|map| map.get(key).is_none_or(|other| other == value))
    };
    maps.flatten()
        .filter(|(key, value)| undisputed(key, value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn measured(input: &Input) -> Vec<(&str, &Value)> {
    match input {
        Input::Array(values) => values
            .iter()
            .map(|(metric, value)| (metric.name, value))
            .collect(),
        Input::Run(run) => run
            .metrics
            .iter()
            .filter_map(|record| match &record.outcome {
                Outcome::Measured { value, .. } => Some((record.name.as_str(), value)),
                _ => None,
            })
            .collect(),
    }
}

fn show(value: &Value) -> String {
    serde_json::to_string(value).expect("a value is plain data")
}

fn differences(left: &Host, right: &Host) -> String {
    let fields = |host: &Host| serde_json::to_value(host).expect("a host is plain data");
    let (left, right) = (fields(left), fields(right));
    let (Some(left), Some(right)) = (left.as_object(), right.as_object()) else {
        return String::new();
    };
    let differing = left
        .iter()
        .filter(|(key, value)| right.get(*key) != Some(value));
    let texts: Vec<String> = differing
        .map(|(key, value)| format!("{key} {value} and {}", right[key]))
        .collect();
    texts.join(", ")
}
