//! The orders in which the programs of a comparison take their turns. Pure.

use crate::metrics::stats::Random;

pub const ARMS: usize = 3;

/// All orders of three programs: each half has each program in each place once.
const ORDERS: [[usize; ARMS]; 6] = [
    [0, 1, 2],
    [1, 2, 0],
    [2, 0, 1],
    [0, 2, 1],
    [2, 1, 0],
    [1, 0, 2],
];

/// The order in which the programs of block `number` are started. Every three blocks have each program
/// in each place once, and not only on average: random orders can favour one by chance. The seed
/// chooses where to begin.
pub fn starts(seed: u64, number: usize) -> [usize; ARMS] {
    let first = any(&mut Random::new(seed));
    let (group, place) = ((number / ARMS) % 2, number % ARMS);
    // The halves alternate, since within one of them a program always follows the same other one.
    let half = (first / ARMS + group) % 2;
    ORDERS[half * ARMS + (first + place) % ARMS]
}

/// The order of the slices of block `number`. Each of the `groups` is an order of the programs and its
/// mirror, so that a drift of the machine affects all programs alike.
pub fn slices(seed: u64, number: usize, groups: usize) -> Vec<usize> {
    // Each block needs orders of its own; block 0 must not get the bare seed, which `starts` uses.
    let mut random = Random::new(seed ^ (number as u64 + 1).wrapping_mul(0x9e37_79b9));
    // Another order for each group, so that no program is always in front.
    let first = any(&mut random);
    let groups = (0..groups).flat_map(|group| {
        let order = ORDERS[(first + group) % ORDERS.len()];
        order.into_iter().chain(order.into_iter().rev())
    });
    groups.collect()
}

/// A random index into `ORDERS`.
fn any(random: &mut Random) -> usize {
    usize::try_from(random.below(ORDERS.len() as u64)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_is_started_in_each_place_equally_often() {
        for seed in 0..20 {
            let mut places = [[0; ARMS]; ARMS];
            for number in 0..12 {
                for (place, arm) in starts(seed, number).into_iter().enumerate() {
                    places[arm][place] += 1;
                }
            }
            assert_eq!(places, [[4; ARMS]; ARMS], "seed {seed}");
        }
        let orders: Vec<_> = (0..20).map(|seed| starts(seed, 0)).collect();
        assert!(orders.iter().any(|order| *order != orders[0]));
    }

    #[test]
    fn the_slices_of_each_program_come_equally_often_and_early() {
        for seed in 0..20 {
            let order = slices(seed, 3, 4);
            assert_eq!(order.len(), 24);
            let places = |arm| {
                let places = order.iter().enumerate();
                places
                    .filter(move |(_, found)| **found == arm)
                    .map(|(place, _)| place)
            };
            for arm in 0..ARMS {
                assert_eq!(places(arm).count(), 8, "{order:?}");
                assert_eq!(places(arm).sum::<usize>(), 92, "{order:?}");
            }
        }
        assert_ne!(slices(1, 0, 4), slices(1, 1, 4), "blocks differ");
        assert_eq!(slices(1, 5, 4), slices(1, 5, 4), "and can be repeated");
    }
}
