//! What Linux tells of a running process under `/proc`: resident memory, CPU time and its start.
//!
//! Only readings and their differences. On other systems every reading is an error that
//! says so; there is no estimate in its place.

mod identity;
mod sampler;
mod system;

use anyhow::Context as _;

pub use identity::{check_program, command_line};
pub use sampler::{Sampler, Trace};

/// Resident memory of a process now (`VmRSS`), in bytes.
pub fn rss_bytes(pid: u32) -> anyhow::Result<u64> {
    system::memory(pid).map(|memory| memory.rss_bytes)
}

/// The most resident memory that a process has had (`VmHWM`) since it started or since
/// [`reset_peak`], in bytes.
pub fn peak_rss_bytes(pid: u32) -> anyhow::Result<u64> {
    system::memory(pid).map(|memory| memory.peak_bytes)
}

/// Makes the resident memory of now the peak.
///
/// # Errors
/// When the process is gone, or the kernel does not allow it.
pub fn reset_peak(pid: u32) -> anyhow::Result<()> {
    system::reset_peak(pid)
}

/// Descriptors that a process has open.
pub fn descriptors(pid: u32) -> anyhow::Result<u64> {
    let folder = format!("/proc/{pid}/fd");
    let entries = std::fs::read_dir(&folder)
        .with_context(|| format!("failed to read `{folder}` of process {pid}"))?;
    Ok(entries.count() as u64)
}

/// When a process started, in ticks of the kernel since it booted: a later process may have the same
/// pid, but not the same start.
pub fn started_ticks(pid: u32) -> anyhow::Result<u64> {
    system::started_ticks(pid)
}

/// A reading of the CPU time of a process, to be compared with a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuReading {
    /// Time on a CPU by thread id, exact to the nanosecond; lacks threads that ended.
    threads_ns: std::collections::BTreeMap<i32, u64>,
    /// The same of the whole process, threads that ended included; moves in ticks of the
    /// kernel, mostly 10 ms.
    ticks_us: u64,
}

impl CpuReading {
    /// Reads it now.
    pub fn of(pid: u32) -> anyhow::Result<CpuReading> {
        Ok(CpuReading {
            threads_ns: system::threads_ns(pid)?,
            ticks_us: system::cpu_ticks_us(pid)?,
        })
    }

    /// CPU time spent since `earlier`, in microseconds: from the exact counters when the same
    /// threads ran all the time, else from the ticks.
    pub fn us_since(&self, earlier: &CpuReading) -> f64 {
        if self.threads_ns.keys().eq(earlier.threads_ns.keys()) {
            let total = |reading: &CpuReading| reading.threads_ns.values().sum::<u64>();
            return total(self).saturating_sub(total(earlier)) as f64 / 1000.0;
        }
        self.ticks_us.saturating_sub(earlier.ticks_us) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(threads_ns: &[(i32, u64)], ticks_us: u64) -> CpuReading {
        CpuReading {
            threads_ns: threads_ns.iter().copied().collect(),
            ticks_us,
        }
    }

    fn check(earlier: &CpuReading, later: &CpuReading, expected_us: f64) {
        let spent_us = later.us_since(earlier);
        assert!(
            (spent_us - expected_us).abs() < 1e-9,
            "{spent_us} is not {expected_us}"
        );
    }

    #[test]
    fn the_same_threads_are_counted_exactly() {
        let earlier = reading(&[(1, 1_000), (2, 500)], 10_000);
        let later = reading(&[(1, 4_000), (2, 1_500)], 10_000);
        check(&earlier, &later, 4.0);
    }

    #[test]
    fn a_thread_that_came_or_went_makes_the_ticks_count() {
        let earlier = reading(&[(1, 1_000), (2, 9_000_000)], 10_000);
        check(&earlier, &reading(&[(1, 4_000)], 30_000), 20_000.0);
        check(&earlier, &reading(&[(1, 4_000), (3, 1)], 40_000), 30_000.0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_is_busy_has_memory_and_spends_time() {
        // Not this one, whose threads come and go with the other tests.
        let launch = crate::tools::process::Launch::new("sh");
        let busy = launch.args(["-c", "while :; do :; done"]).start().unwrap();
        let earlier = CpuReading::of(busy.pid()).unwrap();
        let later = loop {
            let reading = CpuReading::of(busy.pid()).unwrap();
            if reading.ticks_us >= earlier.ticks_us + 20_000 {
                break reading;
            }
        };
        assert!(later.us_since(&earlier) > 1_000.0);
        assert!(rss_bytes(busy.pid()).unwrap() > 0);
        assert!(peak_rss_bytes(busy.pid()).unwrap() >= rss_bytes(busy.pid()).unwrap());
    }

    #[test]
    fn a_process_that_is_gone_is_named() {
        let error = format!("{:#}", rss_bytes(0x3fff_fffe).unwrap_err());
        let expected = if cfg!(target_os = "linux") {
            "process 1073741822"
        } else {
            "only on Linux"
        };
        assert!(error.contains(expected), "{error}");
    }
}
