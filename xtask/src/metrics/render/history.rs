//! A history for people, for other programs, and its changes of level.

use std::fmt::Write as _;

use super::{number, table};
use crate::metrics::digest;
use crate::metrics::history::file::History;
use crate::metrics::model::Value;
use crate::metrics::stats::changepoint::Least;
use crate::metrics::trend::Moved;

/// One line a job.
pub fn list(history: &History) -> String {
    let mut table = table::empty(&["started", "branch", "commit", "metrics", "machine"]);
    for job in &history.jobs {
        table.add_row([
            job.started.to_string(),
            job.branch.clone(),
            short(job.revision.as_deref()).to_owned(),
            job.metrics.len().to_string(),
            job.key.clone(),
        ]);
    }
    let mut text = table::finish(&table);
    for line in &history.accepted {
        let (metric, commit) = (&line.metric, short(Some(&line.revision)));
        let _ = writeln!(text, "`{metric}` accepted from {commit}: {}", line.reason);
    }
    text
}

/// One line a value.
pub fn csv(history: &History) -> String {
    let mut text = "started,branch,commit,machine,metric,unit,value\n".to_owned();
    for job in &history.jobs {
        for (name, figure) in &job.metrics {
            let fields = [
                job.started.to_string(),
                job.branch.clone(),
                job.revision.clone().unwrap_or_default(),
                job.key.clone(),
                name.clone(),
                figure.unit.clone(),
                plain(&figure.value),
            ];
            let fields = fields.map(|field| quoted(&field));
            let _ = writeln!(text, "{}", fields.join(","));
        }
    }
    text
}

/// One line a change of level.
pub fn trend(moved: &[Moved], jobs: usize, least: &Least) -> String {
    let mut table = table::empty(&["metric", "commit", "before", "after", "change", ""]);
    for of in moved {
        let scale = number::Scale::of(of.metric.unit, of.change.before);
        let mark = match (&of.accepted, of.provisional) {
            (Some(reason), _) => format!("accepted: {reason}"),
            (None, true) => "provisional".to_owned(),
            (None, false) => String::new(),
        };
        table.add_row([
            of.metric.name.to_owned(),
            short(of.job.revision.as_deref()).to_owned(),
            scale.with_unit(of.change.before),
            scale.with_unit(of.change.after),
            format!("{:+.1} %", 100.0 * of.change.relative()),
            mark,
        ]);
    }
    let table = if moved.is_empty() {
        "no metric is known to have changed its level\n".to_owned()
    } else {
        table::finish(&table)
    };
    format!(
        "{table}\n{jobs} jobs. Of metrics that vary, a change shows when {} jobs of one machine are before it \
         and {} after; until there are {} after, it is provisional.\n",
        least.segment, least.newest, least.segment
    )
}

fn short(revision: Option<&str>) -> &str {
    revision.map_or("unknown", |text| digest::short(text))
}

fn plain(value: &Value) -> String {
    match value {
        Value::Boolean(truth) => truth.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Text(text) => text.clone(),
    }
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}
