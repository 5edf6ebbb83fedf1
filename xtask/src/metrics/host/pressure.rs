//! The disturbance of a measurement by the rest of the machine, and the limits above which it makes
//! figures worthless.
//!
//! Deliberately absent: errors. A disturbance that the machine does not report is none.

use std::time::Instant;

use super::file::read;
use crate::clock;
use crate::tools::procfs;

/// Steal in percent of all CPU time, above which a block is noisy (3 to 18 % were seen on a machine
/// that looked idle).
pub const NOISY_STEAL_PERCENT: f64 = 3.0;
/// CPU time of programs that are not part of the run, in percent of all CPU time, above which a block is
/// noisy: half of what a program takes that keeps one of four cores busy.
pub const NOISY_OTHERS_PERCENT: f64 = 12.5;

/// Counters of the machine at `start`, to be compared with those at `finish`.
pub struct HostWatch {
    cpu: Option<CpuTicks>,
    contained: Option<u32>,
    own_ticks: Option<u64>,
    stall_us: Option<u64>,
    started: Instant,
    /// Milliseconds since the epoch at the start.
    pub started_ms: u64,
}

/// Disturbance over a period; none where the machine does not report it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[expect(
    clippy::struct_field_names,
    reason = "all are percentages, and units are part of names"
)]
pub struct Pressure {
    /// Share of all CPU time that the hypervisor took for others, in percent.
    pub steal_percent: Option<f64>,
    /// Share of all CPU time that went to programs other than this one and its children, in percent.
    pub others_percent: Option<f64>,
    /// Share of the time in which some task waited for a CPU (`some` of PSI), in percent.
    pub waiting_percent: Option<f64>,
}

/// The disturbance that a block tolerates without being noisy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Whether the programs of the run are all children of this one.
    pub is_alone: bool,
    /// Percent of the time in which some task may wait for a CPU: much more than a run causes on an
    /// otherwise idle machine with two cores; none where the run itself keeps all cores busy.
    pub psi_percent: Option<f64>,
}

impl Pressure {
    /// The disturbance that makes figures of this period untrustworthy; none without one.
    pub fn noise(&self, tolerance: Tolerance) -> Option<String> {
        let above = |percent: Option<f64>, limit: f64| percent.filter(|percent| *percent > limit);
        if let Some(steal) = above(self.steal_percent, NOISY_STEAL_PERCENT) {
            let text = format!("the hypervisor took {steal:.1} % of the CPU time (steal)");
            return Some(text);
        }
        if let Some(others) = above(self.others_percent, NOISY_OTHERS_PERCENT)
            && tolerance.is_alone
        {
            return Some(format!("other programs took {others:.1} % of the CPU time"));
        }
        let psi = above(self.waiting_percent, tolerance.psi_percent?)?;
        Some(format!(
            "tasks waited for a CPU in {psi:.1} % of the time (PSI)"
        ))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CpuTicks {
    pub(super) total: u64,
    /// Ticks spent on programs. Interrupts are left out: some kernels charge those of the loopback to
    /// the program that caused them, some to nobody.
    pub(super) busy: u64,
    pub(super) steal: u64,
}

impl HostWatch {
    /// Begins to watch. `contained` is a process in a container: part of the run, but not a child.
    pub fn start(contained: Option<u32>) -> Self {
        Self {
            cpu: read("/proc/stat").and_then(|text| parse_cpu_ticks(&text)),
            contained,
            own_ticks: procfs::own_cpu_ticks(contained),
            stall_us: read("/proc/pressure/cpu").and_then(|text| parse_stall_us(&text)),
            started: Instant::now(),
            started_ms: clock::milliseconds(),
        }
    }

    /// The disturbance since the start.
    pub fn finish(self) -> Pressure {
        // The same readings in the same order, so that all counters span the same time.
        let end = Self::start(self.contained);
        let elapsed_us = (end.started - self.started).as_micros() as f64;
        let cpu = self.cpu.zip(end.cpu);
        let own = self.own_ticks.zip(end.own_ticks);
        Pressure {
            steal_percent: cpu.map(|(from, to)| steal_percent(from, to)),
            others_percent: cpu.zip(own).map(|(cpu, own)| others_percent(cpu, own)),
            waiting_percent: self
                .stall_us
                .zip(end.stall_us)
                .map(|(from, to)| 100.0 * to.saturating_sub(from) as f64 / elapsed_us.max(1.0)),
        }
    }
}

/// First line of `/proc/stat`: `user nice system idle iowait irq softirq steal guest guest_nice`,
/// in ticks. Guest time is already inside user and nice.
pub(super) fn parse_cpu_ticks(stat: &str) -> Option<CpuTicks> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = fields
        .split_whitespace()
        .map_while(|field| field.parse().ok())
        .collect();
    let steal = *ticks.get(7)?;
    Some(CpuTicks {
        total: ticks.iter().take(8).sum(),
        busy: ticks[..3].iter().sum(),
        steal,
    })
}

pub(super) fn steal_percent(from: CpuTicks, to: CpuTicks) -> f64 {
    percent(
        to.steal.saturating_sub(from.steal),
        to.total.saturating_sub(from.total),
    )
}

pub(super) fn others_percent((from, to): (CpuTicks, CpuTicks), own: (u64, u64)) -> f64 {
    // Saturating: the files are not read at one moment, so that own ticks can exceed those of the machine.
    let own = own.1.saturating_sub(own.0);
    percent(
        to.busy.saturating_sub(from.busy).saturating_sub(own),
        to.total.saturating_sub(from.total),
    )
}

fn percent(part: u64, total: u64) -> f64 {
    if total == 0 {
        0.0
    } else {
        100.0 * part as f64 / total as f64
    }
}

/// `total=` of the `some` line of `/proc/pressure/cpu`, in microseconds.
pub(super) fn parse_stall_us(pressure: &str) -> Option<u64> {
    let some = pressure.lines().find(|line| line.starts_with("some "))?;
    some.split_whitespace()
        .find_map(|field| field.strip_prefix("total="))?
        .parse()
        .ok()
}
