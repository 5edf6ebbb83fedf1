//! A history as a table and as CSV, and the table of its changes of level.

use std::fmt::Write as _;

use super::{number, table};
use crate::metrics::digest;
use crate::metrics::history::file::History;
use crate::metrics::judge::level::Moved;
use crate::metrics::model::Value;
use crate::metrics::stats::changepoint::Least;

/// One line per job, then the accepted changes of level.
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

/// CSV with one line per value.
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
            // A branch name or a CPU model can contain a comma.
            let fields = fields.map(|field| quoted(&field));
            let _ = writeln!(text, "{}", fields.join(","));
        }
    }
    text
}

/// One line per change of level.
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
        "no change of level was found\n".to_owned()
    } else {
        table::finish(&table)
    };
    format!(
        "{table}\n{jobs} jobs. In metrics that vary, a change is found when {} jobs of one kind of \
         machine are before it and {} after it; until there are {} after it, it is provisional.\n",
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
