//! Adjustments of the p-values of a family of tests, so that one level holds for all of them.

/// Holm's: the probability of one or more false alarms stays below the level. In the order given.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let count = p.len();
    let mut largest = 0.0_f64;
    let by_rank = ascending(p).into_iter().enumerate();
    in_order(
        count,
        by_rank.map(|(rank, index)| {
            // A larger raw p never gets a smaller adjusted one: the procedure stops at the first that fails.
            largest = largest.max((count - rank) as f64 * p[index]).min(1.0);
            (index, largest)
        }),
    )
}

/// Benjamini and Hochberg's: the expected share of false alarms among the alarms stays below the level.
/// In the order given.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let count = p.len();
    let mut smallest = 1.0_f64;
    let by_rank = ascending(p).into_iter().enumerate().rev();
    in_order(
        count,
        by_rank.map(|(rank, index)| {
            // From the largest p down: a p takes the adjusted value of a larger one where that is smaller.
            smallest = smallest.min(count as f64 / (rank + 1) as f64 * p[index]);
            (index, smallest)
        }),
    )
}

fn ascending(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|left, right| p[*left].total_cmp(&p[*right]));
    order
}

fn in_order(count: usize, adjusted: impl Iterator<Item = (usize, f64)>) -> Vec<f64> {
    // Every index is overwritten; 1 would be the harmless value of one that is not.
    let mut all = vec![1.0; count];
    for (index, value) in adjusted {
        all[index] = value;
    }
    all
}
