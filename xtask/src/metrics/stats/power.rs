//! Statistical power: the number of blocks that finds a difference, and the difference that a number of
//! blocks finds.

use super::distribution::normal_quantile;

/// Factor by which the signed rank test needs more blocks than a t-test, for normal values.
const RANKS: f64 = 1.05;

/// The number of blocks that finds a difference `delta` with probability `power`, at the one-sided level
/// `alpha`, when the differences of blocks have the standard deviation `sd`.
pub fn blocks_needed(delta: f64, sd: f64, alpha: f64, power: f64) -> f64 {
    let quantiles = normal_quantile(1.0 - alpha) + normal_quantile(power);
    (RANKS * (quantiles * sd / delta).powi(2)).ceil()
}

/// The smallest difference that this many blocks find with probability `power`.
pub fn detectable(blocks: usize, sd: f64, alpha: f64, power: f64) -> f64 {
    let quantiles = normal_quantile(1.0 - alpha) + normal_quantile(power);
    quantiles * sd * (RANKS / blocks as f64).sqrt()
}

/// The probability that `least` or more of `tried` events happen, each with `probability`.
pub fn at_least(least: u32, tried: u32, probability: f64) -> f64 {
    let mut ways = (1.0 - probability).powi(tried.cast_signed());
    let mut below = 0.0;
    for count in 0..least {
        below += ways;
        ways *= f64::from(tried - count) / f64::from(count + 1) * probability / (1.0 - probability);
    }
    // The sum of the complement is short: `least` is small wherever this is called.
    1.0 - below
}
