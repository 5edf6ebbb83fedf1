//! The parsers on real captures, and that no machine makes them panic.

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
            steal: 15_747
        }
    );
    assert_eq!(parse_stall_us(PRESSURE), Some(1_038_384_115));
    assert_eq!(parse_load("4.10 3.2 2.8 3/214 9911\n"), Some(4.10));
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

#[test]
fn steal_is_a_share_of_the_time_between() {
    let from = CpuTicks {
        total: 1000,
        steal: 10,
    };
    assert!(
        (steal_percent(
            from,
            CpuTicks {
                total: 1200,
                steal: 18
            }
        ) - 4.0)
            .abs()
            < 1e-9
    );
    assert!(steal_percent(from, from).abs() < 1e-9);
    // Counters that went backwards (a migrated guest) are no disturbance.
    assert!(
        steal_percent(
            from,
            CpuTicks {
                total: 900,
                steal: 5
            }
        )
        .abs()
            < 1e-9
    );
}

#[test]
fn more_than_three_percent_of_steal_is_noisy() {
    let pressure = |steal_percent| {
        Pressure {
            steal_percent,
            psi_some_percent: None,
            load: None,
        }
        .noise()
    };
    assert!(pressure(Some(3.1)).unwrap().contains("3.1 %"));
    assert_eq!(pressure(Some(3.0)), None);
    assert_eq!(pressure(None), None);
}

#[test]
fn this_machine_is_watched_and_told() {
    let pressure = HostWatch::start().finish();
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
