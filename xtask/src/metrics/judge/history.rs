//! The verdicts on a job by those before it: the requirement's §9.1, with Student's test of one new
//! value, which is the interval in which the next value of a history lies.
//!
//! The last jobs are held against the same earlier ones, so that the first bad job does not become
//! part of what the second is compared with.

use super::verdict::Verdict;
use crate::metrics::catalog::Metric;
use crate::metrics::catalog::threshold::{Change, Scale, Thresholds};
use crate::metrics::stats::student::{self, TTest};
use crate::metrics::stats::{adjust, permutation, power, robust};

/// Jobs that one is compared with: the last so many.
pub const JOBS_MAX: usize = 30;
/// Jobs that an alert takes, and a block.
const ALERT_JOBS: usize = 10;
const BLOCK_JOBS: usize = 20;
/// Of so many jobs in all, the judged one and those before it, two must be worse.
pub const LATEST: u32 = 3;
const WORSE_AT_LEAST: u32 = 2;
/// The spread above which a metric ends no build.
const SPREAD_MAX: f64 = 0.15;
/// Values farther out than so many deviations are moved in to there.
const FAR: f64 = 4.0;
/// The least noise that is assumed.
const NOISE_MIN: f64 = 0.005;
const LEVELS: [f64; 2] = [0.05, 0.01];

/// Which test is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    /// Student's, of one value against the history.
    Student,
    /// Welch's, of the latest jobs against those before them.
    Welch,
    /// Of the same, by dealing all values out again: assumes nothing of how they are spread.
    Permutation,
}

/// The values of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The metric.
    pub metric: &'static Metric,
    /// Of the jobs that are the baseline, the oldest first.
    pub baseline: Vec<f64>,
    /// Of the jobs since, the judged one last.
    pub latest: Vec<f64>,
}

/// What is said of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The metric.
    pub metric: &'static Metric,
    /// The verdict.
    pub verdict: Verdict,
    /// Why it is not a plain one.
    pub reason: Option<String>,
    /// Mean of the baseline; none without one.
    pub mean: Option<f64>,
    /// Its spread relative to it.
    pub spread: Option<f64>,
    /// The judged value.
    pub value: f64,
    /// How much worse it is: a share, or points.
    pub effect: f64,
    /// Jobs of the baseline.
    pub jobs: usize,
    /// Values that were moved in.
    pub moved: usize,
    /// One-sided for worse; adjusted by Holm; by Benjamini and Hochberg. None where nothing is tested.
    pub p: Option<[f64; 3]>,
}

/// How often chance alone makes so many of the latest jobs worse that it is an alert.
pub fn by_chance() -> f64 {
    power::at_least(WORSE_AT_LEAST, LATEST, LEVELS[0])
}

/// Judges all metrics of a job; the worst first.
pub fn judge(all: &[Series], test: Test) -> Vec<Row> {
    let tested: Vec<(&Series, Thresholds, Option<Fit>)> = all
        .iter()
        .filter_map(|series| match series.metric.change() {
            Change::Tested(thresholds) => {
                Some((series, thresholds, Fit::of(series, thresholds.scale)))
            }
            Change::Exact(_) | Change::Target => None,
        })
        .collect();
    let p: Vec<f64> = tested
        .iter()
        .map(|(series, _, fit)| {
            let fit = fit.as_ref();
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
    rows.extend(all.iter().filter_map(exact));
    rows.sort_by(|left, right| {
        let effect = right.effect.total_cmp(&left.effect);
        right.verdict.cmp(&left.verdict).then(effect)
    });
    rows
}

/// What a baseline says of the next value.
struct Fit {
    mean: f64,
    /// Standard deviation, no less than the noise of the metric.
    deviation: f64,
    /// How many independent values the baseline is worth.
    worth: f64,
    moved: usize,
    values: Vec<f64>,
}

impl Fit {
    /// None below three values.
    fn of(series: &Series, scale: Scale) -> Option<Fit> {
        if series.baseline.len() < 3 {
            return None;
        }
        let (values, moved) = robust::winsorised(&series.baseline, FAR);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let noise = match scale {
            Scale::Share => {
                robust::usual_change(&values).unwrap_or(0.0).max(NOISE_MIN) * mean.abs()
            }
            Scale::Points => 0.0,
        };
        let deviation = robust::standard_deviation(&values)?
            .max(robust::sigma(&series.baseline)?)
            .max(noise);
        let follows = robust::autocorrelation(&values);
        if !(mean.is_finite() && deviation.is_finite()) {
            return None;
        }
        let worth = values.len() as f64 * (1.0 - follows) / (1.0 + follows);
        Some(Fit {
            mean,
            deviation,
            worth: worth.max(2.0),
            moved,
            values,
        })
    }

    /// The test of one value: how probable so bad a one is.
    fn predicts(&self, metric: &Metric, value: f64) -> f64 {
        let difference = worse(metric, self.mean, value);
        let error = self.deviation * (1.0 + 1.0 / self.worth).sqrt();
        TTest::of(difference, error, self.worth - 1.0).p_greater
    }

    fn p(&self, series: &Series, test: Test) -> f64 {
        let Some(value) = series.latest.last() else {
            return 1.0;
        };
        let (before, after) = if series.metric.more_is_better() {
            (series.latest.as_slice(), self.values.as_slice())
        } else {
            (self.values.as_slice(), series.latest.as_slice())
        };
        match test {
            Test::Student => self.predicts(series.metric, *value),
            Test::Welch => student::welch(before, after).map_or(1.0, |test| test.p_greater),
            Test::Permutation => permutation::means(before, after).map_or(1.0, |of| of.p_greater),
        }
    }

    /// How large a change is, as a share or in points.
    fn effect(&self, metric: &Metric, scale: Scale, value: f64) -> f64 {
        let difference = worse(metric, self.mean, value);
        match scale {
            Scale::Share if self.mean != 0.0 => difference / self.mean.abs(),
            Scale::Share => 0.0,
            Scale::Points => difference,
        }
    }
}

fn worse(metric: &Metric, from: f64, to: f64) -> f64 {
    if metric.more_is_better() {
        from - to
    } else {
        to - from
    }
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
    };
    let Some(fit) = fit.filter(|_| series.baseline.len() >= ALERT_JOBS) else {
        let jobs = series.baseline.len();
        row.reason = Some(if jobs < ALERT_JOBS {
            format!("insufficient history: {jobs} comparable jobs, and an alert takes {ALERT_JOBS}")
        } else {
            "the jobs before have values that are too large to be judged".to_owned()
        });
        return row;
    };
    if fit.mean == 0.0 && thresholds.scale == Scale::Share {
        row.reason = Some("the jobs before say 0, of which nothing is a share".to_owned());
        return row;
    }
    row.effect = fit.effect(series.metric, thresholds.scale, value);
    let (verdict, reason) = verdict(series, thresholds, fit, row.effect, p);
    row.verdict = verdict;
    row.reason = reason;
    row
}

fn verdict(
    series: &Series,
    thresholds: Thresholds,
    fit: &Fit,
    effect: f64,
    [_, holm, bh]: [f64; 3],
) -> (Verdict, Option<String>) {
    let [lenient, strict] = LEVELS;
    let is_worse = |value: f64| {
        fit.predicts(series.metric, value) < lenient
            && fit.effect(series.metric, thresholds.scale, value) >= thresholds.alert
    };
    if effect < thresholds.alert {
        let verdict = if bh < lenient {
            Verdict::Suspect
        } else {
            Verdict::Pass
        };
        return (verdict, None);
    }
    if bh >= lenient {
        let reason = "worse by as much as an alert takes, which may be chance".to_owned();
        return (Verdict::Inconclusive, Some(reason));
    }
    let worse = series
        .latest
        .iter()
        .filter(|value| is_worse(**value))
        .count();
    if worse < WORSE_AT_LEAST as usize {
        let reason = format!("worse once: an alert takes {WORSE_AT_LEAST} of {LATEST} jobs");
        return (Verdict::Suspect, Some(reason));
    }
    if holm >= strict || effect < thresholds.block {
        return (Verdict::Alert, None);
    }
    if series.baseline.len() < BLOCK_JOBS {
        let reason = format!("a block takes {BLOCK_JOBS} comparable jobs");
        return (Verdict::Alert, Some(reason));
    }
    let spread = fit.deviation / fit.mean.abs();
    if spread > SPREAD_MAX {
        let reason = format!(
            "varies by {:.0} % from job to job, too much to block",
            100.0 * spread
        );
        return (Verdict::Alert, Some(reason));
    }
    (Verdict::Block, None)
}

/// A metric of which any difference is one, against the job before.
fn exact(series: &Series) -> Option<Row> {
    let thresholds = series.metric.change().exact()?;
    let value = *series.latest.last()?;
    let before = match series.latest.as_slice() {
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
    };
    let Some(before) = before else {
        row.verdict = Verdict::Inconclusive;
        row.reason = Some("insufficient history: no job before".to_owned());
        return Some(row);
    };
    row.effect = match thresholds.scale {
        Scale::Points => worse(series.metric, before, value),
        Scale::Share if before == 0.0 => {
            row.verdict = Verdict::Inconclusive;
            row.reason = Some("the job before says 0, of which nothing is a share".to_owned());
            return Some(row);
        }
        Scale::Share => worse(series.metric, before, value) / before,
    };
    row.verdict = Verdict::of_exact(row.effect, &thresholds);
    creep(&mut row, series, &thresholds);
    Some(row)
}

/// Steps of which none is worth a look alone, and all together as much as a block, are worth one.
fn creep(row: &mut Row, series: &Series, thresholds: &Thresholds) {
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
    let small = steps.filter(|step| step.abs() < thresholds.alert);
    let grown = small.fold(1.0, |grown, step| grown * (1.0 + step)) - 1.0;
    if grown >= thresholds.block {
        let (percent, jobs) = (100.0 * grown, values.len() - 1);
        row.verdict = Verdict::Alert;
        row.reason = Some(format!("small steps of {jobs} jobs come to {percent:.0} %"));
    }
}

#[cfg(test)]
mod tests;
