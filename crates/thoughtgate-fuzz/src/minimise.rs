//! Makes a failing input smaller: leaves pieces out, large ones first, for as long as it still fails.

use std::time::{Duration, Instant};

/// A smaller input for which `fails` still says yes, found within `time`.
pub fn minimise(input: &[u8], time: Duration, mut fails: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let until = Instant::now() + time;
    let mut small = input.to_vec();
    let mut piece = small.len().div_ceil(2);
    while piece > 0 {
        let mut at = 0;
        let before = small.len();
        while at < small.len() {
            if Instant::now() > until {
                return small;
            }
            let end = (at + piece).min(small.len());
            let candidate = [&small[..at], &small[end..]].concat();
            if fails(&candidate) {
                // `at` stays: the piece that followed has moved there.
                small = candidate;
            } else {
                at = end;
            }
        }
        // What could not go before may go once its neighbours have gone.
        if piece > 1 || small.len() == before {
            piece /= 2;
        }
    }
    small
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_failure_needs_is_left() {
        let input = b"some text with (a [b) c] and more".repeat(10);
        let fails = |bytes: &[u8]| bytes.contains(&b'(') && bytes.contains(&b']');
        let mut small = minimise(&input, Duration::from_secs(60), fails);
        small.sort_unstable();
        assert_eq!(small, b"(]");
    }
}
