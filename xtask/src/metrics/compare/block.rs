//! One block of a comparison: fresh processes of all programs between one load driver and one upstream,
//! and the same slices of load for each.

use std::time::Duration;

use anyhow::Context as _;

use super::order::{self, ARMS};
use crate::interrupt;
use crate::metrics::catalog::{
    CPU_US_PER_REQUEST, LATENCY_P50, LATENCY_P95, LATENCY_P99, MEMORY_IDLE_RSS, Metric,
    STARTUP_TO_READY, THROUGHPUT_RPS_10VU,
};
use crate::metrics::stats::{self, Histogram};
use crate::tools::load::{Driver, Outcome, Slice};
use crate::tools::procfs::{self, CpuReading, spent_us};
use crate::tools::subject::{Proxy, Setup, Upstream, startup};

/// A metric, and the function that reads it from the figures of a program in a block.
type Figure = (&'static Metric, fn(&Figures) -> Option<f64>);

/// The metrics that are tested together, as one family.
pub const FIGURES: [Figure; 7] = [
    (&STARTUP_TO_READY, |figures| {
        stats::median(&figures.ready_ms)
    }),
    (&MEMORY_IDLE_RSS, |figures| figures.rss_bytes),
    (&LATENCY_P50, |figures| typical(&figures.p50_ms)),
    (&LATENCY_P95, |figures| typical(&figures.p95_ms)),
    (&LATENCY_P99, |figures| typical(&figures.p99_ms)),
    (&THROUGHPUT_RPS_10VU, |figures| typical(&figures.rates)),
    (&CPU_US_PER_REQUEST, |figures| typical(&figures.cpu_us)),
];
/// Groups of slices; each has two of each program. Many short ones, so that changes of the machine
/// affect all programs alike: with longer slices the same code differs from itself by more.
const GROUPS: usize = 9;
// k6 is too heavy for slices this short, hence the light driver.
const SLICE_MS: u64 = 100;
/// Groups of timed starts, likewise: a block's median of four starts varies half as much as one start.
const START_GROUPS: usize = 2;
// The number of clients in the definition of `throughput/rps_10vu`.
const CLIENTS: usize = 10;
/// Idle time of a process before its memory is read.
const SETTLE: Duration = Duration::from_millis(300);
const WARM_MS: u64 = 50;
/// The warm-up ends when the medians of this many consecutive slices differ by no more than this share.
const STEADY_SLICES: usize = 3;
const STEADY: f64 = 0.03;
/// Smallest and largest number of warm-up slices of each program.
const WARM_MIN: usize = 6;
const WARM_MAX: usize = 20;

/// Figures of one program in one block.
#[derive(Debug, Default)]
pub struct Figures {
    /// Time from before the spawn to ready, of each start.
    pub ready_ms: Vec<f64>,
    /// Resident memory before the first call; none if it cannot be read.
    pub rss_bytes: Option<f64>,
    /// Percentiles of each slice.
    pub p50_ms: Vec<f64>,
    pub p95_ms: Vec<f64>,
    pub p99_ms: Vec<f64>,
    /// Calls per second of each slice.
    pub rates: Vec<f64>,
    /// CPU time per call of each slice in which it could be read.
    pub cpu_us: Vec<f64>,
    /// The times of all calls in the slices.
    pub times: Histogram,
    /// Place in the order in which the programs were started.
    pub order: usize,
    /// Calls of all slices, including those of the warm-up.
    sent: u64,
    fault: Option<String>,
}

/// Result of a block.
#[derive(Debug)]
pub enum Block {
    /// Figures of each program, in the order of the arms.
    Measured(Box<[Figures; ARMS]>),
    /// No value may be counted, for this reason.
    Void(String),
}

/// Makes block `number` of the programs that `setups` start in front of an upstream.
pub fn measure(
    release_dir: &std::path::Path,
    setups: impl Fn(&Upstream) -> [Setup; ARMS],
    (seed, number): (u64, usize),
) -> anyhow::Result<Block> {
    // A new upstream for each block too, so that its memory and sockets carry nothing over.
    let mut upstream = Upstream::start(release_dir, Duration::ZERO)?;
    let setups = setups(&upstream);
    let order = order::starts(seed, number);
    let mut figures: [Figures; ARMS] = Default::default();
    for (place, &arm) in order.iter().enumerate() {
        figures[arm].order = place;
    }
    // The inverted seed gives other orders than those of the slices.
    for arm in order::slices(!seed, number, START_GROUPS) {
        interrupt::check()?;
        let ready = startup(&setups[arm])?.ready;
        figures[arm].ready_ms.push(ready.as_secs_f64() * 1000.0);
    }
    let mut proxies = start(&setups, order)?;
    // Before any call: this is the idle figure, and load makes the memory grow.
    interrupt::rest(SETTLE)?;
    for (figures, proxy) in figures.iter_mut().zip(&proxies) {
        let bytes = procfs::rss_bytes(proxy.pid());
        figures.rss_bytes = bytes.ok().map(|bytes| bytes as f64);
    }
    // Counters are read before the warm-up, whose calls count as sent as well.
    let before = seen(&mut proxies, &mut upstream)?;
    let mut driver = Driver::start(release_dir)?;
    warm_up(&mut driver, &proxies, &mut figures)?;
    for arm in order::slices(seed, number, GROUPS) {
        interrupt::check()?;
        figures[arm].slice(&mut driver, &proxies[arm])?;
        proxies[arm].check_running()?;
    }
    let after = seen(&mut proxies, &mut upstream)?;
    Ok(match fault(&figures, before, after) {
        Some(fault) => Block::Void(fault),
        None => Block::Measured(Box::new(figures)),
    })
}

/// The geometric mean of slices; none where one is 0. A shared machine has two speeds or more, and
/// changes between them many times in a block: a median of slices falls into one or the other by chance,
/// and differs by up to twice as much from block to block.
fn typical(slices: &[f64]) -> Option<f64> {
    if slices.is_empty() || slices.iter().any(|value| *value <= 0.0) {
        return None;
    }
    let logarithms: f64 = slices.iter().map(|value| value.ln()).sum();
    Some((logarithms / slices.len() as f64).exp())
}

/// Starts all programs in that order, and returns them in the order of the arms.
fn start(setups: &[Setup; ARMS], order: [usize; ARMS]) -> anyhow::Result<[Proxy; ARMS]> {
    let mut started: [Option<Proxy>; ARMS] = Default::default();
    for arm in order {
        started[arm] = Some(Proxy::start(&setups[arm])?);
    }
    let started: Option<Vec<Proxy>> = started.into_iter().collect();
    let started = started.and_then(|proxies| proxies.try_into().ok());
    // Cannot fail: an order has each arm once.
    started.context("a program of the comparison was not started")
}

/// Calls that reached the upstream, and those that each program forwarded.
fn seen(
    proxies: &mut [Proxy; ARMS],
    upstream: &mut Upstream,
) -> anyhow::Result<(u64, [u64; ARMS])> {
    let mut forwarded = [0; ARMS];
    for (forwarded, proxy) in forwarded.iter_mut().zip(proxies) {
        *forwarded = proxy.forwarded()?;
    }
    Ok((upstream.counts()?.tool_calls, forwarded))
}

/// The reason why the block is void; none when all answers were right and all counters agree.
fn fault(
    figures: &[Figures; ARMS],
    before: (u64, [u64; ARMS]),
    after: (u64, [u64; ARMS]),
) -> Option<String> {
    if let Some(fault) = figures.iter().find_map(|figures| figures.fault.clone()) {
        return Some(fault);
    }
    for (arm, figures) in figures.iter().enumerate() {
        let (sent, forwarded) = (figures.sent, after.1[arm] - before.1[arm]);
        // A call that a program answered without the upstream would make it look fast.
        if sent != forwarded {
            return Some(format!(
                "{sent} calls were sent to a program that forwarded {forwarded}"
            ));
        }
    }
    let sent: u64 = figures.iter().map(|figures| figures.sent).sum();
    let seen = after.0 - before.0;
    (sent != seen).then(|| format!("the upstream received {seen} of {sent} calls"))
}

/// Drives all programs in turn until their medians are steady, at most for a second each.
fn warm_up(
    driver: &mut Driver,
    proxies: &[Proxy; ARMS],
    figures: &mut [Figures; ARMS],
) -> anyhow::Result<()> {
    let mut medians: [Vec<f64>; ARMS] = Default::default();
    for turn in 0..WARM_MAX {
        for (arm, proxy) in proxies.iter().enumerate() {
            interrupt::check()?;
            let outcome = driver.drive(&load(proxy, WARM_MS))?;
            figures[arm].check(&outcome);
            let median = outcome.latency_us.map(|times| times.p50);
            medians[arm].extend(median);
        }
        // All at once, not each for itself: every program has had the same number of calls when slices begin.
        if turn + 1 >= WARM_MIN && medians.iter().all(|medians| is_steady(medians)) {
            break;
        }
    }
    Ok(())
}

fn is_steady(medians: &[f64]) -> bool {
    let Some((_, last)) = medians.split_last_chunk::<STEADY_SLICES>() else {
        return false;
    };
    let lowest = last.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = last.iter().copied().fold(0.0, f64::max);
    highest <= lowest * (1.0 + STEADY)
}

fn load(proxy: &Proxy, duration_ms: u64) -> Slice {
    Slice {
        url: proxy.url(),
        // A closed loop: it gave the steadiest differences, and what matters here is the difference.
        rate: None,
        duration_ms,
        warmup_ms: 0,
        connections: CLIENTS,
    }
}

impl Figures {
    fn slice(&mut self, driver: &mut Driver, proxy: &Proxy) -> anyhow::Result<()> {
        let before = CpuReading::of(proxy.pid());
        let outcome = driver.drive(&load(proxy, SLICE_MS))?;
        let spent_us = spent_us(&before, &CpuReading::of(proxy.pid()));
        self.check(&outcome);
        // A slice whose CPU time cannot be read costs that figure, not the block.
        if let (Ok(spent_us), true) = (spent_us, outcome.requests > 0) {
            self.cpu_us.push(spent_us / outcome.requests as f64);
        }
        self.rates.push(outcome.rate_achieved);
        if let Some(times) = outcome.latency_us {
            self.p50_ms.push(times.p50 / 1000.0);
            self.p95_ms.push(times.p95 / 1000.0);
            self.p99_ms.push(times.p99 / 1000.0);
        }
        let times = outcome.histogram.iter();
        let times = Histogram::of_counts(times.map(|(us, count)| (us / 1000.0, *count)));
        self.times = std::mem::take(&mut self.times).merged(&times);
        Ok(())
    }

    fn check(&mut self, outcome: &Outcome) {
        self.sent += outcome.requests;
        self.fault = self.fault.take().or_else(|| outcome.fault());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(counts: [u64; ARMS]) -> [Figures; ARMS] {
        counts.map(|sent| Figures {
            sent,
            ..Figures::default()
        })
    }

    #[test]
    fn every_call_must_have_gone_through_its_program() {
        let figures = sent([10, 20, 30]);
        assert_eq!(fault(&figures, (5, [1, 1, 1]), (65, [11, 21, 31])), None);
        let lost = fault(&figures, (5, [1, 1, 1]), (65, [11, 20, 31])).unwrap();
        assert_eq!(lost, "20 calls were sent to a program that forwarded 19");
        let fewer = fault(&figures, (5, [1, 1, 1]), (64, [11, 21, 31])).unwrap();
        assert_eq!(fewer, "the upstream received 59 of 60 calls");
    }

    #[test]
    fn slices_of_two_speeds_give_a_value_between_them() {
        assert_eq!(typical(&[]), None);
        assert_eq!(typical(&[1.0, 0.0]), None);
        assert!((typical(&[1.0, 4.0]).unwrap() - 2.0).abs() < 1e-12);
        // One more slice of either speed moves it by little.
        let few = typical(&[3.0, 3.0, 5.0, 5.0, 5.0]).unwrap();
        let many = typical(&[3.0, 3.0, 3.0, 5.0, 5.0]).unwrap();
        assert!((few / many).ln() < 0.11, "{few} and {many}");
    }

    #[test]
    fn medians_are_steady_when_the_last_three_are() {
        assert!(!is_steady(&[1.0, 1.0]));
        assert!(is_steady(&[9.0, 1.0, 1.02, 1.01]));
        assert!(!is_steady(&[1.0, 1.0, 1.0, 1.1, 1.0]));
    }
}
