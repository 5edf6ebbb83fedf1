//! The part of the page on what became of each metric over time.

use std::fmt::Write as _;

use super::{View, anchor, chart, escape, folded, table};
use crate::metrics::catalog::{METRICS, Metric};
use crate::metrics::digest;
use crate::metrics::history::line::Job;
use crate::metrics::render::number;
use crate::metrics::trend::Moved;

/// Jobs that a table below a chart lists.
const LISTED: usize = 20;
/// Jobs that a chart shows: more are no more to see.
const SHOWN: usize = 1_000;

/// The jobs of a metric's chart: those of the machine that the last one was measured on.
pub(super) fn jobs<'v>(view: &View<'v>, metric: &Metric) -> Vec<&'v Job> {
    let jobs = view.history.jobs.iter();
    let jobs = jobs.filter(|job| job.branch == view.branch && job.number(metric.name).is_some());
    let jobs: Vec<&Job> = jobs.collect();
    let Some(last) = jobs.last() else {
        return Vec::new();
    };
    let key = last.key_of(metric.name);
    let same = jobs.iter().filter(|job| job.key_of(metric.name) == key);
    let same: Vec<&Job> = same.copied().collect();
    same[same.len().saturating_sub(SHOWN)..].to_vec()
}

/// The charts of all metrics that have had more than one job.
pub(super) fn section(view: &View<'_>) -> String {
    let mut text = String::new();
    for metric in METRICS {
        let of = jobs(view, metric);
        if of.len() > 1 {
            text += &trend(view, metric, &of);
        }
    }
    if text.is_empty() {
        return text;
    }
    format!(
        "<p>One point is one job on <code>{}</code>, on one kind of machine. A dashed line is a change of \
         level, a dotted one a release.</p>\n{text}",
        escape(view.branch)
    )
}

fn trend(view: &View<'_>, metric: &'static Metric, jobs: &[&Job]) -> String {
    let values: Vec<Option<f64>> = jobs.iter().map(|job| job.number(metric.name)).collect();
    let last = values.last().copied().flatten().unwrap_or_default();
    let scale = number::Scale::of(metric.unit, last);
    let moved: Vec<(usize, &Moved)> = view
        .moved
        .iter()
        .filter(|moved| moved.metric == metric)
        .filter_map(|moved| {
            let place = jobs.iter().position(|job| **job == moved.job)?;
            Some((place, moved))
        })
        .collect();
    let changes: Vec<usize> = moved.iter().map(|(place, _)| *place).collect();
    let commits: Vec<&str> = view
        .history
        .jobs
        .iter()
        .filter(|job| job.branch == "releases")
        .filter_map(|job| job.revision.as_deref())
        .collect();
    let releases: Vec<usize> = jobs
        .iter()
        .enumerate()
        .filter(|(_, job)| {
            job.revision
                .as_deref()
                .is_some_and(|of| commits.contains(&of))
        })
        .map(|(place, _)| place)
        .collect();
    let label = format!(
        "{} over {} jobs: the last is {}, {} changes of level",
        metric.name,
        jobs.len(),
        scale.with_unit(last),
        changes.len()
    );
    let drawn = chart::trend(&chart::Trend {
        label: &label,
        values: &values,
        changes: &changes,
        releases: &releases,
        shown: &|value| scale.with_unit(value),
    });
    let mut told = String::new();
    for (_, moved) in &moved {
        let accepted = moved.accepted.as_deref();
        let _ = writeln!(
            told,
            "<li>With <code>{}</code> from {} to {} ({:+.1} %){}</li>",
            escape(digest::short(
                moved.job.revision.as_deref().unwrap_or("unknown")
            )),
            scale.with_unit(moved.change.before),
            scale.with_unit(moved.change.after),
            100.0 * moved.change.relative(),
            accepted.map_or(String::new(), |why| format!(", accepted: {}", escape(why))),
        );
    }
    if !told.is_empty() {
        told = format!("<ul>{told}</ul>\n");
    }
    format!(
        "<h3 id=\"{}\"><code>{}</code></h3>\n<p class=\"soft\">{}</p>\n{drawn}{told}{}",
        anchor(metric),
        metric.name,
        escape(metric.method),
        folded("The last jobs as a table", &listed(metric, jobs, scale))
    )
}

fn listed(metric: &Metric, jobs: &[&Job], scale: number::Scale) -> String {
    let mut body = String::new();
    for job in jobs.iter().rev().take(LISTED) {
        let _ = writeln!(
            body,
            "<tr><th scope=\"row\"><code>{}</code></th><td class=\"number\">{}</td></tr>",
            escape(digest::short(job.revision.as_deref().unwrap_or("unknown"))),
            scale.with_unit(job.number(metric.name).unwrap_or_default()),
        );
    }
    table(&["Commit", "Value"], &body)
}
