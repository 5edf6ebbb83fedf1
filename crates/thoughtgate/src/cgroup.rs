//! Default number of worker threads, from the CPU quota of this process's cgroup (v2 or v1).
//!
//! Two busy threads use up half a core's quota in a quarter of its period and then stall for the
//! rest of it, so the quota counts and not the machine's number of cores. Sets no quota.

use std::path::Path;

/// More threads gain nothing for a sidecar in front of one server.
const WORKERS_MAX: usize = 4;

/// Default number of workers for this process, from 1 to 4.
pub fn workers() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // Without the file, which only Linux has, there is no quota either.
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    workers_for(quota(Path::new("/sys/fs/cgroup"), &own), cores)
}

/// A fractional core cannot feed another thread, so quotas are rounded down. Without a quota the
/// machine is shared with other programs: one worker serves some ten thousand calls a second, each
/// for less CPU time than two workers would.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 1..=4 before"
)]
fn workers_for(quota_cores: Option<f64>, cores: usize) -> usize {
    let cores = cores.clamp(1, WORKERS_MAX);
    quota_cores.map_or(1, |quota| quota.floor().clamp(1.0, cores as f64) as usize)
}

/// The smallest quota, in cores, of this process's group and the groups above it. `own` is the text
/// of `/proc/self/cgroup`.
fn quota(root: &Path, own: &str) -> Option<f64> {
    let mut smallest: Option<f64> = None;
    for line in own.lines() {
        // The path, which comes last, may contain colons itself.
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let hierarchy = if controllers.is_empty() {
            root.to_path_buf()
        } else if controllers.split(',').any(|controller| controller == "cpu") {
            // v1 mounts the controller under its own name, or all of a hierarchy under the joined one.
            let joined = root.join(controllers);
            if joined.exists() {
                joined
            } else {
                root.join("cpu")
            }
        } else {
            continue;
        };
        // Inside a container the path may be the host's; then the mount itself is this process's group.
        let mut group = Some(Path::new(path.trim_start_matches('/')));
        while let Some(relative) = group {
            if let Some(found) = read_quota(&hierarchy.join(relative)) {
                smallest = Some(smallest.map_or(found, |least| least.min(found)));
            }
            group = relative.parent();
        }
    }
    smallest
}

fn read_quota(group: &Path) -> Option<f64> {
    if let Ok(text) = std::fs::read_to_string(group.join("cpu.max")) {
        let (quota, period) = text.trim().split_once(' ')?;
        return ratio(quota, period);
    }
    let quota = std::fs::read_to_string(group.join("cpu.cfs_quota_us")).ok()?;
    let period = std::fs::read_to_string(group.join("cpu.cfs_period_us")).ok()?;
    ratio(quota.trim(), period.trim())
}

/// The quota in cores; `None` for `max` (v2) and -1 (v1), which mean that there is none.
fn ratio(quota: &str, period: &str) -> Option<f64> {
    let quota: f64 = quota.parse().ok()?;
    let period: f64 = period.parse().ok()?;
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn v2_takes_the_smallest_quota_on_the_way_up() {
        let root = tree(&[
            ("pod/app/cpu.max", "max 100000\n"),
            ("pod/cpu.max", "50000 100000\n"),
        ]);
        assert_eq!(quota(root.path(), "0::/pod/app\n"), Some(0.5));
    }

    #[test]
    fn v2_in_a_container_finds_the_quota_at_the_mount() {
        let root = tree(&[("cpu.max", "150000 100000\n")]);
        assert_eq!(quota(root.path(), "0::/\n"), Some(1.5));
    }

    #[test]
    fn v1_reads_the_cpu_controller() {
        let root = tree(&[
            ("cpu,cpuacct/docker/a/cpu.cfs_quota_us", "50000\n"),
            ("cpu,cpuacct/docker/a/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(
            quota(root.path(), "5:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n"),
            Some(0.5)
        );
        // Inside a container the path is the host's, and the group is at the mount.
        let inside = tree(&[
            ("cpu/cpu.cfs_quota_us", "200000\n"),
            ("cpu/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(quota(inside.path(), "4:cpu,cpuacct:/docker/a\n"), Some(2.0));
    }

    #[test]
    fn no_quota_is_none() {
        let root = tree(&[
            ("cpu.max", "max 100000\n"),
            ("cpu/cpu.cfs_quota_us", "-1\n"),
            ("cpu/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(quota(root.path(), "0::/\n4:cpu:/\n"), None);
        assert_eq!(quota(root.path(), "garbage\n"), None);
    }

    #[test]
    fn workers_follow_the_quota_and_the_cores() {
        for (quota_cores, cores, expected) in [
            (None, 1, 1),
            (None, 2, 1),
            (None, 64, 1),
            (Some(0.1), 8, 1),
            (Some(0.5), 2, 1),
            (Some(1.5), 8, 1),
            (Some(2.0), 8, 2),
            (Some(16.0), 2, 2),
        ] {
            assert_eq!(
                workers_for(quota_cores, cores),
                expected,
                "{quota_cores:?} on {cores}"
            );
        }
    }
}
