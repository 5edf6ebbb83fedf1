//! CPU time of this process and of all that it started: what is left of the machine's is that of other
//! programs.

/// In ticks: its own, that of its children that have ended, and that of those that run; none where
/// that is not to be had.
pub fn own_cpu_ticks() -> Option<u64> {
    system::own_cpu_ticks()
}

#[cfg(target_os = "linux")]
mod system {
    use procfs::process::{Process, Stat};

    pub(super) fn own_cpu_ticks() -> Option<u64> {
        let own = Process::myself().ok()?;
        let mut ticks = with_ended_children(&own.stat().ok()?);
        for task in own.tasks().ok()?.flatten() {
            for child in task.children().ok()? {
                // One that has ended meanwhile is missed for this reading, which a later one makes good.
                let stat = i32::try_from(child).ok().and_then(|id| {
                    let process = Process::new(id).ok()?;
                    process.stat().ok()
                });
                ticks += stat.map_or(0, |stat| with_ended_children(&stat));
            }
        }
        Some(ticks)
    }

    fn with_ended_children(stat: &Stat) -> u64 {
        let ended = u64::try_from(stat.cutime + stat.cstime).unwrap_or(0);
        stat.utime + stat.stime + ended
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) fn own_cpu_ticks() -> Option<u64> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::tools::process::Launch;

    #[test]
    fn children_count_while_they_run_and_when_they_have_ended() {
        let before = own_cpu_ticks().unwrap();
        let busy = Launch::bare("sh").args(["-c", "while :; do :; done"]);
        let busy = busy.start().unwrap();
        while own_cpu_ticks().unwrap() < before + 5 {
            std::thread::yield_now();
        }
        let running = own_cpu_ticks().unwrap();
        drop(busy);
        assert!(own_cpu_ticks().unwrap() >= running);
    }
}
