//! CPU time of this process and of all that it started: the rest of the machine's CPU time is that of
//! other programs.

/// CPU time in ticks of this process, of its ended and its running children, and of the process
/// `contained`, which a container engine started for it; none where any of it cannot be read.
pub fn own_cpu_ticks(contained: Option<u32>) -> Option<u64> {
    system::own_cpu_ticks(contained)
}

#[cfg(target_os = "linux")]
mod system {
    use procfs::process::{Process, Stat};

    pub(super) fn own_cpu_ticks(contained: Option<u32>) -> Option<u64> {
        let own = Process::myself().ok()?;
        let mut ticks = with_ended_children(&own.stat().ok()?);
        if let Some(pid) = contained {
            ticks += with_ended_children(&stat_of(pid)?);
        }
        for task in own.tasks().ok()?.flatten() {
            for child in task.children().ok()? {
                // One that has just ended is missing from this reading; the next has it as an ended one.
                ticks += stat_of(child).map_or(0, |stat| with_ended_children(&stat));
            }
        }
        Some(ticks)
    }

    fn stat_of(pid: u32) -> Option<Stat> {
        let process = Process::new(i32::try_from(pid).ok()?).ok()?;
        process.stat().ok()
    }

    fn with_ended_children(stat: &Stat) -> u64 {
        // The kernel adds the times of a child, and of its ended children, when the child is waited for.
        let ended = u64::try_from(stat.cutime + stat.cstime).unwrap_or(0);
        stat.utime + stat.stime + ended
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) fn own_cpu_ticks(_contained: Option<u32>) -> Option<u64> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::tools::process::{Launch, Stream};

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A thread of another test that ends while it is listed leaves no reading.
    fn ticks(contained: Option<u32>) -> u64 {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(ticks) = own_cpu_ticks(contained) {
                return ticks;
            }
            assert!(Instant::now() < until, "there is never a reading");
        }
    }

    #[test]
    fn children_count_while_they_run_and_when_they_have_ended() {
        let before = ticks(None);
        let busy = Launch::bare("sh").args(["-c", "while :; do :; done"]);
        let busy = busy.start().unwrap();
        while ticks(None) < before + 5 {
            std::thread::yield_now();
        }
        let running = ticks(None);
        drop(busy);
        assert!(ticks(None) >= running);
    }

    #[test]
    fn a_process_that_another_started_counts_when_it_is_named() {
        let script = "sh -c 'while :; do :; done' & echo $!; wait";
        let mut shell = Launch::bare("sh").args(["-c", script]).start().unwrap();
        let pid = shell.wait_for(Stream::Stdout, PATIENCE, |said| said.trim().parse().ok());
        let pid: u32 = pid.unwrap();
        let until = Instant::now() + PATIENCE;
        loop {
            // Read first: what others of these tests spend meanwhile is no proof.
            let with_it = ticks(Some(pid));
            if with_it >= ticks(None) + 5 {
                break;
            }
            assert!(Instant::now() < until, "process {pid} was not counted");
        }
        let gone = 0x3fff_fffe;
        assert_eq!(own_cpu_ticks(Some(gone)), None);
    }
}
