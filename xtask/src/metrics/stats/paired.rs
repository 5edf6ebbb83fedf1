//! Tests of paired differences against zero, and their size: the signed rank test, the sign-flip test,
//! and the Hodges–Lehmann estimate. None depends on the order of the differences.

use super::Random;
use super::distribution::{normal_above, normal_quantile};
use super::quantile::{median, sorted};

/// The signed rank test is exact up to this many differences, if none are equal.
const EXACT_RANKS_MAX: usize = 25;
/// The sign-flip test tries all signs up to this many differences; above, random ones.
const EXACT_FLIPS_MAX: usize = 14;
// The smallest p is then 1 in 10,001, far below the level that it is held against.
const FLIPS: u32 = 10_000;
/// The distribution behind the interval is exact up to this many differences; above, it is normal.
const EXACT_INTERVAL_MAX: usize = 100;

/// The probability of such differences if the true difference is zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedTest {
    /// The sum of the ranks of the positive differences, or the sum of the differences.
    pub statistic: f64,
    /// The probability of a statistic this large or larger.
    pub p_greater: f64,
    /// The probability of a statistic this small or smaller.
    pub p_less: f64,
    /// The probability of a statistic this far from its mean or farther, on either side.
    pub p_two: f64,
    /// Number of differences of zero, which were left out.
    pub zeros: usize,
}

/// Wilcoxon's signed rank test. None where all differences are zero.
pub fn signed_rank(differences: &[f64]) -> Option<PairedTest> {
    // A difference of zero supports neither side: Wilcoxon's treatment leaves it out.
    let kept: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    let (ranks, ties) = ranks(&kept);
    let count = kept.len();
    if count == 0 {
        return None;
    }
    let positive: f64 = kept
        .iter()
        .zip(&ranks)
        .filter(|(difference, _)| **difference > 0.0)
        .map(|(_, rank)| rank)
        .sum();
    let zeros = differences.len() - count;
    let (p_greater, p_less) = if count <= EXACT_RANKS_MAX && ties == 0.0 && zeros == 0 {
        exact_tails(count, positive)
    } else {
        normal_tails(count as f64, ties, positive)
    };
    Some(PairedTest {
        statistic: positive,
        p_greater,
        p_less,
        // The two tails share the middle of a discrete distribution, so twice the smaller can exceed 1.
        p_two: (2.0 * p_greater.min(p_less)).min(1.0),
        zeros,
    })
}

/// The test of the mean by flipping signs: without a true difference both signs are equally probable.
/// None where all differences are zero.
pub fn sign_flip(differences: &[f64], seed: u64) -> Option<PairedTest> {
    let sizes = sorted(&differences.iter().map(|d| d.abs()).collect::<Vec<_>>());
    if sizes.last().is_none_or(|largest| *largest == 0.0) {
        return None;
    }
    // Sorted, since the last digits of a sum depend on the order of its terms.
    let observed: f64 = sorted(differences).iter().sum();
    // Sums of the same numbers in another order differ by their last digits.
    let slack = 1e-12 * sizes.iter().sum::<f64>();
    let mut found = Flips::default();
    let mut count = |sum: f64| {
        found.tried += 1;
        found.above += u32::from(sum >= observed - slack);
        found.below += u32::from(sum <= observed + slack);
        found.beyond += u32::from(sum.abs() >= observed.abs() - slack);
    };
    let is_exact = sizes.len() <= EXACT_FLIPS_MAX;
    if is_exact {
        for signs in 0..1_u64 << sizes.len() {
            count(flipped(&sizes, |index| signs >> index & 1 == 1));
        }
    } else {
        let mut random = Random::new(seed);
        for _ in 0..FLIPS {
            let mut bits = 0;
            count(flipped(&sizes, |index| {
                // One random number gives the signs of 64 differences.
                if index % 64 == 0 {
                    bits = random.next();
                }
                bits >> (index % 64) & 1 == 1
            }));
        }
    }
    // The observed signs count as one more draw, so that no p is 0.
    let one = f64::from(u8::from(!is_exact));
    let share = |count: u32| (f64::from(count) + one) / (f64::from(found.tried) + one);
    Some(PairedTest {
        statistic: observed,
        p_greater: share(found.above),
        p_less: share(found.below),
        p_two: share(found.beyond),
        // A zero has no sign to flip and changes no sum, so none is left out.
        zeros: 0,
    })
}

/// Numbers of choices of signs, by how their sum compares with the observed one.
#[derive(Default)]
struct Flips {
    tried: u32,
    above: u32,
    below: u32,
    beyond: u32,
}

/// The Hodges–Lehmann estimate of the difference: the median of the means of all pairs. None without
/// differences.
pub fn hodges_lehmann(differences: &[f64]) -> Option<f64> {
    median(&walsh(differences))
}

/// The interval of that estimate at `level`, from the distribution of the signed ranks; none for too few
/// differences.
pub fn hodges_lehmann_interval(differences: &[f64], level: f64) -> Option<[f64; 2]> {
    let averages = sorted(&walsh(differences));
    let cut = rank_cut(differences.len(), (1.0 - level) / 2.0)?;
    let upper = averages.len().checked_sub(1 + cut)?;
    (cut <= upper).then(|| [averages[cut], averages[upper]])
}

/// The greatest sum of ranks that `count` differences reach or stay below with a probability of at most
/// `tail`; none if even 0 is more probable.
fn rank_cut(count: usize, tail: f64) -> Option<usize> {
    if count > EXACT_INTERVAL_MAX {
        let n = count as f64;
        let (mean, sd) = normal_ranks(n, 0.0);
        let cut = mean + normal_quantile(tail) * sd;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the number of pairs"
        )]
        return (cut >= 0.0).then_some(cut as usize);
    }
    let mut below = 0.0;
    let within = rank_sums(count).into_iter().take_while(|probability| {
        below += probability;
        below <= tail
    });
    within.count().checked_sub(1)
}

fn flipped(sizes: &[f64], mut is_minus: impl FnMut(usize) -> bool) -> f64 {
    let signed = sizes.iter().enumerate();
    signed
        .map(|(index, size)| if is_minus(index) { -size } else { *size })
        .sum()
}

/// The means of all pairs, each value with itself included.
fn walsh(values: &[f64]) -> Vec<f64> {
    let mut averages = Vec::with_capacity(values.len() * (values.len() + 1) / 2);
    for (index, left) in values.iter().enumerate() {
        let with = |right: &f64| f64::midpoint(*left, *right);
        averages.extend(values[index..].iter().map(with));
    }
    averages
}

/// The ranks of the sizes, with the mean rank for equal ones; and the sum of t³ - t over groups of t
/// equal ones, by which ties reduce the variance.
fn ranks(values: &[f64]) -> (Vec<f64>, f64) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|left, right| values[*left].abs().total_cmp(&values[*right].abs()));
    let (mut ranks, mut ties) = (vec![0.0; values.len()], 0.0);
    let groups =
        order.chunk_by(|left, right| values[*left].abs().total_cmp(&values[*right].abs()).is_eq());
    let mut before = 0.0;
    for group in groups {
        let size = group.len() as f64;
        for index in group {
            ranks[*index] = before + f64::midpoint(1.0, size);
        }
        ties += size * size * size - size;
        before += size;
    }
    (ranks, ties)
}

/// The probabilities of all sums of ranks of `count` differences, from 0 up.
fn rank_sums(count: usize) -> Vec<f64> {
    let mut sums = vec![0.0; count * (count + 1) / 2 + 1];
    sums[0] = 1.0;
    for rank in 1..=count {
        // Downwards, so that each rank is used at most once: the smaller sums are still those without it.
        for sum in (0..sums.len()).rev() {
            // Each rank is positive or negative with probability one half.
            let with = sum.checked_sub(rank).map_or(0.0, |rest| sums[rest]);
            sums[sum] = 0.5 * (sums[sum] + with);
        }
    }
    sums
}

/// The probabilities of a sum of ranks at or above `statistic`, and at or below it.
fn exact_tails(count: usize, statistic: f64) -> (f64, f64) {
    let sums = rank_sums(count);
    let of = |matches: fn(f64, f64) -> bool| {
        let sums = sums.iter().enumerate();
        sums.filter(|(sum, _)| matches(*sum as f64, statistic))
            .map(|(_, probability)| probability)
            .sum()
    };
    (
        of(|sum, statistic| sum >= statistic),
        of(|sum, statistic| sum <= statistic),
    )
}

/// The same by the normal approximation with continuity correction, for many or for equal differences.
fn normal_tails(count: f64, ties: f64, statistic: f64) -> (f64, f64) {
    let (mean, sd) = normal_ranks(count, ties);
    if sd == 0.0 {
        return (1.0, 1.0);
    }
    let beyond = |distance: f64| normal_above((distance - 0.5) / sd);
    (beyond(statistic - mean), beyond(mean - statistic))
}

fn normal_ranks(count: f64, ties: f64) -> (f64, f64) {
    let mean = count * (count + 1.0) / 4.0;
    let variance = (count * (count + 1.0) * (2.0 * count + 1.0) - ties / 2.0) / 24.0;
    (mean, variance.max(0.0).sqrt())
}
