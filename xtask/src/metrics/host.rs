//! The fingerprint of the machine. Its disturbance of a measurement is in `pressure`.
//!
//! Deliberately absent: errors. A property that the machine does not report (on another system than
//! Linux, in a sandbox without `/proc`) is `None`, and the reports show that.

mod file;
mod pressure;

use std::collections::BTreeMap;
use std::fs;

use super::model::Host;
use file::{read, trimmed};

pub use pressure::{HostWatch, Pressure, Tolerance};

/// The limits above which a block is noisy, by name, for the header of a run.
pub fn thresholds() -> BTreeMap<String, f64> {
    [
        ("noisy_steal_percent", pressure::NOISY_STEAL_PERCENT),
        ("noisy_others_percent", pressure::NOISY_OTHERS_PERCENT),
    ]
    .map(|(name, limit)| (name.to_owned(), limit))
    .into()
}

pub fn fingerprint() -> Host {
    Host {
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        cpu_model: read("/proc/cpuinfo").and_then(|text| parse_cpu_model(&text)),
        // Those of this process, not of the machine: an affinity or a quota changes figures as well.
        logical_cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_gib: read("/proc/meminfo").and_then(|text| parse_memory_gib(&text)),
        kernel: trimmed("/proc/sys/kernel/osrelease"),
        governor: trimmed("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        virtualisation: virtualisation(),
        image: image(),
    }
}

/// A container is recognised by docker's marker file; a virtual machine by its product name, or at
/// least by the CPU's `hypervisor` flag.
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

/// The name of the system, and the image version that GitHub's runners have in their environment.
fn image() -> Option<String> {
    let name = read("/etc/os-release").and_then(|text| parse_os_name(&text));
    let version = std::env::var("ImageVersion").ok();
    match (name, version) {
        (Some(name), Some(version)) => Some(format!("{name}, image {version}")),
        (name, version) => name.or(version),
    }
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
    // Rounded to GiB.
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
