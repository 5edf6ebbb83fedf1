//! The loop of a slice: workers, one per connection, that take the next request when they are free.
//!
//! In open loop requests have intended starts. If no worker is free in time, a request starts late
//! but is timed from its intended start, so that a stalled server shows in all requests it delayed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::check::{Expect, Failure};
use super::connection::Link;
use super::options::Options;
use super::outcome::{Outcome, Tally};
use super::slice::{Schedule, Slice};
use crate::timer::Timer;

/// First pause after a failure in closed loop; it doubles up to `LONGEST_BACKOFF`, so that a dead
/// server costs no CPU.
const SHORTEST_BACKOFF: Duration = Duration::from_millis(1);
const LONGEST_BACKOFF: Duration = Duration::from_millis(50);

/// Ids are unique in the process, so that an answer to another request never passes the check.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

struct Shared {
    schedule: Schedule,
    /// Time between intended starts, in nanoseconds; `None` in closed loop.
    interval_ns: Option<f64>,
    next_ticket: AtomicU64,
    tally: Mutex<Tally>,
    expect: Expect,
    patience: Duration,
    timer: Timer,
}

/// Runs `slice` over `links`, and returns them with the outcome.
pub(super) async fn slice(
    slice: &Slice,
    mut links: Vec<Link>,
    options: &Options,
    timer: &Timer,
) -> (Vec<Link>, Outcome) {
    let reconnects_before: u64 = links.iter().map(|link| link.reconnects).sum();
    // Opened before the schedule begins, so that connecting is not part of a latency.
    for link in &mut links {
        // A failure is ignored: it is repeated, and counted, when the connection is used.
        let _ = link.open(options.timeout).await;
    }
    let connections = links.len();
    let shared = Arc::new(Shared {
        schedule: Schedule::new(slice, options.drain),
        interval_ns: slice.rate.map(|rate| 1e9 / rate),
        next_ticket: AtomicU64::new(0),
        tally: Mutex::new(Tally::new()),
        expect: options.expect.clone(),
        patience: options.timeout,
        timer: timer.clone(),
    });
    let workers: Vec<_> = links
        .into_iter()
        .map(|link| tokio::spawn(Arc::clone(&shared).work(link)))
        .collect();
    timer.sleep_until(shared.schedule.measured_from).await;
    // Read after the warm-up, whose CPU time does not count.
    let cpu_before = cpu_time();
    let mut links = Vec::with_capacity(connections);
    for worker in workers {
        links.push(worker.await.expect("a worker does not panic"));
    }
    let cpu_us = cpu_time().saturating_sub(cpu_before).as_micros();
    let reconnects: u64 = links.iter().map(|link| link.reconnects).sum();
    let mut outcome = Outcome {
        label: slice.label.clone(),
        url: slice.url.clone(),
        mode: if slice.rate.is_some() {
            "open"
        } else {
            "closed"
        }
        .to_owned(),
        rate_target: slice.rate,
        rate_achieved: 0.0,
        duration_ms: 0.0,
        requests: 0,
        ok: 0,
        errors: BTreeMap::new(),
        first_error: None,
        latency_us: None,
        service_us: None,
        histogram: Vec::new(),
        late_starts: 0,
        max_start_delay_us: 0.0,
        reconnects: reconnects - reconnects_before,
        cpu_us: u64::try_from(cpu_us).unwrap_or(u64::MAX),
        connections,
    };
    let tally = std::mem::replace(&mut *shared.tally(), Tally::new());
    let schedule = shared.schedule;
    tally.finish(&mut outcome, schedule.measured_from, schedule.end);
    (links, outcome)
}

impl Shared {
    async fn work(self: Arc<Self>, link: Link) -> Link {
        match self.interval_ns {
            Some(interval_ns) => self.work_open(link, interval_ns).await,
            None => self.work_closed(link).await,
        }
    }

    async fn work_open(&self, mut link: Link, interval_ns: f64) -> Link {
        loop {
            // `Relaxed` suffices: each ticket is taken once, and no data depends on it.
            let ticket = self.next_ticket.fetch_add(1, Ordering::Relaxed);
            // From the ticket and not from the request before, so that delays do not lower the rate.
            let after_begin = Duration::from_secs_f64(ticket as f64 * interval_ns / 1e9);
            let intended = self.schedule.begin + after_begin;
            if intended >= self.schedule.end {
                return link;
            }
            if Instant::now() >= self.schedule.give_up {
                // Tickets are still taken, so that each request that never started is counted.
                if intended >= self.schedule.measured_from {
                    self.tally().fail(&Failure::Unstarted, 1);
                }
                continue;
            }
            self.timer.sleep_until(intended).await;
            self.exchange(&mut link, intended, Instant::now()).await;
        }
    }

    async fn work_closed(&self, mut link: Link) -> Link {
        let mut backoff = SHORTEST_BACKOFF;
        loop {
            let now = Instant::now();
            if now >= self.schedule.end {
                return link;
            }
            if self.exchange(&mut link, now, now).await {
                backoff = SHORTEST_BACKOFF;
            } else {
                self.timer.sleep(backoff).await;
                backoff = (backoff * 2).min(LONGEST_BACKOFF);
            }
        }
    }

    /// Sends one request and records the result. Returns whether the server answered at all.
    async fn exchange(&self, link: &mut Link, intended: Instant, started: Instant) -> bool {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let result = link.exchange(id, &self.expect, self.patience).await;
        let answered = !matches!(
            result,
            Err(Failure::Connect(_) | Failure::Closed(_) | Failure::Timeout)
        );
        if intended >= self.schedule.measured_from {
            self.tally().record(intended, started, result);
        }
        answered
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// CPU time of this process so far, user and system.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
