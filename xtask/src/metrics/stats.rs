//! The statistics, pure: numbers in, numbers out, the same bytes for the same seed everywhere.
//!
//! Deliberately absent: IO, clocks and the machine's randomness; a generator from a crate, whose
//! stream may change between versions.

/// Resamples of a bootstrap: enough for a 95 % interval whose ends move by less than its own noise.
pub const RESAMPLES: usize = 10_000;

/// `SplitMix64` (Steele, Lea and Flood 2014): small, good enough for resampling, fixed for ever.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which must not be 0. Multiply-shift; the bias is below 2^-32 for any
    /// bound that is a number of samples.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "there is no number below 0");
        let product = u128::from(self.next()) * (bound as u128);
        usize::try_from(product >> 64).expect("the product is below the bound")
    }
}

/// The arithmetic mean; none of nothing.
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the judge of history asks for it")
)]
pub fn mean(samples: &[f64]) -> Option<f64> {
    (!samples.is_empty()).then(|| samples.iter().sum::<f64>() / samples.len() as f64)
}

/// The median; none of nothing.
pub fn median(samples: &[f64]) -> Option<f64> {
    quantile(samples, 0.5)
}

/// The quantile at `probability` (0 to 1) by linear interpolation: Hyndman and Fan's type 7, which
/// numpy and k6 use. None of nothing.
pub fn quantile(samples: &[f64], probability: f64) -> Option<f64> {
    assert!(
        (0.0..=1.0).contains(&probability),
        "a probability lies between 0 and 1"
    );
    quantile_sorted(&sorted(samples), probability)
}

/// Median absolute deviation from the median, unscaled; times 1.4826 it estimates the standard
/// deviation of a normal sample. None of nothing.
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the judge of history asks for it")
)]
pub fn median_absolute_deviation(samples: &[f64]) -> Option<f64> {
    let center = median(samples)?;
    let deviations: Vec<f64> = samples
        .iter()
        .map(|sample| (sample - center).abs())
        .collect();
    median(&deviations)
}

/// Distance between the quartiles; none of nothing.
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the judge of history asks for it")
)]
pub fn spread(samples: &[f64]) -> Option<f64> {
    let sorted = sorted(samples);
    Some(quantile_sorted(&sorted, 0.75)? - quantile_sorted(&sorted, 0.25)?)
}

/// 95 % percentile bootstrap interval of the median, lower and upper. None below two samples: one
/// sample says nothing of its own spread.
pub fn median_interval(samples: &[f64], seed: u64) -> Option<[f64; 2]> {
    if samples.len() < 2 {
        return None;
    }
    let sorted = sorted(samples);
    let mut random = Random::new(seed);
    let mut counts = vec![0_usize; sorted.len()];
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            counts.fill(0);
            for _ in 0..sorted.len() {
                counts[random.below(sorted.len())] += 1;
            }
            median_of_counts(&sorted, &counts)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    Some([
        quantile_sorted(&medians, 0.025)?,
        quantile_sorted(&medians, 0.975)?,
    ])
}

/// The median of a resample that took the `i`th of the sorted samples `counts[i]` times.
fn median_of_counts(sorted: &[f64], counts: &[usize]) -> f64 {
    let total: usize = counts.iter().sum();
    let ranked = |rank: usize| {
        let mut seen = 0;
        let position = counts.iter().position(|count| {
            seen += count;
            seen > rank
        });
        sorted[position.expect("the rank is below the total")]
    };
    f64::midpoint(ranked((total - 1) / 2), ranked(total / 2))
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn quantile_sorted(sorted: &[f64], probability: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = probability * last as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the last index"
    )]
    let index = position as usize;
    let below = sorted[index];
    let above = sorted[last.min(index + 1)];
    Some(below + (above - below) * position.fract())
}

#[cfg(test)]
mod tests;
