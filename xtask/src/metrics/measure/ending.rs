//! The exit of a finished run. Pure.

use crate::exit::Exit;
use crate::metrics::catalog::Metric;
use crate::metrics::judge::{self, TargetVerdict};
use crate::metrics::model::{Outcome, Record, Run};

/// A missed target comes first under `enforce_targets`: it is certain, whatever else is missing.
/// Under `strict` a metric that was asked for must have a value; an extra may be skipped, since
/// it needs a tool that not every machine has.
pub fn of(run: &Run, strict: bool, enforce_targets: bool) -> Exit {
    let rows: Vec<(&Metric, &Record)> = run.rows().collect();
    let names = |keep: &dyn Fn(&Metric, &Record) -> bool| -> Vec<&str> {
        rows.iter()
            .filter(|(row, record)| keep(row, record))
            .map(|(row, _)| row.name)
            .collect()
    };
    let measured = names(&|_, record| matches!(record.outcome, Outcome::Measured { .. }));
    let missed = names(&|row, record| judge::target(row, record) == TargetVerdict::Missed);
    let met = names(&|row, record| judge::target(row, record) == TargetVerdict::Met);
    let unmeasured = names(&|row, record| match record.outcome {
        Outcome::Measured { .. } => false,
        Outcome::Skipped { .. } => !row.extra(),
        Outcome::Failed { .. } | Outcome::Pending => true,
    });

    let summary = format!(
        "{} of {} metrics measured, {} targets met, {} missed",
        measured.len(),
        rows.len(),
        met.len(),
        missed.len()
    );
    if enforce_targets && !missed.is_empty() {
        return Exit::Blocked(format!("targets missed: {} ({summary})", missed.join(", ")));
    }
    // Also without `strict`: no data is an error, never a success with nothing to show.
    if measured.is_empty() {
        return Exit::Unusable("nothing could be measured; see the warnings".to_owned());
    }
    if strict && !unmeasured.is_empty() {
        let names = unmeasured.join(", ");
        return Exit::Unusable(format!(
            "--strict needs all metrics, but these were not measured: {names} ({summary})"
        ));
    }
    Exit::Fine(summary)
}
