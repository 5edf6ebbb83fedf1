//! The verdicts on a job by the earlier ones: the requirement's §9.1, with Student's test of one new
//! value, which is equivalent to the prediction interval of the history.
//!
//! The latest jobs are compared with the same earlier ones, so that the first bad job does not become
//! part of the baseline of the second.

mod exact;
mod fit;
mod series;

use super::verdict::Verdict;
use crate::metrics::catalog::Metric;
use crate::metrics::catalog::threshold::{Change, Scale, Thresholds};
use crate::metrics::stats::{adjust, power};
use exact::exact;
use fit::Fit;

pub use series::{Row, Series, Test};

/// Largest number of jobs in a baseline; older ones are left out.
pub const JOBS_MAX: usize = 30;
/// Smallest baselines for an alert and for a block.
const ALERT_JOBS: usize = 10;
const BLOCK_JOBS: usize = 20;
/// An alert needs two worse jobs among the three latest, of which the judged one is the last: one test
/// at 5 % alone would alert in 5 % of jobs, two of three do so in 0.7 %.
pub const LATEST: u32 = 3;
const WORSE_AT_LEAST: u32 = 2;
/// The relative spread above which a metric cannot block.
const SPREAD_MAX: f64 = 0.15;
/// The p-values of the requirement's §9.1: for an alert and for a block.
const LEVELS: [f64; 2] = [0.05, 0.01];

/// The probability that chance alone makes enough of the latest jobs worse for an alert.
pub fn by_chance() -> f64 {
    power::at_least(WORSE_AT_LEAST, LATEST, LEVELS[0])
}

/// Judges all metrics of a job; the worst first.
pub fn judge(all: &[Series], test: Test) -> Vec<Row> {
    let tested: Vec<(&Series, Thresholds, Option<Fit>)> = all
        .iter()
        .filter_map(|series| match series.metric.change() {
            Change::Tested(thresholds) => Some((
                series,
                thresholds,
                Fit::of(&series.baseline, thresholds.scale),
            )),
            Change::Exact(_) | Change::Target => None,
        })
        .collect();
    let p: Vec<f64> = tested
        .iter()
        .map(|(series, _, fit)| {
            let fit = fit.as_ref();
            // With too short a history a metric stays in the family, at p = 1: the level holds for all.
            fit.map_or(1.0, |fit| fit.p(series, test))
        })
        .collect();
    let (holm, bh) = (adjust::holm(&p), adjust::benjamini_hochberg(&p));
    let mut rows: Vec<Row> = tested
        .iter()
        .enumerate()
        .map(|(index, (series, thresholds, fit))| {
            row(
                series,
                *thresholds,
                fit.as_ref(),
                [p[index], holm[index], bh[index]],
            )
        })
        .collect();
    // After the adjustment: metrics that do not vary have no p-value and would only dilute the family.
    rows.extend(all.iter().filter_map(exact));
    rows.sort_by(|left, right| {
        let effect = right.effect.total_cmp(&left.effect);
        right.verdict.cmp(&left.verdict).then(effect)
    });
    rows
}

/// The jobs before the judged one that make its baseline, by index: those of a regression are no part of
/// it, however long it lasts, so that it cannot become normal unless somebody accepts it.
pub fn baseline(metric: &Metric, values: &[f64]) -> Vec<usize> {
    let Change::Tested(thresholds) = metric.change() else {
        return (0..values.len()).collect();
    };
    let mut kept: Vec<usize> = Vec::new();
    // Whether each of the last jobs was worse than the baseline of its time.
    let mut was_worse: Vec<bool> = Vec::new();
    for (index, value) in values.iter().enumerate() {
        // Each job is judged as on the day it ran: by the jobs before it that were part of the baseline then.
        let from = kept.len().saturating_sub(JOBS_MAX);
        let of = |index: &usize| values[*index];
        let before: Vec<f64> = kept[from..].iter().map(of).collect();
        let fit = (before.len() >= ALERT_JOBS)
            .then(|| Fit::of(&before, thresholds.scale))
            .flatten();
        let worse = fit.is_some_and(|fit| is_worse(metric, thresholds, &fit, *value));
        let recent = was_worse.len().saturating_sub(LATEST as usize - 1);
        if worse && was_worse[recent..].contains(&true) {
            // The one before is part of the same regression; one alone would have been noise.
            kept.retain(|kept| *kept < recent || !was_worse[*kept]);
        } else {
            kept.push(index);
        }
        was_worse.push(worse);
    }
    kept
}

fn row(series: &Series, thresholds: Thresholds, fit: Option<&Fit>, p: [f64; 3]) -> Row {
    let value = series.latest.last().copied().unwrap_or(f64::NAN);
    let mut row = Row {
        metric: series.metric,
        verdict: Verdict::Inconclusive,
        reason: None,
        mean: fit.map(|fit| fit.mean),
        spread: fit.map(|fit| fit.deviation / fit.mean.abs()),
        value,
        effect: 0.0,
        jobs: series.baseline.len(),
        moved: fit.map_or(0, |fit| fit.moved),
        p: fit.map(|_| p),
        since: None,
    };
    // INCONCLUSIVE, not PASS: a short history cannot show that nothing changed.
    let Some(fit) = fit.filter(|_| series.baseline.len() >= ALERT_JOBS) else {
        let jobs = series.baseline.len();
        row.reason = Some(if jobs < ALERT_JOBS {
            format!("insufficient history: {jobs} comparable jobs, an alert needs {ALERT_JOBS}")
        } else {
            "the values of the earlier jobs are too large to be judged".to_owned()
        });
        return row;
    };
    if fit.mean == 0.0 && thresholds.scale == Scale::Share {
        row.reason = Some("the earlier jobs have 0: no relative change is possible".to_owned());
        return row;
    }
    row.effect = fit.effect(series.metric, thresholds.scale, value);
    let (verdict, reason) = verdict(series, thresholds, fit, row.effect, p);
    row.verdict = verdict;
    row.reason = reason;
    if verdict >= Verdict::Alert {
        let is_worse = |value: f64| is_worse(series.metric, thresholds, fit, value);
        row.since = first_worse(series, is_worse);
    }
    row
}

/// Whether a job that is judged by itself would be worse by as much as an alert takes.
fn is_worse(metric: &Metric, thresholds: Thresholds, fit: &Fit, value: f64) -> bool {
    fit.predicts(metric, value) < LEVELS[0]
        && fit.effect(metric, thresholds.scale, value) >= thresholds.alert
}

/// The commit of the first of the worse jobs that the judged one is the last of: an alert takes two, so
/// that the commit which brought it is an earlier one than the judged one.
fn first_worse(series: &Series, is_worse: impl Fn(f64) -> bool) -> Option<String> {
    let values: Vec<f64> = series
        .baseline
        .iter()
        .chain(&series.held)
        .chain(&series.latest)
        .copied()
        .collect();
    let mut first = values.len();
    for (index, value) in values.iter().enumerate().rev() {
        // One job between worse ones that is not worse is noise: an alert allows for it.
        if is_worse(*value) {
            first = index;
        } else if first - index > 1 {
            break;
        }
    }
    series.commits.get(first).cloned().flatten()
}

fn verdict(
    series: &Series,
    thresholds: Thresholds,
    fit: &Fit,
    effect: f64,
    [_, holm, bh]: [f64; 3],
) -> (Verdict, Option<String>) {
    let [lenient, strict] = LEVELS;
    if effect < thresholds.alert {
        let verdict = if bh < lenient {
            Verdict::Suspect
        } else {
            Verdict::Pass
        };
        return (verdict, None);
    }
    // As large as an alert and not significant: neither a PASS nor an ALERT is justified.
    if bh >= lenient {
        let reason = "worse by the threshold of an alert, but it may be chance".to_owned();
        return (Verdict::Inconclusive, Some(reason));
    }
    let worse = series
        .latest
        .iter()
        .filter(|value| is_worse(series.metric, thresholds, fit, **value))
        .count();
    if worse < WORSE_AT_LEAST as usize {
        let reason = format!("an alert needs {WORSE_AT_LEAST} worse jobs of the last {LATEST}");
        return (Verdict::Suspect, Some(reason));
    }
    if holm >= strict || effect < thresholds.block {
        return (Verdict::Alert, None);
    }
    if series.baseline.len() < BLOCK_JOBS {
        let reason = format!("a BLOCK needs {BLOCK_JOBS} comparable jobs");
        return (Verdict::Alert, Some(reason));
    }
    let spread = fit.deviation / fit.mean.abs();
    if spread > SPREAD_MAX {
        let reason = format!(
            "varies by {:.0} % from job to job, too much for a BLOCK",
            100.0 * spread
        );
        return (Verdict::Alert, Some(reason));
    }
    (Verdict::Block, None)
}

#[cfg(test)]
mod tests;
