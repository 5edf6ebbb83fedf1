//! Student's and Welch's t-tests of the means of two samples.

use super::distribution::{t_above, t_quantile};

/// A t-test of two samples; `t` is positive if the second mean is larger.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TTest {
    /// The statistic; infinite for constant samples that differ.
    pub t: f64,
    /// Degrees of freedom.
    pub df: f64,
    /// The probability of a `t` this large or larger if the means are equal.
    pub p_greater: f64,
    /// The same for a `t` of either sign.
    pub p_two: f64,
    /// The difference of the means, second minus first.
    pub difference: f64,
    /// The 95 % interval of the difference; of width 0 for constant samples.
    pub interval: [f64; 2],
}

/// Mean and sample variance.
#[derive(Debug, Clone, Copy)]
struct Moments {
    count: f64,
    mean: f64,
    /// 0 for a single value.
    variance: f64,
}

/// Student's test, which assumes equal variances. With one value on one side it is equivalent to the
/// prediction interval of the other. None with fewer than three values in all, or without a value on a
/// side.
pub fn student(base: &[f64], head: &[f64]) -> Option<TTest> {
    let (base, head) = (Moments::of(base)?, Moments::of(head)?);
    let df = base.count + head.count - 2.0;
    if df < 1.0 {
        return None;
    }
    // Pooled: with one value on a side, the spread of the other is all that is known.
    let squares = base.squares() + head.squares();
    let error = (squares / df * (1.0 / base.count + 1.0 / head.count)).sqrt();
    Some(TTest::of(head.mean - base.mean, error, df))
}

/// Welch's test, which allows different variances. None with fewer than two values on a side.
pub fn welch(base: &[f64], head: &[f64]) -> Option<TTest> {
    let (base, head) = (Moments::of(base)?, Moments::of(head)?);
    if base.count < 2.0 || head.count < 2.0 {
        return None;
    }
    let (left, right) = (base.variance / base.count, head.variance / head.count);
    let sum = left + right;
    let df = if sum > 0.0 {
        // Parts of the sum as shares: the squares of the parts themselves could overflow.
        let (left, right) = (left / sum, right / sum);
        1.0 / (left * left / (base.count - 1.0) + right * right / (head.count - 1.0))
    } else {
        base.count + head.count - 2.0
    };
    Some(TTest::of(head.mean - base.mean, sum.sqrt(), df))
}

impl TTest {
    /// The test of a difference with the standard error `error`.
    pub fn of(difference: f64, error: f64, df: f64) -> TTest {
        let t = if difference == 0.0 {
            0.0
        } else {
            // With an error of 0, constants that differ are infinitely far apart.
            difference / error
        };
        let p_greater = t_above(t, df);
        let half = t_quantile(0.975, df) * error;
        TTest {
            t,
            df,
            p_greater,
            p_two: (2.0 * t_above(t.abs(), df)).min(1.0),
            difference,
            interval: [difference - half, difference + half],
        }
    }
}

impl Moments {
    fn of(values: &[f64]) -> Option<Moments> {
        let count = values.len() as f64;
        // Relative to the first value, so that large numbers with small differences keep their digits.
        let origin = *values.first()?;
        let mean = values.iter().map(|value| value - origin).sum::<f64>() / count;
        let squares: f64 = values
            .iter()
            .map(|value| (value - origin - mean).powi(2))
            .sum();
        Some(Moments {
            count,
            mean: origin + mean,
            variance: if count > 1.0 {
                squares / (count - 1.0)
            } else {
                0.0
            },
        })
    }

    /// Sum of the squared differences from the mean.
    fn squares(&self) -> f64 {
        self.variance * (self.count - 1.0)
    }
}
