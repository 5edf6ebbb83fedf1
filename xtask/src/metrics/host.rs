//! The machine: what it is, and what else it did while something was measured.
//!
//! Deliberately absent: errors. What a machine does not tell (another system than Linux, a
//! sandbox without `/proc`) is `None`, and the reports say so.

use std::collections::BTreeMap;
use std::fs;

use serde::Serialize;

use super::model::Host;

/// Steal above this many percent makes a slice noisy (seen: 3 to 18 % on a machine that looked
/// idle).
pub const NOISY_STEAL_PERCENT: f64 = 3.0;

/// The limits above which something was disturbed, by name, for the header of a run.
pub fn thresholds() -> BTreeMap<String, f64> {
    [("noisy_steal_percent", NOISY_STEAL_PERCENT)]
        .map(|(name, limit)| (name.to_owned(), limit))
        .into()
}

/// What else the machine did between `start` and `finish`.
pub struct HostWatch {
    cpu: Option<CpuTicks>,
    stall_us: Option<u64>,
    started: std::time::Instant,
}

/// Disturbance over a stretch of time; `None` where the machine does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pressure {
    /// Share of all CPU time that the hypervisor gave to others, in percent.
    pub steal_percent: Option<f64>,
    /// Share of the time in which some task waited for a CPU, in percent.
    pub psi_some_percent: Option<f64>,
    /// One-minute load average at the end.
    pub load: Option<f64>,
}

impl Pressure {
    /// What disturbed figures of this stretch so much that they cannot be trusted; none when nothing.
    pub fn noise(&self) -> Option<String> {
        let steal = self
            .steal_percent
            .filter(|percent| *percent > NOISY_STEAL_PERCENT)?;
        Some(format!(
            "the hypervisor gave {steal:.1} % of the CPU time to others"
        ))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CpuTicks {
    total: u64,
    steal: u64,
}

impl HostWatch {
    /// Begins to watch.
    pub fn start() -> Self {
        Self {
            cpu: read("/proc/stat").and_then(|text| parse_cpu_ticks(&text)),
            stall_us: read("/proc/pressure/cpu").and_then(|text| parse_stall_us(&text)),
            started: std::time::Instant::now(),
        }
    }

    /// What happened since.
    pub fn finish(self) -> Pressure {
        let end = Self::start();
        let elapsed_us = (end.started - self.started).as_micros() as f64;
        Pressure {
            steal_percent: self
                .cpu
                .zip(end.cpu)
                .map(|(from, to)| steal_percent(from, to)),
            psi_some_percent: self
                .stall_us
                .zip(end.stall_us)
                .map(|(from, to)| 100.0 * to.saturating_sub(from) as f64 / elapsed_us.max(1.0)),
            load: read("/proc/loadavg").and_then(|text| parse_load(&text)),
        }
    }
}

/// The machine's fingerprint.
pub fn fingerprint() -> Host {
    Host {
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        cpu_model: read("/proc/cpuinfo").and_then(|text| parse_cpu_model(&text)),
        logical_cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_gib: read("/proc/meminfo").and_then(|text| parse_memory_gib(&text)),
        kernel: trimmed("/proc/sys/kernel/osrelease"),
        governor: trimmed("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        virtualisation: virtualisation(),
        image: image(),
    }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn trimmed(path: &str) -> Option<String> {
    read(path)
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

/// A container says so by a marker file; a virtual machine by its product name, or at least by
/// the CPU's `hypervisor` flag.
fn virtualisation() -> Option<String> {
    if fs::exists("/.dockerenv").unwrap_or(false) {
        return Some("docker".to_owned());
    }
    trimmed("/sys/hypervisor/type")
        .or_else(|| trimmed("/sys/class/dmi/id/product_name"))
        .or_else(|| {
            let virtual_cpu = read("/proc/cpuinfo").is_some_and(|text| has_hypervisor_flag(&text));
            virtual_cpu.then(|| "virtual machine".to_owned())
        })
}

/// The system's own name, and the image version that GitHub's runners tell by environment.
fn image() -> Option<String> {
    let name = read("/etc/os-release").and_then(|text| parse_os_name(&text));
    let version = std::env::var("ImageVersion").ok();
    match (name, version) {
        (Some(name), Some(version)) => Some(format!("{name}, image {version}")),
        (name, version) => name.or(version),
    }
}

/// First line of `/proc/stat`: `user nice system idle iowait irq softirq steal guest guest_nice`,
/// in ticks. Guest time is already inside user and nice.
fn parse_cpu_ticks(stat: &str) -> Option<CpuTicks> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = fields
        .split_whitespace()
        .map_while(|field| field.parse().ok())
        .collect();
    Some(CpuTicks {
        total: ticks.iter().take(8).sum(),
        steal: *ticks.get(7)?,
    })
}

fn steal_percent(from: CpuTicks, to: CpuTicks) -> f64 {
    let total = to.total.saturating_sub(from.total);
    let stolen = to.steal.saturating_sub(from.steal);
    if total == 0 {
        0.0
    } else {
        100.0 * stolen as f64 / total as f64
    }
}

/// `total=` of the `some` line of `/proc/pressure/cpu`, in microseconds.
fn parse_stall_us(pressure: &str) -> Option<u64> {
    let some = pressure.lines().find(|line| line.starts_with("some "))?;
    some.split_whitespace()
        .find_map(|field| field.strip_prefix("total="))?
        .parse()
        .ok()
}

fn parse_load(loadavg: &str) -> Option<f64> {
    loadavg.split_whitespace().next()?.parse().ok()
}

fn parse_cpu_model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn has_hypervisor_flag(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|line| line.split_whitespace().any(|flag| flag == "hypervisor"))
}

fn parse_memory_gib(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((kib + (1 << 19)) >> 20)
}

fn parse_os_name(os_release: &str) -> Option<String> {
    let name = os_release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests;
