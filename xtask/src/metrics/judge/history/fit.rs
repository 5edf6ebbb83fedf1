//! A baseline, and how probable a value is that is worse than it predicts.
//!
//! Deliberately absent: verdicts.

use super::series::{Series, Test};
use crate::metrics::catalog::Metric;
use crate::metrics::catalog::threshold::Scale;
use crate::metrics::stats::student::{self, TTest};
use crate::metrics::stats::{permutation, robust};

/// Values farther from the median than this many deviations are moved to that distance.
const FAR: f64 = 4.0;
/// The least relative noise that is assumed.
const NOISE_MIN: f64 = 0.005;

/// A baseline, from which the next value is predicted.
pub(super) struct Fit {
    pub(super) mean: f64,
    /// Standard deviation of the baseline, raised to the noise floor of the metric if it is smaller.
    pub(super) deviation: f64,
    /// Number of independent values with as much information: jobs in a row resemble each other.
    worth: f64,
    pub(super) moved: usize,
    values: Vec<f64>,
}

impl Fit {
    /// None below three values.
    pub(super) fn of(baseline: &[f64], scale: Scale) -> Option<Fit> {
        if baseline.len() < 3 {
            return None;
        }
        // Moved, not dropped: an outlier still counts as a job, but does not set the spread by itself.
        let (values, moved) = robust::winsorised(baseline, FAR);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let noise = match scale {
            Scale::Share => {
                robust::usual_change(&values).unwrap_or(0.0).max(NOISE_MIN) * mean.abs()
            }
            // A share of the mean says nothing of a metric in points, whose mean may be 0.
            Scale::Points => 0.0,
        };
        // The largest of three estimates, each of which a few values can make too small.
        let deviation = robust::standard_deviation(&values)?
            .max(robust::sigma(baseline)?)
            .max(noise);
        let follows = robust::autocorrelation(&values);
        if !(mean.is_finite() && deviation.is_finite()) {
            return None;
        }
        let worth = values.len() as f64 * (1.0 - follows) / (1.0 + follows);
        Some(Fit {
            mean,
            deviation,
            // Leaves `predicts` at least one degree of freedom.
            worth: worth.max(2.0),
            moved,
            values,
        })
    }

    /// The probability of a value that is this bad or worse.
    pub(super) fn predicts(&self, metric: &Metric, value: f64) -> f64 {
        let difference = worse(metric, self.mean, value);
        let error = self.deviation * (1.0 + 1.0 / self.worth).sqrt();
        TTest::of(difference, error, self.worth - 1.0).p_greater
    }

    pub(super) fn p(&self, series: &Series, test: Test) -> f64 {
        let Some(value) = series.latest.last() else {
            return 1.0;
        };
        let (before, after) = if series.metric.more_is_better() {
            // Swapped, so that `p_greater` is the probability for worse here too.
            (series.latest.as_slice(), self.values.as_slice())
        } else {
            (self.values.as_slice(), series.latest.as_slice())
        };
        match test {
            Test::Student => self.predicts(series.metric, *value),
            // With too few values a test gives 1, which alerts nobody.
            Test::Welch => student::welch(before, after).map_or(1.0, |test| test.p_greater),
            Test::Permutation => permutation::means(before, after).map_or(1.0, |of| of.p_greater),
        }
    }

    /// The size of a change, as a share or in points.
    pub(super) fn effect(&self, metric: &Metric, scale: Scale, value: f64) -> f64 {
        let difference = worse(metric, self.mean, value);
        match scale {
            Scale::Share if self.mean != 0.0 => difference / self.mean.abs(),
            Scale::Share => 0.0,
            Scale::Points => difference,
        }
    }
}

pub(super) fn worse(metric: &Metric, from: f64, to: f64) -> f64 {
    if metric.more_is_better() {
        from - to
    } else {
        to - from
    }
}
