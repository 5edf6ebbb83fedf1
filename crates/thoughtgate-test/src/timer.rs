//! Sleeps with a precision of some microseconds, for service times and send times below a
//! millisecond, where tokio's timer is too coarse.
//!
//! One `timerfd` serves all sleeps of a runtime, so that a sleep takes at most one system call.
//! Never wakes a sleeper early. Linux only.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const NOT_ARMED: u64 = u64::MAX;

/// A source of precise sleeps for one tokio runtime. Clones share one kernel timer.
#[derive(Clone, Debug)]
pub struct Timer {
    shared: Arc<Shared>,
}

/// A sleep in progress, cancelled on drop.
#[derive(Debug)]
pub struct Sleep {
    shared: Arc<Shared>,
    deadline_ns: u64,
    key: Option<Key>,
}

// The second number tells sleepers with the same deadline apart.
type Key = (u64, u64);

#[derive(Debug)]
struct Shared {
    kernel_timer: AsyncFd<OwnedFd>,
    /// Deadlines are kept in nanoseconds since this instant.
    origin: Instant,
    /// The kernel's monotonic clock at `origin`; read just after it, so that no sleep ends early.
    origin_clock_ns: u64,
    queue: Mutex<Queue>,
}

#[derive(Debug)]
struct Queue {
    sleepers: BTreeMap<Key, Waker>,
    next_number: u64,
    armed_ns: u64,
}

impl Timer {
    /// Creates the kernel timer and the task that serves it. Must be called within a tokio
    /// runtime with IO enabled; the sleeps must be awaited on the same runtime.
    pub fn new() -> io::Result<Self> {
        let fd = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        let origin = Instant::now();
        let clock = clock_gettime(ClockId::Monotonic);
        let shared = Arc::new(Shared {
            kernel_timer: register(fd)?,
            origin,
            origin_clock_ns: nanos(clock),
            queue: Mutex::new(Queue {
                sleepers: BTreeMap::new(),
                next_number: 0,
                armed_ns: NOT_ARMED,
            }),
        });
        tokio::spawn(Arc::clone(&shared).drive());
        Ok(Self { shared })
    }

    /// Sleeps until `deadline`; ready at once if it has passed.
    #[must_use]
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        let since_origin = deadline.saturating_duration_since(self.shared.origin);
        Sleep {
            shared: Arc::clone(&self.shared),
            // Below `NOT_ARMED`, or else `arm` would take the timer for set already.
            deadline_ns: u64::try_from(since_origin.as_nanos()).unwrap_or(NOT_ARMED - 1),
            key: None,
        }
    }

    /// Sleeps for `duration` from now.
    #[must_use]
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(Instant::now() + duration)
    }

    /// The output of `work`, or `None` if it takes longer than `patience`.
    ///
    /// Takes no system call if the work is done in time, unlike tokio's timeouts, which wake the
    /// runtime whenever a new timeout is the earliest.
    pub async fn timeout<T>(&self, patience: Duration, work: impl Future<Output = T>) -> Option<T> {
        // Biased: work that is done counts, even when the time is over as well.
        tokio::select! {
            biased;
            output = work => Some(output),
            () = self.sleep(patience) => None,
        }
    }
}

impl Shared {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(NOT_ARMED - 1)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the sleepers that are due, each time the kernel timer fires.
    async fn drive(self: Arc<Self>) {
        while let Ok(mut ready) = self.kernel_timer.readable().await {
            // The descriptor is edge-triggered and setting the timer resets it: no read is needed.
            ready.clear_ready();
            let now_ns = self.now_ns();
            let mut queue = self.queue();
            // The timer has fired, and does not fire again until it is set.
            queue.armed_ns = NOT_ARMED;
            while let Some(earliest) = queue.sleepers.first_entry() {
                if earliest.key().0 > now_ns {
                    break;
                }
                earliest.remove().wake();
            }
            self.arm(&mut queue);
        }
    }

    /// Sets the kernel timer to the earliest deadline, unless it is already set to that or an earlier
    /// one.
    fn arm(&self, queue: &mut Queue) {
        let Some(&(deadline_ns, _)) = queue.sleepers.keys().next() else {
            return;
        };
        if queue.armed_ns <= deadline_ns {
            return;
        }
        let wanted = Itimerspec {
            it_interval: timespec(0),
            it_value: timespec(self.origin_clock_ns.saturating_add(deadline_ns)),
        };
        timerfd_settime(
            self.kernel_timer.get_ref(),
            TimerfdTimerFlags::ABSTIME,
            &wanted,
        )
        .expect("a valid time is accepted for an owned timer");
        queue.armed_ns = deadline_ns;
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // Checked before the lock, which a sleep that is over does not need.
        if this.deadline_ns <= this.shared.now_ns() {
            return Poll::Ready(());
        }
        let mut queue = this.shared.queue();
        let key = *this.key.get_or_insert_with(|| {
            queue.next_number += 1;
            (this.deadline_ns, queue.next_number)
        });
        queue.sleepers.insert(key, context.waker().clone());
        this.shared.arm(&mut queue);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.shared.queue().sleepers.remove(&key);
        }
    }
}

#[expect(
    deprecated,
    reason = "deprecated because some types return a different descriptor each time; an `OwnedFd` \
              does not, and the successor is `unsafe`, which this workspace forbids"
)]
fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}

fn nanos(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * NANOS_PER_SECOND + u64::try_from(time.tv_nsec).unwrap_or(0)
}

fn timespec(nanos: u64) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(nanos / NANOS_PER_SECOND).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(nanos % NANOS_PER_SECOND).unwrap_or(0),
    }
}
