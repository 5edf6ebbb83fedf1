//! The permutation test of two samples: all ways to divide their values again. Exact, and therefore
//! only for few values.

/// Largest number of ways that is tried.
const WAYS_MAX: usize = 1 << 20;

/// The probability of such a difference if the samples have the same distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dealt {
    /// The difference of the means; positive where the second is larger.
    pub difference: f64,
    /// The probability of a difference this large or larger.
    pub p_greater: f64,
    /// The probability of a difference this far from zero or farther, on either side.
    pub p_two: f64,
    pub ways: usize,
}

/// The test of the difference of the means. None without a value on each side, and for more than a
/// million ways.
pub fn means(base: &[f64], head: &[f64]) -> Option<Dealt> {
    let all: Vec<f64> = base.iter().chain(head).copied().collect();
    let ways = ways(all.len(), head.len());
    if base.is_empty() || head.is_empty() || ways > WAYS_MAX {
        return None;
    }
    // The sum of one side determines that of the other, so only the choices for `head` are enumerated.
    let total: f64 = all.iter().sum();
    let difference = |sum: f64| sum / head.len() as f64 - (total - sum) / base.len() as f64;
    let observed = difference(head.iter().sum());
    // Sums of the same numbers in another order differ by their last digits.
    let slack = 1e-12 * all.iter().map(|value| value.abs()).sum::<f64>();
    let (mut above, mut beyond) = (0_usize, 0_usize);
    each(&all, head.len(), 0.0, &mut |sum| {
        let found = difference(sum);
        above += usize::from(found >= observed - slack);
        beyond += usize::from(found.abs() >= observed.abs() - slack);
    });
    Some(Dealt {
        difference: observed,
        p_greater: above as f64 / ways as f64,
        p_two: beyond as f64 / ways as f64,
        ways,
    })
}

/// Calls `see` with the sum of each choice of `count` of `values`, and `sum`.
fn each(values: &[f64], count: usize, sum: f64, see: &mut dyn FnMut(f64)) {
    if count == 0 {
        return see(sum);
    }
    let Some((first, rest)) = values.split_first().filter(|_| values.len() >= count) else {
        return;
    };
    each(rest, count - 1, sum + first, see);
    each(rest, count, sum, see);
}

/// The number of ways to choose `count` of `all`; [`usize::MAX`] if it overflows.
fn ways(all: usize, count: usize) -> usize {
    let mut ways = 1_usize;
    for chosen in 0..count.min(all) {
        let Some(product) = ways.checked_mul(all - chosen) else {
            return usize::MAX;
        };
        // Exact at each step: a product of k consecutive numbers is divisible by k!.
        ways = product / (chosen + 1);
    }
    ways
}
