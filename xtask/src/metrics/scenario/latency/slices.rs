//! The slices of one block: their order, their times, and the overhead of the proxy that follows from
//! k6's figures of each. Pure.

use anyhow::{Context as _, ensure};

use crate::tools::k6::Summary;
use crate::tools::procfs::Trace;

/// The calls of one block, in order: `D` is a slice to the upstream itself, `P` one through the proxy.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// Calls per second.
    pub(super) rate: u32,
    /// Calls before the first slice, alternately to both arms.
    pub(super) warm_calls: u32,
    pub(super) slice_calls: u32,
    /// One letter per slice.
    pub(super) arms: String,
}

/// Time that the proxy adds to a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Overhead {
    /// Mean over the pairs of slices of the difference between their medians.
    pub(super) ms: f64,
    /// The same in percent of the direct median of the pair.
    pub(super) percent: f64,
}

/// The order of `count` slices in block `number`: groups of four, each `DPPD` or its mirror, so
/// that a drift of the machine affects both arms alike. The bits of the seed choose the groups of
/// an even block; the odd one after it has their mirrors.
pub(super) fn arms(seed: u64, number: usize, count: usize) -> String {
    let groups = count / 4;
    let group = |group: usize| {
        // A seed has 64 bits; a longer run begins with them again.
        let bit = (number / 2 * groups + group) % 64;
        let mirrored = (seed >> bit) & 1 == 1;
        if mirrored == number.is_multiple_of(2) {
            "PDDP"
        } else {
            "DPPD"
        }
    };
    (0..groups).map(group).collect()
}

impl Schedule {
    /// Duration of the load.
    pub(super) fn seconds(&self) -> f64 {
        f64::from(self.calls_until(self.arms.len())) / f64::from(self.rate)
    }

    /// All calls, those of the warm-up included.
    pub(super) fn calls(&self) -> u64 {
        u64::from(self.calls_until(self.arms.len()))
    }

    /// Calls that go through the proxy, half of the warm-up included.
    pub(super) fn proxied_calls(&self) -> u64 {
        u64::from(self.warm_calls / 2) + self.measured_calls('P')
    }

    /// Calls of the slices of one arm.
    pub(super) fn measured_calls(&self, arm: char) -> u64 {
        self.arms.matches(arm).count() as u64 * u64::from(self.slice_calls)
    }

    /// From the first slice to the end of the last, in wall-clock milliseconds.
    pub(super) fn window_ms(&self, started_ms: f64) -> (f64, f64) {
        (
            self.moment_ms(started_ms, 0),
            self.moment_ms(started_ms, self.arms.len()),
        )
    }

    /// CPU time that the proxy needed in its slices, in cores; none when it was not sampled.
    pub(super) fn cores(&self, started_ms: f64, proxy: &Trace) -> Option<f64> {
        let slices = self.arms.char_indices().filter(|(_, arm)| *arm == 'P');
        let cores = slices.map(|(slice, _)| {
            proxy.cores(
                self.moment_ms(started_ms, slice),
                self.moment_ms(started_ms, slice + 1),
            )
        });
        // One slice without samples makes the figure missing, rather than a mean over the rest.
        mean(&cores.collect::<Option<Vec<f64>>>()?)
    }

    /// Calculates the overhead from the medians of the slices.
    ///
    /// # Errors
    /// When the summary lacks a slice, or a slice lacks calls.
    pub(super) fn overhead(&self, summary: &Summary) -> anyhow::Result<Overhead> {
        let mut medians = Vec::new();
        for (slice, arm) in self.arms.char_indices() {
            let trend = summary.trend(&format!("http_req_duration{{slice:{slice}}}"))?;
            ensure!(
                trend.count() == u64::from(self.slice_calls),
                "slice {slice} has {} calls instead of {}",
                trend.count(),
                self.slice_calls
            );
            medians.push((arm, trend.median()?));
        }
        // By the order of the groups, each pair of neighbours has a slice of either arm.
        let pairs: Vec<(f64, f64)> = medians
            .chunks_exact(2)
            .map(|pair| {
                if pair[0].0 == 'D' {
                    (pair[0].1, pair[1].1)
                } else {
                    (pair[1].1, pair[0].1)
                }
            })
            .collect();
        let over = |difference: fn(&(f64, f64)) -> f64| {
            let differences: Vec<f64> = pairs.iter().map(difference).collect();
            mean(&differences).context("the block has no pair of slices")
        };
        Ok(Overhead {
            ms: over(|(direct, proxied)| proxied - direct)?,
            percent: over(|(direct, proxied)| 100.0 * (proxied - direct) / direct)?,
        })
    }

    fn moment_ms(&self, started_ms: f64, slice: usize) -> f64 {
        started_ms + 1000.0 * f64::from(self.calls_until(slice)) / f64::from(self.rate)
    }

    fn calls_until(&self, slice: usize) -> u32 {
        let slices = u32::try_from(slice).expect("a handful of slices");
        self.warm_calls + slices * self.slice_calls
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured() -> (Schedule, Summary) {
        let schedule = Schedule {
            rate: 200,
            warm_calls: 40,
            slice_calls: 40,
            arms: "DPPD".to_owned(),
        };
        let text = include_str!("../../../../test_data/k6/success.json");
        (schedule, Summary::parse(text).unwrap())
    }

    #[test]
    fn both_arms_come_equally_often_and_early() {
        let orders: Vec<String> = (0..20).map(|number| arms(7, number, 8)).collect();
        for order in &orders {
            assert_eq!(order.len(), 8);
            let place = |arm| {
                order
                    .char_indices()
                    .filter(move |pair| pair.1 == arm)
                    .map(|pair| pair.0)
            };
            assert_eq!(place('D').count(), 4, "{order}");
            assert_eq!(
                place('D').sum::<usize>(),
                place('P').sum::<usize>(),
                "{order}"
            );
        }
        let mirror = orders[0]
            .replace('D', "x")
            .replace('P', "D")
            .replace('x', "P");
        assert_eq!(orders[1], mirror, "a pair of blocks is balanced in itself");
        let other = arms(8, 0, 8);
        assert_ne!(orders[0], other, "the seed chooses");
    }

    #[test]
    fn the_overhead_follows_from_the_slices() {
        let (schedule, summary) = captured();
        let overhead = schedule.overhead(&summary).unwrap();
        let median = |slice| {
            summary
                .trend(&format!("http_req_duration{{slice:{slice}}}"))
                .unwrap()
                .median()
                .unwrap()
        };
        let pairs = [median(1) - median(0), median(2) - median(3)];
        let expected = f64::midpoint(pairs[0], pairs[1]);
        assert!((overhead.ms - expected).abs() < 1e-12);
        let percents = [100.0 * pairs[0] / median(0), 100.0 * pairs[1] / median(3)];
        let expected = f64::midpoint(percents[0], percents[1]);
        assert!((overhead.percent - expected).abs() < 1e-12);
        assert_eq!(schedule.measured_calls('P'), 80);
    }

    #[test]
    fn a_short_slice_is_an_error() {
        let (mut schedule, summary) = captured();
        schedule.slice_calls = 41;
        let error = schedule.overhead(&summary).unwrap_err().to_string();
        assert_eq!(error, "slice 0 has 40 calls instead of 41");
        schedule.slice_calls = 40;
        schedule.arms.push('D');
        assert!(schedule.overhead(&summary).is_err());
    }

    #[test]
    fn moments_and_counts_follow_from_the_rate() {
        let (schedule, summary) = captured();
        assert_eq!(schedule.window_ms(1000.0), (1200.0, 2000.0));
        assert!((schedule.seconds() - 1.0).abs() < 1e-12);
        assert_eq!((schedule.calls(), schedule.proxied_calls()), (200, 100));
        assert_eq!(summary.requests, 200);
    }
}
