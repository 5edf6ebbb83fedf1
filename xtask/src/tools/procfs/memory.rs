//! Resident memory of a process: now, and at its peak.
//!
//! Deliberately absent: the memory of its children.

use super::system;

/// Current resident memory of a process (`VmRSS`), in bytes.
pub fn rss_bytes(pid: u32) -> anyhow::Result<u64> {
    system::memory(pid).map(|memory| memory.rss_bytes)
}

/// The most resident memory that a process has had (`VmHWM`) since it started or since
/// [`reset_peak`], in bytes.
pub fn peak_rss_bytes(pid: u32) -> anyhow::Result<u64> {
    system::memory(pid).map(|memory| memory.peak_bytes)
}

/// Sets the peak to the current resident memory.
///
/// # Errors
/// When the process is gone, or the kernel does not allow it.
pub fn reset_peak(pid: u32) -> anyhow::Result<()> {
    system::reset_peak(pid)
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
