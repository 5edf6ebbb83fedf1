//! Histograms: small enough to keep all of them, and two of them merge into that of all their values.

use serde::{Deserialize, Serialize};

use super::quantile::{between, position};

/// Significant digits that are kept: the rounding error is at most 0.05 % of a value.
const DIGITS: i32 = 4;

/// Values with their counts, ascending. In a file, pairs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram {
    buckets: Vec<(f64, u64)>,
}

impl Histogram {
    /// The histogram of some values, rounded to four significant digits.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Histogram {
        let values = values.into_iter().map(|value| (rounded(value), 1));
        Histogram::default().with(values)
    }

    /// The histogram of values that are counted already: pairs of a value and its count.
    pub fn of_counts(counts: impl IntoIterator<Item = (f64, u64)>) -> Histogram {
        let counts = counts.into_iter();
        Histogram::default().with(counts.map(|(value, count)| (rounded(value), count)))
    }

    pub fn count(&self) -> u64 {
        let counts = self.buckets.iter().map(|(_, count)| count);
        counts.fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The histogram of all values of both.
    #[must_use]
    pub fn merged(self, other: &Histogram) -> Histogram {
        self.with(other.buckets.iter().copied())
    }

    /// The quantile at `probability` (0 to 1), as [`super::quantile::quantile`] of the values; none without
    /// values.
    pub fn quantile(&self, probability: f64) -> Option<f64> {
        // Ranks are counted from 0, as the indices of a sorted slice.
        let last = usize::try_from(self.count()).ok()?.checked_sub(1)?;
        let (index, share) = position(last, probability);
        let (below, above) = (self.ranked(index)?, self.ranked(last.min(index + 1))?);
        Some(between(below, above, share))
    }

    /// The share of the values above `value`; 0 without values.
    pub fn share_above(&self, value: f64) -> f64 {
        let above = self.buckets.iter().filter(|bucket| bucket.0 > value);
        let above: u64 = above.map(|bucket| bucket.1).sum();
        above as f64 / (self.count() as f64).max(1.0)
    }

    /// The value with this rank in ascending order, from 0.
    fn ranked(&self, rank: usize) -> Option<f64> {
        let mut seen = 0_u64;
        let found = self.buckets.iter().find(|(_, count)| {
            seen = seen.saturating_add(*count);
            seen > rank as u64
        });
        found.map(|(value, _)| *value)
    }

    fn with(mut self, more: impl IntoIterator<Item = (f64, u64)>) -> Histogram {
        self.buckets.extend(more);
        self.buckets
            .sort_by(|left, right| left.0.total_cmp(&right.0));
        // The values are sorted, so equal ones are neighbours.
        self.buckets.dedup_by(|next, kept| {
            let same = next.0.total_cmp(&kept.0).is_eq();
            if same {
                // Counts can come from a file, where a sum may exceed the type.
                kept.1 = kept.1.saturating_add(next.1);
            }
            same
        });
        self
    }
}

/// Rounded by way of its text, so that a file has four digits and not a long binary fraction.
fn rounded(value: f64) -> f64 {
    let decimals = usize::try_from(DIGITS - 1).unwrap_or(0);
    format!("{value:.decimals$e}").parse().unwrap_or(value)
}
