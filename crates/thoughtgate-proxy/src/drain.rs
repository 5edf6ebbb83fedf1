//! Drain of a process that is to stop: counts the requests in flight and the connections that can bring
//! more, and waits until there are none.
//!
//! Ends nothing itself: connections watch for the start of the drain and close when they are idle.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::watch;

use crate::metrics::Seconds;

/// State of the drain: whether it has started, and the number of all that it waits for.
pub struct Drain {
    started: watch::Sender<bool>,
    /// Requests in flight, as `/metrics` shows them.
    in_flight: Gauge,
    /// The time that each of them took.
    seconds: Seconds,
    /// Connections that can bring requests.
    open_connections: AtomicUsize,
}

/// A connection that can bring requests, counted until dropped.
pub struct OpenConnection {
    drain: Arc<Drain>,
}

/// A request that is being handled; drain waits for these.
pub struct InFlight {
    drain: Arc<Drain>,
    since: Instant,
    /// Its time counts when it ends.
    is_timed: bool,
}

impl Drain {
    /// A drain that has not started. `in_flight` counts the requests in flight; calls that continue
    /// without their client are added to it elsewhere, so that the drain waits for those too.
    #[must_use]
    pub fn new(in_flight: Gauge, seconds: Seconds) -> Arc<Drain> {
        Arc::new(Drain {
            started: watch::Sender::new(false),
            in_flight,
            seconds,
            open_connections: AtomicUsize::new(0),
        })
    }

    /// Starts the drain: `/ready` reports not ready, and connections close after the request they serve.
    pub fn start(&self) {
        // Not `send`, which leaves the value unchanged while nobody watches.
        self.started.send_replace(true);
    }

    /// Whether the process is stopping.
    #[must_use]
    pub fn has_started(&self) -> bool {
        *self.started.borrow()
    }

    /// Receiver of a value that changes to true once, when the drain starts.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.started.subscribe()
    }

    /// Counts a request as in flight until the guard is dropped.
    #[must_use]
    pub fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.inc();
        InFlight {
            drain: Arc::clone(self),
            since: Instant::now(),
            is_timed: true,
        }
    }

    /// Counts a connection as able to bring requests until the guard is dropped, when the connection has
    /// ended or has been told to close.
    #[must_use]
    pub fn open(self: &Arc<Self>) -> OpenConnection {
        self.open_connections.fetch_add(1, Ordering::SeqCst);
        OpenConnection {
            drain: Arc::clone(self),
        }
    }

    /// Waits until no request is in flight and no connection can bring one, or until `deadline` has
    /// passed. Returns the number of requests in flight then.
    pub async fn idle(&self, deadline: Duration) -> usize {
        // Polled: a wake-up would cost every request something, for a drain that happens once.
        let mut poll = tokio::time::interval(Duration::from_millis(5));
        let until = Instant::now() + deadline;
        loop {
            // In this order: a request that came before its connection was told to close is in flight
            // by then.
            let open = self.open_connections.load(Ordering::SeqCst);
            let left = usize::try_from(self.in_flight.get()).unwrap_or(0);
            if (open == 0 && left == 0) || Instant::now() >= until {
                return left;
            }
            poll.tick().await;
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.drain.open_connections.fetch_sub(1, Ordering::SeqCst);
    }
}

impl InFlight {
    /// Time at which the request's head was read.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Ends a request whose answer is a stream that only listens: how long it takes says nothing.
    pub fn untimed(mut self) {
        self.is_timed = false;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.drain.in_flight.dec();
        if self.is_timed {
            self.drain.seconds.observe(self.since.elapsed());
        }
    }
}
