//! A confidence interval of a median that assumes nothing of the distribution: between two order
//! statistics, whose coverage follows from the binomial distribution alone.
//!
//! Deliberately absent: the bootstrap, whose percentile interval covers less where there are few values
//! (with two of them, the median in half of all cases).

use super::quantile::{between, sorted};

/// Below this many samples there is no interval: the range of four samples covers the median in 87 % of
/// all cases, that of five in 94 %.
pub const FEWEST: usize = 5;
const LEVEL: f64 = 0.95;

/// The 95 % interval of the median, lower and upper; none below [`FEWEST`] samples.
///
/// The coverage of the interval from the kth smallest to the kth largest sample comes in steps. Between
/// the two steps around 95 % it is interpolated as by Hettmansperger and Sheather (1986), which is
/// close to exact for any distribution with a density.
pub fn median_interval(samples: &[f64]) -> Option<[f64; 2]> {
    if samples.len() < FEWEST {
        return None;
    }
    let sorted = sorted(samples);
    let count = sorted.len();
    let coverages = coverages(count);
    // The narrowest that covers enough. Five samples have none: their widest covers 94 %.
    let wide = coverages.iter().rposition(|&coverage| coverage >= LEVEL);
    let wide = wide.unwrap_or(0);
    let share = match coverages.get(wide + 1) {
        Some(&narrower) if coverages[wide] >= LEVEL => {
            let excess = (coverages[wide] - LEVEL) / (coverages[wide] - narrower);
            let rank = (wide + 1) as f64;
            let rest = count as f64 - rank;
            rest * excess / (rank + (rest - rank) * excess)
        }
        _ => 0.0,
    };
    // With a share of 0 the neighbour has no weight, but must exist.
    let neighbour = (wide + 1).min(count - 1);
    let lower = between(sorted[wide], sorted[neighbour], share);
    let upper = between(
        sorted[count - 1 - wide],
        sorted[count - 1 - neighbour],
        share,
    );
    Some([lower, upper])
}

/// The probability that the median lies between the kth smallest and the kth largest of `count`
/// samples, for k from 1 up to the middle.
fn coverages(count: usize) -> Vec<f64> {
    // Of all 2^count ways in which samples fall below and above the median, the share with fewer
    // than k below it.
    let mut ways = 0.5_f64.powf(count as f64);
    let mut below = 0.0;
    (0..count / 2)
        .map(|fewer| {
            below += ways;
            ways *= (count - fewer) as f64 / (fewer + 1) as f64;
            1.0 - 2.0 * below
        })
        .collect()
}
