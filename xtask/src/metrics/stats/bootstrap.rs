//! Percentile bootstrap intervals: for display only, no verdict depends on them.

use super::Random;
use super::quantile::{quantile, sorted};

/// The interval of `statistic` at `level` from `draws` resamples of `values`, the same for any order of
/// them; none without values.
pub fn interval(
    values: &[f64],
    statistic: impl Fn(&[f64]) -> Option<f64>,
    (draws, level): (usize, f64),
    seed: u64,
) -> Option<[f64; 2]> {
    let values = sorted(values);
    let count = values.len() as u64;
    if count == 0 {
        return None;
    }
    let mut random = Random::new(seed);
    // One buffer for all draws: a caller draws hundreds of times per metric.
    let mut resample = vec![0.0; values.len()];
    let mut found = Vec::with_capacity(draws);
    for _ in 0..draws {
        for drawn in &mut resample {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "below the length of a slice"
            )]
            let index = random.below(count) as usize;
            *drawn = values[index];
        }
        // A resample without a statistic adds nothing, so that the quantiles are those of the others.
        found.extend(statistic(&resample));
    }
    let tail = (1.0 - level) / 2.0;
    Some([quantile(&found, tail)?, quantile(&found, 1.0 - tail)?])
}
