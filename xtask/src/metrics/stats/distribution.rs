//! Probabilities of the distributions that the tests refer to.

use statrs::distribution::{ContinuousCDF as _, Normal, StudentsT};
use statrs::function::beta::beta_reg;

/// Number of halvings after which a bracket cannot become smaller.
const HALVINGS: usize = 200;

/// The probability that Student's t with `df` degrees of freedom is above `t`.
pub fn t_above(t: f64, df: f64) -> f64 {
    // Not a number when sums overflowed: nothing is known, which is no sign of a difference.
    if t.is_nan() {
        return 1.0;
    }
    // The square of a larger one would overflow.
    if t.abs() > 1e100 {
        return if t > 0.0 { 0.0 } else { 1.0 };
    }
    StudentsT::new(0.0, 1.0, df).map_or(f64::NAN, |distribution| distribution.sf(t))
}

/// The value that Student's t with `df` degrees of freedom is below with `probability`.
pub fn t_quantile(probability: f64, df: f64) -> f64 {
    // By symmetry, since the bracket below begins at 0.
    if probability < 0.5 {
        return -t_quantile(1.0 - probability, df);
    }
    // The bracket must contain the quantile before it is halved. Probability 1 has none, hence the limit.
    let mut upper = 1.0;
    while t_above(upper, df) > 1.0 - probability && upper < f64::MAX / 2.0 {
        upper *= 2.0;
    }
    solve(0.0, upper, |t| 1.0 - t_above(t, df) < probability)
}

/// The probability that a standard normal variable is above `z`.
pub fn normal_above(z: f64) -> f64 {
    Normal::standard().sf(z)
}

/// The value that a standard normal variable is below with `probability`.
pub fn normal_quantile(probability: f64) -> f64 {
    Normal::standard().inverse_cdf(probability)
}

/// Exact bounds of a rate of which `tried` trials found `found` (Clopper and Pearson 1934), each at the
/// one-sided level `level`.
pub fn rate_bounds(found: u64, tried: u64, level: f64) -> [f64; 2] {
    let (found_f, tried_f) = (found as f64, tried as f64);
    let lower = if found == 0 {
        0.0
    } else {
        // The rate at which `found` or more have the probability 1 - level.
        solve(0.0, 1.0, |rate| {
            beta_reg(found_f, tried_f - found_f + 1.0, rate) < 1.0 - level
        })
    };
    let upper = if found >= tried {
        1.0
    } else {
        solve(0.0, 1.0, |rate| {
            beta_reg(found_f + 1.0, tried_f - found_f, rate) < level
        })
    };
    [lower, upper]
}

/// The point between the two at which `is_below` changes from true to false.
fn solve(mut lower: f64, mut upper: f64, is_below: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(lower, upper);
        if is_below(middle) {
            lower = middle;
        } else {
            upper = middle;
        }
    }
    f64::midpoint(lower, upper)
}
