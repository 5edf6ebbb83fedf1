//! The median and other quantiles of samples, and the interpolation that histograms and intervals share.
//!
//! Deliberately absent: weights, and samples that are not numbers.

/// The median; none without samples.
pub fn median(samples: &[f64]) -> Option<f64> {
    quantile(samples, 0.5)
}

/// The quantile at `probability` (0 to 1) by linear interpolation: Hyndman and Fan's type 7, which
/// numpy and k6 use. None without samples.
pub fn quantile(samples: &[f64], probability: f64) -> Option<f64> {
    let sorted = sorted(samples);
    let last = sorted.len().checked_sub(1)?;
    let (index, share) = position(last, probability);
    Some(between(sorted[index], sorted[last.min(index + 1)], share))
}

/// The place of the quantile among the order statistics 0 to `last`: the index of the one below it, and
/// the share of the way from there to the next.
pub(super) fn position(last: usize, probability: f64) -> (usize, f64) {
    assert!(
        (0.0..=1.0).contains(&probability),
        "a probability lies between 0 and 1"
    );
    let position = probability * last as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the last index"
    )]
    let index = position as usize;
    (index, position.fract())
}

/// The point at `share` of the way from one number to another.
pub(super) fn between(from: f64, to: f64, share: f64) -> f64 {
    let distance = to - from;
    // The distance of two finite numbers can overflow.
    if distance.is_finite() {
        from + distance * share
    } else {
        from * (1.0 - share) + to * share
    }
}

pub(super) fn sorted(samples: &[f64]) -> Vec<f64> {
    // A copy, since callers keep their samples in the order of measuring.
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}
