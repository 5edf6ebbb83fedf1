//! CPU time of a process: exact to the nanosecond where the kernel counts it by thread, else in kernel
//! ticks, which are precise enough only over long times.

use std::collections::BTreeMap;

use anyhow::bail;

use super::system::{self, ThreadTime};

/// Ticks, mostly of 10 ms, below which their difference is too coarse: it is off by up to one tick at
/// either end.
const FEWEST_TICKS: u64 = 100;

/// A reading of the CPU time of a process, to be compared with a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuReading {
    /// Times by thread id, without threads that ended; none where the kernel does not count by thread.
    threads: Option<BTreeMap<i32, ThreadTime>>,
    /// Time on a CPU of the whole process, threads that ended included, in ticks; none where it cannot
    /// be read.
    ticks: Option<u64>,
}

impl CpuReading {
    /// Reads the CPU time of a process now.
    ///
    /// # Errors
    /// When the process is gone, or neither of the two can be read.
    pub fn of(pid: u32) -> anyhow::Result<CpuReading> {
        let threads = system::threads(pid)?;
        let ticks = system::cpu_ticks(pid);
        // A kernel that counts nothing by thread has no such file, or only zeros in it.
        // Before its first tick, a process may truly have zeros.
        let counts = threads.values().any(|thread| thread.ran_ns > 0) || matches!(ticks, Ok(0));
        let threads = (counts && !threads.is_empty()).then_some(threads);
        let ticks = match ticks {
            Err(error) if threads.is_none() => return Err(error),
            ticks => ticks.ok(),
        };
        Ok(CpuReading { threads, ticks })
    }

    /// CPU time spent since `earlier`, in microseconds: from the exact counters when the same threads
    /// ran all the time, else from the ticks.
    ///
    /// # Errors
    /// When there are only ticks, and too few of them.
    pub fn us_since(&self, earlier: &CpuReading) -> anyhow::Result<f64> {
        if let Some(exact) = self.exact_us_since(earlier) {
            return Ok(exact);
        }
        let ticks = self.ticks_since(earlier);
        if ticks < FEWEST_TICKS {
            let why = match self.threads {
                None => {
                    "the kernel does not count CPU time by thread (`/proc/PID/task/TID/schedstat`)"
                }
                Some(_) => "threads started or ended",
            };
            bail!("failed to measure the CPU time: {why}, and {ticks} ticks are too few");
        }
        Ok(ticks as f64 * system::tick_us())
    }

    /// CPU time over a short step of many, in microseconds; none where the kernel does not count by
    /// thread. Ticks, however few, are used for a step in which threads started or ended.
    pub(super) fn step_us_since(&self, earlier: &CpuReading) -> Option<f64> {
        self.threads.as_ref()?;
        let ticks = self.ticks_since(earlier);
        let exact = self.exact_us_since(earlier);
        Some(exact.unwrap_or_else(|| ticks as f64 * system::tick_us()))
    }

    /// Time that its threads were ready to run and waited for a CPU since `earlier`, in microseconds;
    /// none where that is not counted, or threads started or ended.
    pub(super) fn waited_us_since(&self, earlier: &CpuReading) -> Option<f64> {
        self.difference(earlier, |thread| thread.waited_ns)
    }

    fn ticks_since(&self, earlier: &CpuReading) -> u64 {
        let both = self.ticks.zip(earlier.ticks);
        both.map_or(0, |(now, then)| now.saturating_sub(then))
    }

    fn exact_us_since(&self, earlier: &CpuReading) -> Option<f64> {
        self.difference(earlier, |thread| thread.ran_ns)
    }

    /// The difference of a counter over all threads, when they are the same ones.
    fn difference(&self, earlier: &CpuReading, counter: fn(&ThreadTime) -> u64) -> Option<f64> {
        let (before, after) = (earlier.threads.as_ref()?, self.threads.as_ref()?);
        let total = |threads: &BTreeMap<_, _>| threads.values().map(counter).sum::<u64>();
        // A thread that ended took its counters with it, so sums over different threads cannot be compared.
        let same = before.keys().eq(after.keys());
        same.then(|| total(after).saturating_sub(total(before)) as f64 / 1000.0)
    }
}

/// CPU time in microseconds between two readings that may have failed.
pub fn spent_us(
    before: &anyhow::Result<CpuReading>,
    after: &anyhow::Result<CpuReading>,
) -> anyhow::Result<f64> {
    match (before, after) {
        (Ok(before), Ok(after)) => after.us_since(before),
        (Err(error), _) | (_, Err(error)) => bail!("failed to read the CPU time: {error:#}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(threads: Option<&[(i32, u64)]>, ticks: u64) -> CpuReading {
        let time = |ran_ns| ThreadTime {
            ran_ns,
            waited_ns: ran_ns / 10,
        };
        CpuReading {
            threads: threads.map(|all| all.iter().map(|(id, ns)| (*id, time(*ns))).collect()),
            ticks: Some(ticks),
        }
    }

    fn check(earlier: &CpuReading, later: &CpuReading, expected_us: f64) {
        let spent_us = later.us_since(earlier).unwrap();
        assert!(
            (spent_us - expected_us).abs() < 1e-9,
            "{spent_us} is not {expected_us}"
        );
    }

    #[test]
    fn the_same_threads_are_counted_exactly() {
        let earlier = reading(Some(&[(1, 10_000), (2, 5_000)]), 100);
        let later = reading(Some(&[(1, 40_000), (2, 15_000)]), 100);
        check(&earlier, &later, 40.0);
        assert_eq!(later.waited_us_since(&earlier), Some(4.0));
    }

    #[test]
    fn a_thread_that_came_or_went_makes_the_ticks_count_if_they_are_many() {
        let earlier = reading(Some(&[(1, 1_000), (2, 9_000_000)]), 100);
        let many = 200.0 * system::tick_us();
        check(&earlier, &reading(Some(&[(1, 4_000)]), 300), many);
        check(&earlier, &reading(Some(&[(1, 4_000), (3, 1)]), 300), many);
        let few = reading(Some(&[(1, 4_000)]), 199);
        let error = few.us_since(&earlier).unwrap_err().to_string();
        assert!(
            error.contains("threads started or ended, and 99 ticks"),
            "{error}"
        );
        let step = few.step_us_since(&earlier);
        assert_eq!(step, Some(99.0 * system::tick_us()), "a step may be coarse");
    }

    #[test]
    fn a_kernel_that_does_not_count_by_thread_gives_no_figure_and_never_0() {
        let (earlier, later) = (reading(None, 100), reading(None, 103));
        let error = later.us_since(&earlier).unwrap_err().to_string();
        assert!(
            error.contains("does not count CPU time by thread"),
            "{error}"
        );
        assert_eq!(later.step_us_since(&earlier), None);
        check(&earlier, &reading(None, 1100), 1000.0 * system::tick_us());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_is_busy_spends_time() {
        // Not this one, whose threads come and go with the other tests.
        let launch = crate::tools::process::Launch::new("sh");
        let busy = launch.args(["-c", "while :; do :; done"]).start().unwrap();
        let earlier = CpuReading::of(busy.pid()).unwrap();
        let later = loop {
            let reading = CpuReading::of(busy.pid()).unwrap();
            if reading.ticks_since(&earlier) >= 2 {
                break reading;
            }
        };
        assert!(later.us_since(&earlier).unwrap() > 1_000.0);
    }
}
