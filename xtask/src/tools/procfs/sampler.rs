//! A thread that reads memory and CPU time of some processes while they are under load.
//!
//! It keeps raw points with their time, so that a window that another process reports afterwards can
//! be cut out of them. A process that ends just stops having points.
//!
//! Other processes report wall-clock times. A point's time is the wall-clock time of the start plus what
//! a monotonic clock has counted since; how far the wall clock was moved is returned at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{CpuReading, rss_bytes};
use crate::clock;

/// Time between two readings: 20 a second.
const PERIOD: Duration = Duration::from_millis(50);
/// Share of a window that the readings must cover.
const LEAST_COVERAGE: f64 = 0.9;

/// One reading of one process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Wall-clock time in milliseconds since 1970.
    pub at_ms: f64,
    /// Resident memory in bytes; none where it cannot be read.
    pub rss_bytes: Option<u64>,
    /// CPU time since the first reading, in microseconds; none where it is not counted.
    pub cpu_us: Option<f64>,
    /// Time that its threads were ready to run and waited for a CPU, since the first reading, in
    /// microseconds; none where it is not counted.
    pub waited_us: Option<f64>,
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
            .filter_map(|point| point.rss_bytes)
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
        let cpu_us = |point: &Point| point.cpu_us;
        let spent_us = self.at(to, cpu_us)? - self.at(from, cpu_us)?;
        Some(spent_us / ((to - from) * 1000.0))
    }

    /// Seconds that its threads waited for a CPU per second that they ran, between the two times.
    pub fn waited_per_run(&self, from_ms: f64, to_ms: f64) -> Option<f64> {
        let cores = self.cores(from_ms, to_ms)?;
        let (first, last) = (self.points.first()?, self.points.last()?);
        let (from, to) = (from_ms.max(first.at_ms), to_ms.min(last.at_ms));
        let waited_us = |point: &Point| point.waited_us;
        let waited_us = self.at(to, waited_us)? - self.at(from, waited_us)?;
        let ran_us = cores * (to - from) * 1000.0;
        (ran_us > 0.0).then(|| waited_us / ran_us)
    }

    /// A counter at a moment, interpolated linearly between the two nearest points.
    fn at(&self, at_ms: f64, counter: impl Fn(&Point) -> Option<f64>) -> Option<f64> {
        let after = self.points.iter().position(|point| point.at_ms >= at_ms)?;
        let next = self.points[after];
        let Some(before) = after.checked_sub(1).map(|index| self.points[index]) else {
            return counter(&next).filter(|_| next.at_ms <= at_ms);
        };
        // Never a division by 0: `before` is earlier than `at_ms`, and `next` is not.
        let share = (at_ms - before.at_ms) / (next.at_ms - before.at_ms);
        let (from_us, to_us) = (counter(&before)?, counter(&next)?);
        Some(from_us + share * (to_us - from_us))
    }
}

/// All readings of a sampler.
#[derive(Debug, Default)]
pub struct Sampled {
    /// One trace per process, in the order given.
    pub traces: Vec<Trace>,
    /// Drift of the wall clock from the monotonic one meanwhile, in milliseconds.
    pub drift_ms: f64,
}

/// The running thread; dropping it stops it.
#[derive(Debug)]
pub struct Sampler {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Sampled>>,
}

impl Sampler {
    /// Starts to read these processes.
    pub fn start(pids: &[u32]) -> Sampler {
        let stop = Arc::new(AtomicBool::new(false));
        let (pids, stopped) = (pids.to_vec(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let clock = Clock::start();
            let mut watched: Vec<Watched> = pids.into_iter().map(Watched::new).collect();
            loop {
                // Read once more after the stop: the last window may reach up to now.
                let last = stopped.load(Ordering::Relaxed);
                for process in &mut watched {
                    // Each with its own time, since reading one process delays the next.
                    process.read(clock.now_ms());
                }
                if last {
                    return Sampled {
                        traces: watched.into_iter().map(|watched| watched.trace).collect(),
                        drift_ms: wall_ms() - clock.now_ms(),
                    };
                }
                std::thread::sleep(PERIOD);
            }
        });
        Sampler {
            stop,
            thread: Some(thread),
        }
    }

    /// Stops, and returns what was read.
    pub fn stop(mut self) -> Sampled {
        self.finish()
    }

    fn finish(&mut self) -> Sampled {
        // `Relaxed` suffices: the flag guards no data, and the join hands over the readings.
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

/// The wall-clock time of the start, continued by a monotonic clock, which cannot be set.
struct Clock {
    started_ms: f64,
    started: Instant,
}

impl Clock {
    fn start() -> Clock {
        Clock {
            started_ms: wall_ms(),
            started: Instant::now(),
        }
    }

    fn now_ms(&self) -> f64 {
        self.started_ms + self.started.elapsed().as_secs_f64() * 1000.0
    }
}

fn wall_ms() -> f64 {
    clock::since_epoch().as_secs_f64() * 1000.0
}

/// One process and its readings.
struct Watched {
    pid: u32,
    /// CPU time is summed up step by step: exact while the same threads run, in ticks over the
    /// one step in which a thread comes or goes.
    before: Option<CpuReading>,
    cpu_us: Option<f64>,
    waited_us: Option<f64>,
    trace: Trace,
}

impl Watched {
    fn new(pid: u32) -> Watched {
        Watched {
            pid,
            before: None,
            cpu_us: Some(0.0),
            waited_us: Some(0.0),
            trace: Trace::default(),
        }
    }

    fn read(&mut self, at_ms: f64) {
        let rss_bytes = rss_bytes(self.pid).ok();
        let cpu = CpuReading::of(self.pid).ok();
        if rss_bytes.is_none() && cpu.is_none() {
            return;
        }
        self.add(cpu);
        self.trace.points.push(Point {
            at_ms,
            rss_bytes,
            cpu_us: self.cpu_us,
            waited_us: self.waited_us,
        });
    }

    /// Adds a step to the counters; once a step cannot be read, they stay unknown.
    fn add(&mut self, now: Option<CpuReading>) {
        let (Some(before), Some(cpu)) = (&self.before, &now) else {
            if now.is_none() {
                (self.cpu_us, self.waited_us) = (None, None);
            }
            self.before = now;
            return;
        };
        let step = cpu.step_us_since(before);
        self.cpu_us = self.cpu_us.zip(step).map(|(sum, step)| sum + step);
        // Unknown for a step in which a thread started or ended, and counted as 0.
        let waited = step.map(|_| cpu.waited_us_since(before).unwrap_or(0.0));
        self.waited_us = self.waited_us.zip(waited).map(|(sum, step)| sum + step);
        self.before = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace() -> Trace {
        let point = |at_ms, rss_bytes, cpu_us| Point {
            at_ms,
            rss_bytes: Some(rss_bytes),
            cpu_us: Some(cpu_us),
            waited_us: Some(cpu_us / 2.0),
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
        assert_eq!(trace().waited_per_run(0.0, 200.0), Some(0.5));
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
    fn cpu_that_is_not_counted_is_none_and_memory_is_read_all_the_same() {
        let mut trace = trace();
        for point in &mut trace.points {
            point.cpu_us = None;
        }
        assert_eq!(trace.waited_per_run(50.0, 150.0), None);
        assert_eq!(trace.cores(50.0, 150.0), None);
        assert_eq!(trace.median_rss_bytes(0.0, 200.0), Some(7));
    }

    #[test]
    fn memory_that_cannot_be_read_is_none_and_cpu_is_counted_all_the_same() {
        let mut trace = trace();
        for point in &mut trace.points {
            point.rss_bytes = None;
        }
        assert_eq!(trace.median_rss_bytes(0.0, 200.0), None);
        assert_eq!(trace.cores(50.0, 150.0), Some(0.75));
        let mut watched = Watched::new(1);
        watched.add(None);
        assert_eq!((watched.cpu_us, watched.waited_us), (None, None));
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
        let read = sampler.stop();
        assert!(!read.traces[0].points.is_empty());
        assert!(read.traces[1].points.is_empty());
        assert!(read.drift_ms.abs() < 1000.0, "{}", read.drift_ms);
    }
}
