//! The parsers on captured files, and on input that must not make them panic.

use super::pressure::*;
use super::*;

const STAT: &str =
    "cpu  336637 49861 95573 821074 2611 0 3542 15747 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
const PRESSURE: &str = "some avg10=88.19 avg60=65.91 avg300=80.37 total=1038384115\n\
                        full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
const CPUINFO: &str = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu hypervisor sse\n";

#[test]
fn the_kernel_s_files_are_read() {
    let ticks = parse_cpu_ticks(STAT).unwrap();
    assert_eq!(
        ticks,
        CpuTicks {
            total: 1_325_045,
            busy: 482_071,
            steal: 15_747
        }
    );
    assert_eq!(parse_stall_us(PRESSURE), Some(1_038_384_115));
    assert_eq!(parse_cpu_model(CPUINFO).as_deref(), Some("AMD EPYC"));
    assert!(has_hypervisor_flag(CPUINFO));
    assert_eq!(parse_memory_gib("MemTotal:       24684092 kB\n"), Some(24));
    let name = parse_os_name("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian\"\n");
    assert_eq!(name.as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
}

#[test]
fn what_is_not_told_is_none() {
    for text in [
        "",
        "cpu",
        "cpu  1 2 3",
        "garbage\n",
        "some",
        "MemTotal: lots",
        "model name",
    ] {
        assert_eq!(parse_cpu_ticks(text), None);
        assert_eq!(parse_stall_us(text), None);
        assert_eq!(parse_memory_gib(text), None);
        assert_eq!(parse_cpu_model(text), None);
        assert_eq!(parse_os_name(text), None);
    }
    assert_eq!(read("/proc/no/such/file"), None);
}

fn ticks(total: u64, busy: u64, steal: u64) -> CpuTicks {
    CpuTicks { total, busy, steal }
}

fn close(left: f64, right: f64) {
    assert!((left - right).abs() < 1e-9, "{left} is not {right}");
}

#[test]
fn steal_and_others_are_shares_of_the_time_between() {
    let from = ticks(1000, 500, 10);
    close(steal_percent(from, ticks(1200, 500, 18)), 4.0);
    close(others_percent((from, ticks(1200, 620, 18)), (70, 90)), 50.0);
    // The run used more CPU time than the kernel has sampled: nothing is left for others.
    close(others_percent((from, ticks(1200, 520, 18)), (70, 95)), 0.0);
    // Counters that went backwards (a migrated guest) are no disturbance.
    for to in [from, ticks(900, 400, 5)] {
        close(steal_percent(from, to), 0.0);
        close(others_percent((from, to), (7, 5)), 0.0);
    }
}

#[test]
fn a_block_is_noisy_above_its_limits() {
    let alone = Tolerance {
        is_alone: true,
        psi_percent: Some(20.0),
    };
    let noise = |steal, others, psi, tolerance| {
        let pressure = Pressure {
            steal_percent: steal,
            others_percent: others,
            waiting_percent: psi,
        };
        pressure.noise(tolerance)
    };
    assert_eq!(noise(Some(3.0), Some(12.5), Some(20.0), alone), None);
    assert_eq!(noise(None, None, None, alone), None, "not reported");
    let steal = noise(Some(3.1), Some(50.0), Some(90.0), alone);
    assert_eq!(
        steal.unwrap(),
        "the hypervisor took 3.1 % of the CPU time (steal)"
    );
    let others = noise(Some(0.0), Some(50.0), Some(90.0), alone);
    assert_eq!(
        others.unwrap(),
        "other programs took 50.0 % of the CPU time"
    );
    let waited = noise(Some(0.0), Some(2.0), Some(90.0), alone);
    assert_eq!(
        waited.unwrap(),
        "tasks waited for a CPU in 90.0 % of the time (PSI)"
    );
    // A run whose programs are not all its children, and that keeps all cores busy itself.
    let saturating = Tolerance {
        is_alone: false,
        psi_percent: None,
    };
    assert_eq!(noise(Some(0.0), Some(50.0), Some(90.0), saturating), None);
    assert!(noise(Some(3.1), None, None, saturating).is_some());
}

#[test]
fn this_machine_is_watched_and_told() {
    let pressure = HostWatch::start(None).finish();
    assert!(
        pressure
            .steal_percent
            .is_none_or(|percent| (0.0..=100.0).contains(&percent))
    );
    let host = fingerprint();
    assert!(host.logical_cores >= 1);
    assert_eq!(host.os, std::env::consts::OS);
    assert_eq!(
        host,
        fingerprint(),
        "the fingerprint of one machine is constant"
    );
}
