//! The table of a run: one line per metric of the tiers that were asked for.
//!
//! Deliberately absent: colour, and reasons longer than a word, which are in `warnings`.

use comfy_table::{CellAlignment, Table, presets};

use super::number;
use crate::metrics::catalog::{Metric, Tier};
use crate::metrics::digest;
use crate::metrics::judge::{self, TargetVerdict};
use crate::metrics::model::{Note, Outcome, Record, Run, Tally, Value};

const HEADER: [&str; 7] = [
    "metric",
    "value",
    "95 % interval",
    "target",
    "",
    "samples",
    "notes",
];

/// The table, below a line with the commit, the machine and the marks of the run.
pub fn render(run: &Run) -> String {
    let mut table = empty(&HEADER);
    for tier in Tier::ALL {
        for (metric, record) in run.rows().filter(|(metric, _)| metric.tier == tier) {
            table.add_row(line(run, metric, record));
        }
    }
    for column in [1, 2, 5] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{}\n{}", headline(run), finish(&table))
}

/// A table without frame, columns two spaces apart.
pub fn empty(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(header.iter().copied());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// The text of a table, without spaces at the ends of its lines.
pub fn finish(table: &Table) -> String {
    let lines = table.lines();
    lines.fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

fn headline(run: &Run) -> String {
    let host = &run.host;
    let revision = run
        .git
        .revision
        .as_deref()
        .map_or("no revision", digest::short);
    let marks = [
        (run.git.dirty, ", modified"),
        (run.quick, ", quick: not to be quoted"),
        (!run.complete, ", cut off"),
    ];
    let marks: String = marks
        .iter()
        .filter(|mark| mark.0)
        .map(|mark| mark.1)
        .collect();
    format!(
        "{revision} on {} ({} cores, {}){marks}\n",
        host.cpu_model.as_deref().unwrap_or("unknown CPU"),
        host.logical_cores,
        host.kernel.as_deref().unwrap_or(&host.os),
    )
}

fn line(run: &Run, metric: &Metric, record: &Record) -> [String; 7] {
    let (value, interval) = figures(metric, record);
    let verdict = match judge::target(metric, record) {
        TargetVerdict::Met => "met",
        TargetVerdict::Missed => "MISSED",
        TargetVerdict::NoTarget => "no target",
        TargetVerdict::Unmeasured => "",
    };
    let target = match verdict {
        "no target" => String::new(),
        _ => number::target(metric.unit, metric.target),
    };
    [
        metric.name.to_owned(),
        value,
        interval,
        target,
        verdict.to_owned(),
        samples(run.tally(metric)),
        notes(metric, record),
    ]
}

/// Whether the target is met, in words for readers who see no notes.
pub(super) fn target_word(metric: &Metric, record: &Record) -> &'static str {
    let has = |note: &Note| record.notes.contains(note);
    match judge::target(metric, record) {
        TargetVerdict::Met => "met",
        TargetVerdict::Missed if has(&Note::GeneratorBound) => {
            "missed (the load generator was the limit)"
        }
        TargetVerdict::Missed => "missed",
        TargetVerdict::NoTarget => "no target",
        TargetVerdict::Unmeasured if has(&Note::Noisy) => "unknown (the machine was busy)",
        TargetVerdict::Unmeasured => "unknown",
    }
}

/// The cells of value and interval.
pub(super) fn figures(metric: &Metric, record: &Record) -> (String, String) {
    let word = |word: &str| (word.to_owned(), String::new());
    match &record.outcome {
        Outcome::Pending => word("not reached"),
        Outcome::Skipped { .. } => word("skipped"),
        Outcome::Failed { .. } => word("failed"),
        Outcome::Measured { value, interval } => {
            let interval = interval.zip(value.number()).map(|([lower, upper], value)| {
                // In the scale of the value, so that the three numbers can be compared by eye.
                let scale = number::Scale::of(metric.unit, value);
                format!("{} … {}", scale.number(lower), scale.number(upper))
            });
            (
                number::value(metric.unit, value),
                interval.unwrap_or_default(),
            )
        }
    }
}

fn samples(tally: Tally) -> String {
    if tally == Tally::default() {
        return String::new();
    }
    let others = [
        (tally.noisy, "noisy"),
        (tally.void, "void"),
        (tally.unmeasured, "unread"),
    ];
    let others = others.iter().filter(|(count, _)| *count > 0);
    others.fold(tally.counted.to_string(), |text, (count, state)| {
        format!("{text}, {count} {state}")
    })
}

fn notes(metric: &Metric, record: &Record) -> String {
    let pooled = record.pooled.map(|pooled| {
        let value = number::value(metric.unit, &Value::Float(pooled.value));
        format!("{value} over all {} calls", pooled.n)
    });
    let notes = record.notes.iter().map(describe).map(str::to_owned);
    pooled
        .into_iter()
        .chain(notes)
        .collect::<Vec<_>>()
        .join("; ")
}

fn describe(note: &Note) -> &str {
    match note {
        Note::Noisy => "noisy",
        Note::GeneratorBound => "generator bound",
        Note::OtherHost => "other host",
        Note::Text(text) => text,
    }
}
