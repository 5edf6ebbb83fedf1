//! The differences of a session, one per block and metric, from its rows.

use std::collections::BTreeMap;

use super::row::{BASE, CONTROL, HEAD};
use crate::metrics::catalog::Metric;
use crate::metrics::catalog::threshold::{Change, Scale};
use crate::metrics::model::{Run, State};
use crate::metrics::stats;

/// The values of one program that count, by block.
pub(super) fn values(
    run: &Run,
    session: usize,
    metric: &Metric,
    arm: &str,
) -> BTreeMap<usize, f64> {
    run.samples_of(metric)
        .filter(|row| row.session == session && row.arm == arm && row.state == State::Counted)
        .filter_map(|row| Some((row.block, row.value.as_ref()?.number()?)))
        .filter(|(_, value)| value.is_finite())
        .collect()
}

/// The differences in one metric.
pub(super) struct Differences {
    /// Medians over blocks.
    pub(super) base: f64,
    pub(super) head: f64,
    /// Differences of head and base, and of control and base.
    pub(super) head_by_block: Vec<f64>,
    pub(super) control_by_block: Vec<f64>,
    is_share: bool,
    is_inverse: bool,
}

impl Differences {
    /// None without a block that has a value of both programs.
    pub(super) fn of(run: &Run, session: usize, metric: &'static Metric) -> Option<Differences> {
        let [base, control, head] =
            [BASE, CONTROL, HEAD].map(|arm| values(run, session, metric, arm));
        let is_share =
            matches!(metric.change(), Change::Tested(threshold) if threshold.scale == Scale::Share);
        let is_inverse = metric.more_is_better();
        let worse = |from: f64, to: f64| {
            let difference = if is_share {
                // Logarithms make a ratio symmetric: twice as slow and twice as fast have the same size.
                (from > 0.0 && to > 0.0).then(|| to.ln() - from.ln())?
            } else {
                to - from
            };
            Some(if is_inverse { -difference } else { difference })
        };
        let by_block = |other: &BTreeMap<usize, f64>| -> Vec<f64> {
            let pairs = base
                .iter()
                // A block counts only with both values: other blocks saw other states of the machine.
                .filter_map(|(block, from)| worse(*from, *other.get(block)?));
            pairs.collect()
        };
        let median =
            |of: &BTreeMap<usize, f64>| stats::median(&of.values().copied().collect::<Vec<_>>());
        let head_by_block = by_block(&head);
        if head_by_block.is_empty() {
            return None;
        }
        Some(Differences {
            // For display and the floor of memory; the effect is estimated from the differences by block.
            base: median(&base)?,
            head: median(&head)?,
            head_by_block,
            control_by_block: by_block(&control),
            is_share,
            is_inverse,
        })
    }

    /// The effect of a difference: a share or points, positive where it is worse.
    pub(super) fn effect(&self, difference: f64) -> f64 {
        match (self.is_share, self.is_inverse) {
            (false, _) => difference,
            (true, false) => difference.exp_m1(),
            (true, true) => -(-difference).exp_m1(),
        }
    }
}
