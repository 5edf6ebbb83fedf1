//! Accepts client connections and hands each to the thread that serves it.
//!
//! One acceptor gives each connection to the worker with the fewest; `SO_REUSEPORT` would not balance a
//! few long-lived connections. Every client is accepted: one for which there is no place is answered on
//! the acceptor's thread, so that no client waits in the kernel's queue without an answer.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use crate::connection::{self, Client, Counted};
use crate::routes::Routes;
use crate::slots::{ADMIN_MAX, SPARE_MAX, Slot, Slots};
use crate::sockets::is_exhausted;
use crate::state::Shared;
use crate::worker::Worker;

/// Time limit for a worker to drop the tasks that outlived the drain deadline.
const END_MAX: Duration = Duration::from_secs(1);
/// Pause after an accept that failed: no event signals when the next one can succeed.
const PAUSE: Duration = Duration::from_millis(10);

/// A worker thread, and the channel that hands it connections.
pub struct Handoff {
    /// Needs no bound of its own: each entry holds a place, and those are limited.
    streams: mpsc::UnboundedSender<(std::net::TcpStream, Client)>,
    open: Arc<AtomicUsize>,
    ended: oneshot::Receiver<()>,
}

impl Handoff {
    pub fn start(index: usize, shared: &Arc<Shared>, routes: Routes) -> std::io::Result<Handoff> {
        let (streams, mut incoming) = mpsc::unbounded_channel::<(std::net::TcpStream, Client)>();
        // One thread: stealing work from other threads costs 20 to 40 % more CPU for each request.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let worker = Worker::new(shared);
        let (ending, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                // Dropped last, so that `end` returns when no task is left.
                let _ending: oneshot::Sender<()> = ending;
                runtime.block_on(async move {
                    tokio::spawn(Arc::clone(&worker.pool).upkeep());
                    while let Some((stream, client)) = incoming.recv().await {
                        if let Ok(stream) = TcpStream::from_std(stream) {
                            connection::spawn(&worker, stream, routes, client);
                        }
                    }
                });
                // Does not wait for blocking tasks, such as the lookup of a name that hangs.
                runtime.shutdown_background();
            })?;
        Ok(Handoff {
            streams,
            open: Arc::new(AtomicUsize::new(0)),
            ended,
        })
    }

    /// Ends the worker and its in-flight requests, each of which leaves its audit line when dropped.
    pub async fn end(self) {
        drop(self.streams);
        // Either way the process goes on to end: a worker that hangs cannot keep it.
        let _ = tokio::time::timeout(END_MAX, self.ended).await;
    }
}

/// Accepts clients until it is dropped, or until a worker has ended.
pub async fn clients(
    shared: &Arc<Shared>,
    listener: TcpListener,
    routes: Routes,
    workers: &[Handoff],
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let metrics = &shared.metrics;
    let slots = Slots::new(
        shared.settings.connections,
        metrics.connections_evicted.clone(),
    );
    let spare = Slots::new(SPARE_MAX, metrics.connections_evicted.clone());
    let answering = Worker::new(shared);
    let answered = Arc::default();
    loop {
        let stream = next(&listener, &slots).await;
        if let Some(slot) = slots.take() {
            // Relaxed below: a count that is a moment old costs some balance, nothing else.
            let least = workers
                .iter()
                .min_by_key(|worker| worker.open.load(Ordering::Relaxed));
            // Taken off this thread's runtime: the worker registers the socket with its own.
            let (Some(least), Ok(stream)) = (least, stream.into_std()) else {
                return Ok(());
            };
            // Counted before it is handed over, so that the next client and the drain see it already.
            let counted = Counted::count(&least.open, shared);
            let client = Client::new(slot, Some(shared.drain.open()), counted);
            if least.streams.send((stream, client)).is_err() {
                return Ok(());
            }
        } else if let Some(slot) = place_here(&spare).await {
            let client = Client::spare(slot, Counted::count(&answered, shared));
            connection::spawn(&answering, stream, routes, client);
        }
    }
}

/// Serves the admin routes on their own address until it is dropped.
pub async fn admin(shared: Arc<Shared>, listener: TcpListener) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    let worker = Worker::new(&shared);
    let slots = Slots::new(ADMIN_MAX, shared.metrics.connections_evicted.clone());
    let open = Arc::default();
    loop {
        let stream = next(&listener, &slots).await;
        if let Some(slot) = place_here(&slots).await {
            let client = Client::new(slot, None, Counted::count(&open, &shared));
            connection::spawn(&worker, stream, Routes::Admin, client);
        }
    }
}

/// Takes a place for a connection that this thread serves itself.
async fn place_here(slots: &Arc<Slots>) -> Option<Slot> {
    if let Some(slot) = slots.take() {
        return Some(slot);
    }
    // The tasks of evicted connections run on this thread too: a yield lets them end.
    tokio::task::yield_now().await;
    slots.take()
}

/// The next client. A failed accept is retried; if descriptors have run out, an idle connection is closed.
async fn next(listener: &tokio::net::TcpListener, slots: &Slots) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                if is_exhausted(&error) {
                    slots.make_room();
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
