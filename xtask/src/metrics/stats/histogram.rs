//! How often each value occurred: small enough to keep, and two of them add up to the one of all
//! their values together.

use serde::{Deserialize, Serialize};

use super::{between, position};

/// Significant digits that are kept: what is lost is at most 0.05 % of a value.
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

    /// Of values that were counted elsewhere: pairs of a value and its count.
    pub fn of_counts(counts: impl IntoIterator<Item = (f64, u64)>) -> Histogram {
        let counts = counts.into_iter();
        Histogram::default().with(counts.map(|(value, count)| (rounded(value), count)))
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        let counts = self.buckets.iter().map(|(_, count)| count);
        counts.fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// All values of both.
    #[must_use]
    pub fn merged(self, other: &Histogram) -> Histogram {
        self.with(other.buckets.iter().copied())
    }

    /// The quantile at `probability` (0 to 1), as [`super::quantile`] of the values; none of none.
    pub fn quantile(&self, probability: f64) -> Option<f64> {
        let last = usize::try_from(self.count()).ok()?.checked_sub(1)?;
        let (index, share) = position(last, probability);
        let (below, above) = (self.ranked(index)?, self.ranked(last.min(index + 1))?);
        Some(between(below, above, share))
    }

    /// How large a share of the values lies above `value`; 0 of none.
    pub fn share_above(&self, value: f64) -> f64 {
        let above = self.buckets.iter().filter(|bucket| bucket.0 > value);
        let above: u64 = above.map(|bucket| bucket.1).sum();
        above as f64 / (self.count() as f64).max(1.0)
    }

    /// The value that has so many before it.
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
        self.buckets.dedup_by(|next, kept| {
            let same = next.0.total_cmp(&kept.0).is_eq();
            if same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            same
        });
        self
    }
}

/// Rounded by its text, so that it is written as short as it is.
fn rounded(value: f64) -> f64 {
    let decimals = usize::try_from(DIGITS - 1).unwrap_or(0);
    format!("{value:.decimals$e}").parse().unwrap_or(value)
}
