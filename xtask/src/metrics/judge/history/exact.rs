//! Metrics that do not vary: a job is compared with the one before, and none is tested.
//!
//! Deliberately absent: the family of tests, which these metrics are no part of.

use super::fit::worse;
use super::series::{Row, Series};
use crate::metrics::catalog::threshold::{Change, Scale, Thresholds};
use crate::metrics::judge;
use crate::metrics::judge::verdict::Verdict;
use crate::metrics::model::Value;

/// Judges a metric that needs no test against the job before.
pub(super) fn exact(series: &Series) -> Option<Row> {
    let thresholds = series.metric.change().exact()?;
    let value = *series.latest.last()?;
    let before = match series.latest.as_slice() {
        // The job directly before, also if it is one of the latest: a step shows at the commit that made it.
        [.., before, _] => Some(*before),
        _ => series.baseline.last().copied(),
    };
    let mut row = Row {
        metric: series.metric,
        verdict: Verdict::Pass,
        reason: None,
        mean: before,
        spread: None,
        value,
        effect: 0.0,
        jobs: series.baseline.len(),
        moved: 0,
        p: None,
        since: series.commits.last().cloned().flatten(),
    };
    let Some(before) = before else {
        row.verdict = Verdict::Inconclusive;
        row.reason = Some("insufficient history: no earlier job".to_owned());
        return Some(row);
    };
    row.effect = match thresholds.scale {
        Scale::Points => worse(series.metric, before, value),
        Scale::Share if before == 0.0 => {
            row.verdict = Verdict::Inconclusive;
            row.reason = Some("the job before has 0: no relative change is possible".to_owned());
            return Some(row);
        }
        Scale::Share => worse(series.metric, before, value) / before,
    };
    row.verdict = Verdict::of_exact(row.effect, &thresholds);
    // A count of things (layers) has a limit besides: to go beyond it is no matter of steps.
    let number = Value::Float(value);
    let has_limit =
        matches!(series.metric.change(), Change::Exact(_)) && thresholds.scale == Scale::Points;
    if has_limit && row.effect > 0.0 && judge::meets(series.metric, &number) == Some(false) {
        row.verdict = Verdict::Block;
        row.reason = Some("above its target".to_owned());
    }
    creep(&mut row, series, &thresholds);
    Some(row)
}

/// Steps of which none is an alert alone, and all together as much as a block, are an alert at the job with
/// which they come to that much. A large improvement counts in full, a large step has had its own alert.
fn creep(row: &mut Row, series: &Series, thresholds: &Thresholds) {
    // Points do not multiply, and an alert needs no second reason.
    if thresholds.scale != Scale::Share || row.verdict >= Verdict::Alert {
        return;
    }
    let values: Vec<f64> = series
        .baseline
        .iter()
        .chain(&series.latest)
        .copied()
        .collect();
    let steps = values.windows(2).filter(|pair| pair[0] > 0.0);
    let steps = steps.map(|pair| worse(series.metric, pair[0], pair[1]) / pair[0]);
    let small: Vec<f64> = steps.filter(|step| *step < thresholds.alert).collect();
    let Some((_, before)) = small.split_last() else {
        return;
    };
    let grown = |steps: &[f64]| {
        let grown = steps.iter().fold(1.0, |grown, step| grown * (1.0 + step));
        grown - 1.0
    };
    // Only at the crossing: later jobs would repeat an alert that was given already.
    if grown(before) < thresholds.block && grown(&small) >= thresholds.block {
        let (percent, jobs) = (100.0 * grown(&small), values.len() - 1);
        row.verdict = Verdict::Alert;
        row.reason = Some(format!(
            "small changes of {jobs} jobs add up to {percent:.0} %, reached by this one"
        ));
    }
}
