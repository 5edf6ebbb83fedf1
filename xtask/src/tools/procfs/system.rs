//! The readings themselves: from `/proc` on Linux, an error elsewhere.

#[cfg(not(target_os = "linux"))]
pub(super) use elsewhere::{cpu_ticks, memory, reset_peak, started_ticks, threads, tick_us};
#[cfg(target_os = "linux")]
pub(super) use linux::{cpu_ticks, memory, reset_peak, started_ticks, threads, tick_us};

/// Resident memory of a process.
pub(super) struct Memory {
    pub(super) rss_bytes: u64,
    pub(super) peak_bytes: u64,
}

/// Time that a thread ran, and time that it was ready to run and waited for a CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ThreadTime {
    pub(super) ran_ns: u64,
    pub(super) waited_ns: u64,
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;

    use anyhow::Context as _;
    use procfs::process::{ClearRefs, Process, Stat};

    use super::{Memory, ThreadTime};

    const BYTES_PER_KIB: u64 = 1024;

    pub(in super::super) fn memory(pid: u32) -> anyhow::Result<Memory> {
        let status = process(pid)?
            .status()
            .with_context(|| format!("failed to read `/proc/{pid}/status` of process {pid}"))?;
        let bytes = |kib: Option<u64>, field: &str| {
            // A process that has ended but was not waited for has no memory lines.
            kib.map(|kib| kib * BYTES_PER_KIB)
                .with_context(|| format!("failed to find {field} of process {pid}: it has ended"))
        };
        Ok(Memory {
            rss_bytes: bytes(status.vmrss, "VmRSS")?,
            peak_bytes: bytes(status.vmhwm, "VmHWM")?,
        })
    }

    pub(in super::super) fn reset_peak(pid: u32) -> anyhow::Result<()> {
        process(pid)?
            .clear_refs(ClearRefs::PeakRSS)
            .with_context(|| format!("failed to reset the peak memory of process {pid}"))
    }

    pub(in super::super) fn cpu_ticks(pid: u32) -> anyhow::Result<u64> {
        let stat = stat(pid)?;
        Ok(stat.utime + stat.stime)
    }

    pub(in super::super) fn tick_us() -> f64 {
        1e6 / procfs::ticks_per_second() as f64
    }

    pub(in super::super) fn started_ticks(pid: u32) -> anyhow::Result<u64> {
        Ok(stat(pid)?.starttime)
    }

    pub(in super::super) fn threads(pid: u32) -> anyhow::Result<BTreeMap<i32, ThreadTime>> {
        let tasks = process(pid)?
            .tasks()
            .with_context(|| format!("failed to list the threads of process {pid}"))?;
        let mut threads = BTreeMap::new();
        // A thread that ends meanwhile is left out; a later reading shows that by its other set of ids.
        for task in tasks.flatten() {
            if let Ok(times) = task.schedstat() {
                let time = ThreadTime {
                    ran_ns: times.sum_exec_runtime,
                    waited_ns: times.run_delay,
                };
                threads.insert(task.tid, time);
            }
        }
        Ok(threads)
    }

    fn stat(pid: u32) -> anyhow::Result<Stat> {
        process(pid)?
            .stat()
            .with_context(|| format!("failed to read `/proc/{pid}/stat` of process {pid}"))
    }

    fn process(pid: u32) -> anyhow::Result<Process> {
        let id = i32::try_from(pid).with_context(|| format!("{pid} is not a process id"))?;
        Process::new(id).with_context(|| format!("failed to open `/proc/{pid}` of process {pid}"))
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::collections::BTreeMap;

    use super::{Memory, ThreadTime};

    fn refused<T>() -> anyhow::Result<T> {
        anyhow::bail!("memory and CPU time of a process can be read only on Linux (from `/proc`)")
    }

    pub(in super::super) fn memory(_pid: u32) -> anyhow::Result<Memory> {
        refused()
    }

    pub(in super::super) fn reset_peak(_pid: u32) -> anyhow::Result<()> {
        refused()
    }

    pub(in super::super) fn cpu_ticks(_pid: u32) -> anyhow::Result<u64> {
        refused()
    }

    pub(in super::super) fn tick_us() -> f64 {
        10_000.0
    }

    pub(in super::super) fn started_ticks(_pid: u32) -> anyhow::Result<u64> {
        refused()
    }

    pub(in super::super) fn threads(_pid: u32) -> anyhow::Result<BTreeMap<i32, ThreadTime>> {
        refused()
    }
}
