//! What Linux tells of a running process under `/proc`: resident memory, CPU time and its start.
//!
//! Only readings and their differences. On other systems every reading is an error that
//! says so; there is no estimate in its place.

mod cpu;
mod identity;
mod own;
mod sampler;
mod system;

use anyhow::Context as _;

pub use cpu::{CpuReading, spent_us};
pub use identity::{check_program, command_line};
pub use own::own_cpu_ticks;
pub use sampler::{Sampled, Sampler, Trace};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_has_memory() {
        let sleep = crate::tools::process::Launch::new("sleep").arg("60");
        let sleep = sleep.start().unwrap();
        // The peak is read last: the process is still starting, and grows between two readings.
        let rss_bytes = rss_bytes(sleep.pid()).unwrap();
        assert!(rss_bytes > 0);
        assert!(peak_rss_bytes(sleep.pid()).unwrap() >= rss_bytes);
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
