//! The warnings that are printed below the table, on stderr: what happened, why, and what to do.

use crate::metrics::catalog::Metric;
use crate::metrics::model::{Note, Outcome, Record, Run, State};

/// One warning per reason, with all metrics that it concerns. Empty when all went well.
pub fn render(run: &Run) -> String {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for (metric, record) in run.rows() {
        for text in of_metric(run, metric, record) {
            // A search keeps the order in which the reasons first appear, which is that of the catalogue.
            match groups.iter_mut().find(|group| group.0 == text) {
                Some(group) => group.1.push(metric.name),
                None => groups.push((text, vec![metric.name])),
            }
        }
    }
    let warnings = groups.iter();
    warnings.fold(String::new(), |all, (text, names)| {
        all + "warning: " + &names.join(", ") + ": " + text + "\n"
    })
}

fn of_metric(run: &Run, metric: &Metric, record: &Record) -> Vec<String> {
    let mut texts = Vec::new();
    match &record.outcome {
        Outcome::Measured { .. } => {}
        Outcome::Pending => texts.push("not reached".to_owned()),
        Outcome::Skipped { reason, hint } => {
            texts.push(format!("not measured: {reason}\n  hint: {hint}"));
        }
        Outcome::Failed { error } => {
            let error = error.trim_end().replace('\n', "\n  ");
            texts.push(format!("not measured: {error}"));
        }
    }
    let measured = matches!(record.outcome, Outcome::Measured { .. });
    for (state, name) in [(State::Void, "void"), (State::Unmeasured, "unread")] {
        let rows = run.samples_of(metric).filter(|row| row.state == state);
        if let (true, Some((number, row))) = (measured, rows.enumerate().last()) {
            let why = row.reason.as_deref().unwrap_or("unknown");
            texts.push(format!(
                "{name} samples, not counted: {}; last reason: {why}",
                number + 1
            ));
        }
    }
    texts.extend(record.notes.iter().filter_map(|note| {
        match note {
            Note::Noisy => Some(format!(
                "noisy: {}, and repeating did not help\n  \
             hint: measure again on an idle machine",
                disturbance(run, metric)
            )),
            Note::GeneratorBound => Some(
                "the load generator was the limit: the true value is at least this good\n  \
             hint: measure on a machine with more cores"
                    .to_owned(),
            ),
            // These are remarks and no warnings: the table shows them.
            Note::OtherHost | Note::Text(_) => None,
        }
    }));
    texts
}

/// The last disturbance of the blocks that count in spite of it.
fn disturbance<'a>(run: &'a Run, metric: &Metric) -> &'a str {
    let counted = run
        .samples_of(metric)
        .filter(|row| row.state == State::Counted);
    let last = counted.filter_map(|row| row.reason.as_deref()).last();
    last.unwrap_or("the machine was disturbed meanwhile")
}
