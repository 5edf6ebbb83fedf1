//! The part of the page that shows each metric over time.

use std::fmt::Write as _;

use super::chart;
use super::html::{View, anchor, escape, folded, table};
use crate::metrics::catalog::{METRICS, Metric};
use crate::metrics::digest;
use crate::metrics::history::line::Job;
use crate::metrics::judge::level::Moved;
use crate::metrics::render::number;

/// Jobs that the table below a chart lists.
const LISTED: usize = 20;
/// Changes of level and releases that are listed below a chart, the newest; earlier ones are folded.
const EVENTS: usize = 10;
/// The longest reason of an accepted change that is shown.
const REASON_CHARACTERS_MAX: usize = 200;
/// Jobs that a chart shows: more points could not be told apart.
const SHOWN: usize = 1_000;

/// The jobs of a metric's chart: those with the key of the last one.
pub(super) fn jobs<'v>(view: &View<'v>, metric: &Metric) -> Vec<&'v Job> {
    let jobs = view.history.jobs.iter();
    let jobs = jobs.filter(|job| job.branch == view.branch && job.number(metric.name).is_some());
    let jobs: Vec<&Job> = jobs.collect();
    let Some(last) = jobs.last() else {
        return Vec::new();
    };
    // The kind of machine that is in use now: a line over several kinds would show their differences.
    let key = last.key_of(metric.name);
    let same = jobs.iter().filter(|job| job.key_of(metric.name) == key);
    let same: Vec<&Job> = same.copied().collect();
    same[same.len().saturating_sub(SHOWN)..].to_vec()
}

/// The charts of all metrics with more than one job.
pub(super) fn section(view: &View<'_>) -> String {
    let mut text = String::new();
    let mut first = Vec::new();
    for metric in METRICS {
        let of = jobs(view, metric);
        if of.len() > 1 {
            text += &trend(view, metric, &of);
        } else if of.len() == 1 {
            first.push(format!("<code>{}</code>", metric.name));
        }
    }
    if !first.is_empty() {
        let names = first.join(", ");
        let _ = writeln!(
            text,
            "<p>No chart yet, since the last job was the first on its kind of machine: {names}.</p>"
        );
    }
    if text.is_empty() {
        return text;
    }
    format!(
        "<p>Each point is one job on <code>{}</code>, all on one kind of machine. A dashed line is a \
         change of level, a dotted line a release.</p>\n{text}",
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
            // A change on another kind of machine, or before the charted jobs, has no place in this chart.
            let place = jobs.iter().position(|job| **job == moved.job)?;
            Some((place, moved))
        })
        .collect();
    let changes: Vec<usize> = moved.iter().map(|(place, _)| *place).collect();
    let releases = releases(view, jobs);
    let label = format!(
        "{} over {} jobs: the last is {}; {}",
        metric.name,
        jobs.len(),
        scale.with_unit(last),
        match changes.len() {
            0 => "no change of level".to_owned(),
            1 => "one change of level".to_owned(),
            changes => format!("{changes} changes of level"),
        }
    );
    let drawn = chart::trend(&chart::Trend {
        label: &label,
        values: &values,
        changes: &changes,
        releases: &releases,
        shown: &|value, extra| scale.finer(value, extra),
    });
    let events = events(metric, scale, &moved, (&releases, jobs));
    let others = others(view, metric, jobs);
    format!(
        "<h3 id=\"{}\"><code>{}</code></h3>\n<p class=\"soft\">{}{others}</p>\n{drawn}{events}{}",
        anchor(metric),
        metric.name,
        escape(metric.method),
        folded(
            &format!("The last jobs of {} as a table", metric.name),
            &listed(metric, jobs, scale)
        )
    )
}

/// The places of the jobs that measured a release.
fn releases(view: &View<'_>, jobs: &[&Job]) -> Vec<usize> {
    let commits: Vec<&str> = view
        .history
        .jobs
        .iter()
        .filter(|job| job.branch == "releases")
        .filter_map(|job| job.revision.as_deref())
        .collect();
    jobs.iter()
        .enumerate()
        .filter(|(_, job)| {
            job.revision
                .as_deref()
                .is_some_and(|of| commits.contains(&of))
        })
        .map(|(place, _)| place)
        .collect()
}

/// The list of the changes of level and of the releases that a chart shows as lines, each the newest first;
/// nothing without any.
fn events(
    metric: &Metric,
    scale: number::Scale,
    moved: &[(usize, &Moved)],
    (releases, jobs): (&[usize], &[&Job]),
) -> String {
    let mut told = Vec::new();
    for (_, moved) in moved.iter().rev() {
        let accepted = moved.accepted.as_deref();
        told.push(format!(
            "<li>Since commit <code>{}</code>: from {} to {} ({:+.1} %, {}){}{}</li>\n",
            escape(digest::short(
                moved.job.revision.as_deref().unwrap_or("unknown")
            )),
            scale.with_unit(moved.change.before),
            scale.with_unit(moved.change.after),
            100.0 * moved.change.relative(),
            if (moved.change.relative() > 0.0) == metric.more_is_better() {
                "better"
            } else {
                "worse"
            },
            if moved.provisional {
                ", provisional: few jobs followed"
            } else {
                ""
            },
            accepted.map_or(String::new(), |why| format!(
                ", accepted: {}",
                escape(&shortened(why))
            )),
        ));
    }
    for place in releases.iter().rev() {
        let commit = jobs[*place].revision.as_deref().unwrap_or("unknown");
        told.push(format!(
            "<li>Release of commit <code>{}</code></li>\n",
            escape(digest::short(commit))
        ));
    }
    let list = |events: &[String]| format!("<ul>{}</ul>\n", events.concat());
    match told.split_at_checked(EVENTS) {
        None if told.is_empty() => String::new(),
        None | Some((_, [])) => list(&told),
        Some((newest, earlier)) => {
            let title = format!(
                "{} more changes and releases of {}",
                earlier.len(),
                metric.name
            );
            list(newest) + &folded(&title, &list(earlier))
        }
    }
}

/// How many jobs are not in the chart, and why.
fn others(view: &View<'_>, metric: &Metric, charted: &[&Job]) -> String {
    let jobs = view.history.jobs.iter();
    let jobs = jobs.filter(|job| job.branch == view.branch && job.number(metric.name).is_some());
    let key = charted.last().map(|job| job.key_of(metric.name));
    let (same, others): (Vec<&Job>, Vec<&Job>) =
        jobs.partition(|job| Some(job.key_of(metric.name)) == key);
    let mut text = String::new();
    let earlier = same.len() - charted.len();
    if earlier > 0 {
        let _ = write!(text, ". {earlier} earlier jobs are not shown");
    }
    if !others.is_empty() {
        let _ = write!(
            text,
            ". {} jobs ran on another kind of machine",
            others.len()
        );
    }
    text
}

/// A reason, cut to what fits beside a figure.
fn shortened(reason: &str) -> String {
    // By characters: a byte index could lie within one, and slicing there panics.
    match reason.char_indices().nth(REASON_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
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
    table(metric.name, &["Commit", "Value"], &body)
}
