//! Metrics that do not vary: any difference is real, and none is tested.

use super::differences::values;
use super::row::{BASE, HEAD, Row};
use crate::metrics::catalog::Metric;
use crate::metrics::catalog::threshold::{Scale, Thresholds};
use crate::metrics::judge::verdict::Verdict;
use crate::metrics::model::Run;

/// Accepted relative spread of one program's values: each process seeds its hash tables anew.
const UNSTABLE: f64 = 0.002;

/// Judges a metric that needs no test: the smallest value of each program counts. A difference no larger
/// than the spread within one program is inconclusive.
pub(super) fn exact(
    run: &Run,
    session: usize,
    metric: &'static Metric,
    thresholds: Thresholds,
) -> Option<Row> {
    let range = |arm: &str| {
        let values = values(run, session, metric, arm);
        let smallest = values.values().copied().min_by(f64::total_cmp)?;
        let largest = values.values().copied().max_by(f64::total_cmp)?;
        Some((smallest, largest))
    };
    let (base, base_most) = range(BASE)?;
    let (head, head_most) = range(HEAD)?;
    if thresholds.scale == Scale::Share && (base <= 0.0 || head <= 0.0) {
        return None;
    }
    let change = match thresholds.scale {
        Scale::Points => head - base,
        Scale::Share => head / base - 1.0,
    };
    let effect = if metric.more_is_better() {
        -change
    } else {
        change
    };
    let mut verdict = Verdict::of_exact(effect, &thresholds);
    let mut reason = None;
    if thresholds.scale == Scale::Share {
        let spread = (base_most / base).max(head_most / head) - 1.0;
        if spread > UNSTABLE {
            let percent = 100.0 * spread;
            reason = Some(format!(
                "values of the same program differ by {percent:.2} %"
            ));
            // A larger effect than the spread is real in spite of it, and keeps its verdict.
            if verdict.is_regression() && effect <= spread {
                verdict = Verdict::Inconclusive;
            }
        }
    }
    Some(Row {
        metric,
        verdict,
        reason,
        base,
        head,
        effect,
        test: None,
    })
}
