//! Metrics that do not vary: each difference is one, and none is tested.

use super::differences::values;
use super::{BASE, HEAD, Row};
use crate::metrics::catalog::Metric;
use crate::metrics::catalog::threshold::{Scale, Thresholds};
use crate::metrics::judge::verdict::Verdict;
use crate::metrics::model::Run;

/// A metric of which any difference is one: the smallest value of each program counts.
pub(super) fn exact(
    run: &Run,
    session: usize,
    metric: &'static Metric,
    thresholds: Thresholds,
) -> Option<Row> {
    let smallest = |arm: &str| {
        let values = values(run, session, metric, arm);
        values.into_values().min_by(f64::total_cmp)
    };
    let (base, head) = (smallest(BASE)?, smallest(HEAD)?);
    let change = match thresholds.scale {
        Scale::Points => head - base,
        Scale::Share if base == 0.0 => return None,
        Scale::Share => head / base - 1.0,
    };
    let effect = if metric.more_is_better() {
        -change
    } else {
        change
    };
    let verdict = Verdict::of_exact(effect, &thresholds);
    Some(Row {
        metric,
        verdict,
        reason: None,
        base,
        head,
        effect,
        test: None,
    })
}
