//! The verdicts on a run by the history of its branch: one line per metric, the worst first.

use super::{comparison, number, table};
use crate::metrics::catalog::threshold::{Change, Scale};
use crate::metrics::digest;
use crate::metrics::history::line::Job;
use crate::metrics::judge::history::{self, Row};
use crate::metrics::judge::verdict::Verdict;

const HEADER: [&str; 7] = [
    "verdict", "metric", "before", "now", "worse by", "jobs", "p",
];

/// The table, with the number of compared jobs above it, and reasons and advice below.
pub fn table(job: &Job, comparable: usize, others: usize, rows: &[Row]) -> String {
    let mut table = table::empty(&HEADER);
    for row in rows {
        table.add_row(cells(row));
    }
    let mut text = format!(
        "{} against {comparable} comparable jobs of `{}` ({others} jobs of other branches or \
         machines left out); by chance alone, a metric alerts in {:.1} % of jobs\n\n{}",
        job.revision.as_deref().map_or("this run", digest::short),
        job.branch,
        100.0 * history::by_chance(),
        table::finish(&table)
    );
    for (reason, metrics) in by_reason(rows) {
        let names: Vec<String> = metrics.iter().map(|name| format!("`{name}`")).collect();
        text = format!("{text}\n{}: {reason}", names.join(", "));
    }
    if rows.iter().any(|row| row.verdict >= Verdict::Alert) {
        text += "\n\nWhat to do: fix the regression, or accept the new level with `cargo xtask \
                 metrics history add` and `cargo xtask metrics history accept --metric NAME \
                 --commit COMMIT --reason TEXT`.";
    }
    text.trim_end().to_owned() + "\n"
}

/// The reasons of rows, each once, with the metrics that have it.
pub(super) fn by_reason(rows: &[Row]) -> Vec<(String, Vec<&'static str>)> {
    let mut all: Vec<(String, Vec<&'static str>)> = Vec::new();
    for row in rows {
        let moved = match row.moved {
            0 => None,
            1 => Some("1 outlier moved in to four deviations".to_owned()),
            moved => Some(format!("{moved} outliers moved in to four deviations")),
        };
        for reason in row.reason.iter().cloned().chain(moved) {
            match all.iter_mut().find(|(said, _)| *said == reason) {
                Some((_, metrics)) => metrics.push(row.metric.name),
                None => all.push((reason, vec![row.metric.name])),
            }
        }
    }
    all
}

pub(super) fn cells(row: &Row) -> [String; 7] {
    if row.metric.change() == Change::Target {
        return target_cells(row);
    }
    let scale = number::Scale::of(row.metric.unit, row.value);
    let points = match row.metric.change() {
        Change::Tested(thresholds) | Change::Exact(thresholds) => thresholds.scale == Scale::Points,
        Change::Target => true,
    };
    // Not computed: a printed 0 would look like a measured one.
    let effect = if row.verdict == Verdict::Inconclusive && row.effect == 0.0 {
        String::new()
    } else if points {
        format!("{:+.2} points", row.effect)
    } else {
        format!("{:+.1} %", 100.0 * row.effect)
    };
    [
        row.verdict.word().to_owned(),
        row.metric.name.to_owned(),
        row.mean
            .map(|mean| scale.with_unit(mean))
            .unwrap_or_default(),
        scale.with_unit(row.value),
        effect,
        row.jobs.to_string(),
        row.p
            .map(|[_, holm, _]| comparison::probability(holm))
            .unwrap_or_default(),
    ]
}

fn target_cells(row: &Row) -> [String; 7] {
    let word = |value: f64| if value > 0.0 { "missed" } else { "met" }.to_owned();
    [
        row.verdict.word().to_owned(),
        row.metric.name.to_owned(),
        row.mean.map(word).unwrap_or_default(),
        word(row.value),
        String::new(),
        row.jobs.to_string(),
        String::new(),
    ]
}
