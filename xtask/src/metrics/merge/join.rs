//! The join of runs and arrays. Pure. One value per metric, one commit, one kind of machine unless
//! `--across-hosts` allows several, and never quick figures among full ones.

use std::collections::BTreeMap;

use anyhow::{bail, ensure};

use super::input::Input;
use super::rows;
use crate::metrics::catalog::{METRICS, Metric};
use crate::metrics::digest;
use crate::metrics::model::{Git, Host, Note, Outcome, Part, Record, Run, Sample, Value};

/// A value, and the file that it is from.
#[derive(Debug)]
pub struct Found<'a> {
    pub metric: &'static Metric,
    pub value: Value,
    file: &'a str,
}

/// All values in the order of the catalogue, each with one file.
pub fn values(inputs: &[(String, Input)]) -> anyhow::Result<Vec<Found<'_>>> {
    let mut found: Vec<Found<'_>> = Vec::new();
    for (file, input) in inputs {
        for (metric, value) in measured(input) {
            if let Some(other) = found.iter().find(|found| found.metric == metric) {
                let name = metric.name;
                bail!(
                    "`{name}` has two values: {} in `{}` and {} in `{file}`: \
                     leave out one of the files",
                    show(&other.value),
                    other.file,
                    show(value)
                );
            }
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
    ensure!(
        first.subject.sha256 == run.subject.sha256 || is_one_commit(first, run),
        "`{first_file}` measured the binary {} and `{file}` {}, and they are not known to be \
         builds of one commit: merge outputs of one binary",
        short(first),
        short(run)
    );
    let differences = differences(&first.host, &run.host);
    ensure!(
        differences.is_empty() || across_hosts,
        "`{first_file}` and `{file}` are of different hosts ({differences}): figures of two \
         machines are not comparable; --across-hosts joins and marks them"
    );
    Ok(())
}

/// Whether both measured builds of the same commit, without changes. The commit of the checkout is no
/// evidence for a binary that was given.
fn is_one_commit(left: &Run, right: &Run) -> bool {
    fn commit(run: &Run) -> Option<&String> {
        let built_from = run.arms.first()?.revision.as_ref();
        built_from.filter(|commit| !run.git.dirty && run.git.revision.as_ref() == Some(*commit))
    }
    commit(left).is_some() && commit(left) == commit(right)
}

fn short(run: &Run) -> &str {
    let hash = &run.subject.sha256;
    digest::short(hash)
}

/// Files that measured another build of the first one's commit: two machines rarely build the same
/// bytes.
pub fn other_builds(inputs: &[(String, Input)]) -> Vec<&str> {
    let mut runs = inputs.iter().filter_map(|(file, input)| match input {
        Input::Run(run) => Some((file.as_str(), run)),
        Input::Array(_) => None,
    });
    let Some((_, first)) = runs.next() else {
        return Vec::new();
    };
    let others = runs.filter(|(_, run)| run.subject.sha256 != first.subject.sha256);
    others.map(|(file, _)| file).collect()
}

fn joined(first: &Run, runs: &[(&str, &Run)]) -> Run {
    let all = || runs.iter().map(|(_, run)| *run);
    let mut tiers: Vec<_> = all().flat_map(|run| run.tiers.clone()).collect();
    tiers.sort_unstable();
    tiers.dedup();
    let (metrics, samples) = chosen(first, runs);
    Run {
        thresholds: agreed(all().map(|run| &run.thresholds)),
        looks: agreed(all().map(|run| &run.looks)),
        started: all().map(|run| run.started).min().unwrap_or(first.started),
        finished: all()
            .map(|run| run.finished)
            .max()
            .unwrap_or(first.finished),
        // One part that was cut off makes the whole incomplete.
        complete: all().all(|run| run.complete),
        tiers,
        tools: agreed(all().map(|run| &run.tools)),
        git: Git {
            dirty: all().any(|run| run.git.dirty),
            ..first.git.clone()
        },
        settings: agreed(all().map(|run| &run.settings)),
        metrics,
        samples,
        distributions: rows::all(runs, |run| &run.distributions, |row| &mut row.session),
        raw: rows::all(runs, |run| &run.raw, |row| &mut row.session),
        parts: runs
            .iter()
            .flat_map(|(file, run)| parts(file, run))
            .collect(),
        ..first.clone()
    }
}

/// The best record of each metric, and the rows of the run that it is from.
fn chosen(first: &Run, runs: &[(&str, &Run)]) -> (Vec<Record>, Vec<Sample>) {
    let mut records = Vec::new();
    let mut samples = Vec::new();
    for metric in METRICS {
        let Some((from, record)) = best_record(first, runs, metric) else {
            continue;
        };
        records.push(record);
        let of_run = |run: &Run| run.samples_of(metric).cloned().collect();
        let offset = rows::offset(runs, from);
        samples.extend(rows::moved(of_run(runs[from].1), offset, |row| {
            &mut row.session
        }));
    }
    (records, samples)
}

/// The best record, and the index of its run: a value before a failure, a failure before a skip.
/// Failures of the others are noted, so that they are not lost.
fn best_record(first: &Run, runs: &[(&str, &Run)], metric: &Metric) -> Option<(usize, Record)> {
    let rank = |record: &Record| match record.outcome {
        Outcome::Measured { .. } => 0,
        Outcome::Failed { .. } => 1,
        Outcome::Skipped { .. } => 2,
        Outcome::Pending => 3,
    };
    let all = runs.iter().enumerate();
    let mut records: Vec<(usize, &Record)> = all
        .filter_map(|(index, (_, run))| Some((index, run.record(metric)?)))
        .collect();
    // A stable sort: among equals the file that was named first wins, so that the result is reproducible.
    records.sort_by_key(|(_, record)| rank(record));
    let ((from, best), others) = records.split_first()?;
    let mut record = (*best).clone();
    // A record of an earlier merge may have the note already.
    if runs[*from].1.host != first.host && !record.notes.contains(&Note::OtherHost) {
        record.notes.push(Note::OtherHost);
    }
    for (index, other) in others {
        let file = runs[*index].0;
        if let Outcome::Failed { error } = &other.outcome {
            record
                .notes
                .push(Note::Text(format!("failed in `{file}`: {error}")));
        }
    }
    Some((*from, record))
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

/// The entries on which all maps that have them agree. The others are kept with the parts.
fn agreed<'a, V: Clone + PartialEq + 'a>(
    maps: impl Iterator<Item = &'a BTreeMap<String, V>> + Clone,
) -> BTreeMap<String, V> {
    let all = maps.clone();
    let undisputed = |key: &String, value: &V| {
        all.clone()
            // A map without the key does not object: not every job uses every tool.
            .all(|map| map.get(key).is_none_or(|other| other == value))
    };
    maps.flatten()
        .filter(|(key, value)| undisputed(key, value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn measured(input: &Input) -> Vec<(&'static Metric, &Value)> {
    match input {
        Input::Array(values) => values
            .iter()
            .map(|(metric, value)| (*metric, value))
            .collect(),
        Input::Run(run) => run
            .rows()
            .filter_map(|(metric, record)| Some((metric, record.value()?)))
            .collect(),
    }
}

fn show(value: &Value) -> String {
    serde_json::to_string(value).expect("a value is plain data")
}

fn differences(left: &Host, right: &Host) -> String {
    // By way of JSON, so that a new field of the host is compared without a change here.
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
