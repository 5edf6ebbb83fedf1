//! CPU throttling of a process by its cgroup, v2 and v1. Knows nothing of metrics.

use std::path::{Path, PathBuf};

use serde::Serialize;

/// Counters of a CPU quota, from `cpu.stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Throttling {
    /// Periods of the CPU quota that have passed while the group could run (`nr_periods`).
    pub periods: u64,
    /// Periods in which it had used up its quota and was stopped.
    pub periods_throttled: u64,
}

impl Throttling {
    /// Difference of two readings; none when one is missing or a counter went backwards.
    pub fn between(before: Option<Throttling>, after: Option<Throttling>) -> Option<Throttling> {
        let (before, after) = (before?, after?);
        Some(Throttling {
            periods: after.periods.checked_sub(before.periods)?,
            periods_throttled: after
                .periods_throttled
                .checked_sub(before.periods_throttled)?,
        })
    }
}

/// The counters of the group that `pid` is in; none where they cannot be read.
pub fn throttling(pid: u32) -> Option<Throttling> {
    let own = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let text = std::fs::read_to_string(stat_file(Path::new("/sys/fs/cgroup"), &own)?).ok()?;
    parse(&text)
}

fn stat_file(root: &Path, own: &str) -> Option<PathBuf> {
    let candidates = own.lines().filter_map(|line| {
        // Three fields at most, since the path may contain colons.
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let path = path.trim_start_matches('/');
        // The line of cgroup v2 names no controllers; in v1 they name the folder of their hierarchy.
        if controllers.is_empty() {
            return Some(root.join(path).join("cpu.stat"));
        }
        let is_cpu = controllers.split(',').any(|controller| controller == "cpu");
        is_cpu.then(|| root.join(controllers).join(path).join("cpu.stat"))
    });
    let mut existing = candidates.filter(|file| file.exists());
    existing.next()
}

fn parse(text: &str) -> Option<Throttling> {
    let value = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    };
    Some(Throttling {
        periods: value("nr_periods ")?,
        periods_throttled: value("nr_throttled ")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_are_found_and_read() {
        let root = tempfile::tempdir().unwrap();
        for (folder, text) in [
            (
                "docker/a",
                "usage_usec 5\nnr_periods 10\nnr_throttled 4\nthrottled_usec 7\n",
            ),
            (
                "cpu,cpuacct/docker/b",
                "nr_periods 3\nnr_throttled 0\nthrottled_time 0\n",
            ),
        ] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
            std::fs::write(root.path().join(folder).join("cpu.stat"), text).unwrap();
        }
        let read =
            |own: &str| parse(&std::fs::read_to_string(stat_file(root.path(), own)?).unwrap());
        assert_eq!(
            read("0::/docker/a\n"),
            Some(Throttling {
                periods: 10,
                periods_throttled: 4
            })
        );
        assert_eq!(
            read("5:memory:/docker/b\n4:cpu,cpuacct:/docker/b\n"),
            Some(Throttling {
                periods: 3,
                periods_throttled: 0
            })
        );
        assert_eq!(read("0::/elsewhere\n"), None);
        assert_eq!(parse("usage_usec 5\n"), None);
    }
}
