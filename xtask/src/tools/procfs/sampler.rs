//! A thread that reads memory and CPU time of some processes while they are under load.
//!
//! It keeps raw points with their wall-clock time, so that a window that another process
//! tells afterwards can be cut out of them. A process that ends just stops having points.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::CpuReading;

/// Time between two readings: 20 a second.
const PERIOD: Duration = Duration::from_millis(50);
/// Share of a window that the readings must cover.
const LEAST_COVERAGE: f64 = 0.9;

/// One reading of one process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Wall-clock time in milliseconds since 1970.
    pub at_ms: f64,
    /// Resident memory in bytes.
    pub rss_bytes: u64,
    /// CPU time since the first reading, in microseconds.
    pub cpu_us: f64,
}

/// The readings of one process, the oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    points: Vec<Point>,
}

impl Trace {
    /// The median of the resident memory between the two times, in bytes; the lower of the two
    /// in the middle.
    pub fn median_rss_bytes(&self, from_ms: f64, to_ms: f64) -> Option<u64> {
        let within = |point: &&Point| point.at_ms >= from_ms && point.at_ms <= to_ms;
        let mut sizes: Vec<u64> = self
            .points
            .iter()
            .filter(within)
            .map(|point| point.rss_bytes)
            .collect();
        sizes.sort_unstable();
        sizes.get(sizes.len().checked_sub(1)? / 2).copied()
    }

    /// CPU time between the two times in cores: 1.0 is one core all the time. A process that
    /// ends with the window has its last reading a little before, so the readings need to cover
    /// only most of it; none when they do not.
    pub fn cores(&self, from_ms: f64, to_ms: f64) -> Option<f64> {
        let (first, last) = (self.points.first()?, self.points.last()?);
        let (from, to) = (from_ms.max(first.at_ms), to_ms.min(last.at_ms));
        if to - from < LEAST_COVERAGE * (to_ms - from_ms) || to <= from {
            return None;
        }
        let spent_us = self.cpu_us_at(to)? - self.cpu_us_at(from)?;
        Some(spent_us / ((to - from) * 1000.0))
    }

    /// CPU time at a moment, between its two neighbours on a straight line.
    fn cpu_us_at(&self, at_ms: f64) -> Option<f64> {
        let after = self.points.iter().position(|point| point.at_ms >= at_ms)?;
        let next = self.points[after];
        let Some(before) = after.checked_sub(1).map(|index| self.points[index]) else {
            return (next.at_ms <= at_ms).then_some(next.cpu_us);
        };
        let share = (at_ms - before.at_ms) / (next.at_ms - before.at_ms);
        Some(before.cpu_us + share * (next.cpu_us - before.cpu_us))
    }
}

/// The running thread; dropping it stops it.
#[derive(Debug)]
pub struct Sampler {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Trace>>>,
}

impl Sampler {
    /// Starts to read these processes.
    pub fn start(pids: &[u32]) -> Sampler {
        let stop = Arc::new(AtomicBool::new(false));
        let (pids, stopped) = (pids.to_vec(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut watched: Vec<Watched> = pids.into_iter().map(Watched::new).collect();
            loop {
                // Read once more after the stop: the last window may reach up to now.
                let last = stopped.load(Ordering::Relaxed);
                watched.iter_mut().for_each(Watched::read);
                if last {
                    return watched.into_iter().map(|watched| watched.trace).collect();
                }
                std::thread::sleep(PERIOD);
            }
        });
        Sampler {
            stop,
            thread: Some(thread),
        }
    }

    /// Stops, and returns one trace per process in the order given.
    pub fn stop(mut self) -> Vec<Trace> {
        self.finish()
    }

    fn finish(&mut self) -> Vec<Trace> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .take()
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.finish();
    }
}

/// One process and what has been read of it.
struct Watched {
    pid: u32,
    /// CPU time is summed up step by step: exact while the same threads run, in ticks over the
    /// one step in which a thread comes or goes.
    before: Option<CpuReading>,
    cpu_us: f64,
    trace: Trace,
}

impl Watched {
    fn new(pid: u32) -> Watched {
        Watched {
            pid,
            before: None,
            cpu_us: 0.0,
            trace: Trace::default(),
        }
    }

    fn read(&mut self) {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        let (Ok(since_epoch), Ok(rss_bytes), Ok(cpu)) = (
            since_epoch,
            super::rss_bytes(self.pid),
            CpuReading::of(self.pid),
        ) else {
            return;
        };
        if let Some(before) = &self.before {
            self.cpu_us += cpu.us_since(before);
        }
        self.before = Some(cpu);
        let at_ms = since_epoch.as_secs_f64() * 1000.0;
        self.trace.points.push(Point {
            at_ms,
            rss_bytes,
            cpu_us: self.cpu_us,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace() -> Trace {
        let point = |at_ms, rss_bytes, cpu_us| Point {
            at_ms,
            rss_bytes,
            cpu_us,
        };
        Trace {
            points: vec![
                point(0.0, 9, 0.0),
                point(100.0, 5, 50e3),
                point(200.0, 7, 150e3),
            ],
        }
    }

    #[test]
    fn cpu_is_cut_to_the_window() {
        assert_eq!(trace().cores(50.0, 150.0), Some(0.75));
        assert_eq!(trace().cores(100.0, 200.0), Some(1.0));
        assert_eq!(trace().cores(0.0, 200.0), Some(0.75));
        assert_eq!(
            trace().cores(100.0, 210.0),
            Some(1.0),
            "ended a little early"
        );
        assert_eq!(trace().cores(100.0, 220.0), None, "ended much too early");
        assert_eq!(trace().cores(-50.0, 100.0), None, "began too late");
        assert_eq!(trace().cores(300.0, 310.0), None);
        assert_eq!(trace().cores(100.0, 100.0), None);
    }

    #[test]
    fn memory_is_the_median_within_the_window() {
        assert_eq!(trace().median_rss_bytes(0.0, 200.0), Some(7));
        assert_eq!(trace().median_rss_bytes(50.0, 200.0), Some(5));
        assert_eq!(trace().median_rss_bytes(120.0, 180.0), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_never_was_has_an_empty_trace() {
        let sampler = Sampler::start(&[std::process::id(), 0x3fff_fffe]);
        let traces = sampler.stop();
        assert!(!traces[0].points.is_empty());
        assert!(traces[1].points.is_empty());
    }
}
