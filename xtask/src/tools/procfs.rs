//! Readings of a running process from Linux's `/proc`: resident memory, CPU time, start time.
//!
//! Only readings and their differences, no estimates: on other systems every reading is an error that
//! says so.

mod cpu;
mod identity;
mod memory;
mod own;
mod sampler;
mod system;

use anyhow::Context as _;

pub use cpu::{CpuReading, spent_us};
pub use identity::{check_program, command_line};
pub use memory::{peak_rss_bytes, reset_peak, rss_bytes};
pub use own::own_cpu_ticks;
pub use sampler::{Sampled, Sampler, Trace};

/// Number of descriptors that a process has open.
pub fn descriptors(pid: u32) -> anyhow::Result<u64> {
    let folder = format!("/proc/{pid}/fd");
    let entries = std::fs::read_dir(&folder)
        .with_context(|| format!("failed to read `{folder}` of process {pid}"))?;
    Ok(entries.count() as u64)
}

/// Start time of a process, in kernel ticks since boot: a later process may have the same pid, but not
/// the same start.
pub fn started_ticks(pid: u32) -> anyhow::Result<u64> {
    system::started_ticks(pid)
}
