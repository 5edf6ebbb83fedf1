//! The way of a client's connection to the thread that serves it.
//!
//! One acceptor hands each connection to the worker that has fewest, which `SO_REUSEPORT` does not
//! do when they are few and long-lived. It takes every client: one for whom no place can be found is
//! answered here, so that nobody waits in the kernel's queue without a word.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use crate::server::{Client, Routes, connection, worker};
use crate::slots::{Slot, Slots};
use crate::sockets::is_exhausted;
use crate::state::Shared;

/// Connections beyond `limits.connections`, which are answered once: about the proxy's health, or
/// that it is full.
pub const SPARE_MAX: usize = 16;
/// Connections to the admin routes, where they have their own address.
pub const ADMIN_MAX: usize = 32;
/// For a worker to drop its tasks, past their deadline.
const END_MAX: Duration = Duration::from_secs(1);
/// After an accept that failed; nothing else says when the next one may succeed.
const PAUSE: Duration = Duration::from_millis(10);

/// A worker thread, and the way to hand it connections.
pub struct Handoff {
    /// Bounded by the places that its connections hold.
    streams: mpsc::UnboundedSender<(std::net::TcpStream, Client)>,
    open: Arc<AtomicUsize>,
    ended: oneshot::Receiver<()>,
}

/// Counts an open connection, of its worker and of all, until dropped.
pub struct Open {
    of_worker: Arc<AtomicUsize>,
    of_all: Gauge,
}

impl Open {
    fn count(of_worker: &Arc<AtomicUsize>, shared: &Shared) -> Open {
        of_worker.fetch_add(1, Ordering::Relaxed);
        shared.metrics.connections.inc();
        Open {
            of_worker: Arc::clone(of_worker),
            of_all: shared.metrics.connections.clone(),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.of_worker.fetch_sub(1, Ordering::Relaxed);
        self.of_all.dec();
    }
}

impl Handoff {
    /// Starts a worker thread.
    pub fn start(index: usize, shared: &Arc<Shared>, routes: Routes) -> std::io::Result<Handoff> {
        let (streams, mut incoming) = mpsc::unbounded_channel::<(std::net::TcpStream, Client)>();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let worker = worker(shared);
        let (ending, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                // Dropped last, when no task is left.
                let _ending: oneshot::Sender<()> = ending;
                runtime.block_on(async move {
                    tokio::spawn(Arc::clone(&worker.pool).upkeep());
                    while let Some((stream, client)) = incoming.recv().await {
                        if let Ok(stream) = TcpStream::from_std(stream) {
                            connection(&worker, stream, routes, client);
                        }
                    }
                });
                runtime.shutdown_background();
            })?;
        Ok(Handoff {
            streams,
            open: Arc::new(AtomicUsize::new(0)),
            ended,
        })
    }

    /// Ends the worker and what it still has in flight, so that each of these leaves its audit line.
    pub async fn end(self) {
        drop(self.streams);
        let _ = tokio::time::timeout(END_MAX, self.ended).await;
    }
}

/// Accepts clients for as long as it is polled, or until a worker is gone.
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
    let answering = worker(shared);
    let answered = Arc::default();
    loop {
        let stream = next(&listener, &slots).await;
        if let Some(slot) = slots.take() {
            let least = workers
                .iter()
                .min_by_key(|worker| worker.open.load(Ordering::Relaxed));
            let (Some(least), Ok(stream)) = (least, stream.into_std()) else {
                return Ok(());
            };
            let open = Open::count(&least.open, shared);
            let client = Client::new(slot, Some(shared.bring()), open);
            if least.streams.send((stream, client)).is_err() {
                return Ok(());
            }
        } else if let Some(slot) = place_here(&spare).await {
            let client = Client::spare(slot, Open::count(&answered, shared));
            connection(&answering, stream, routes, client);
        }
    }
}

/// Serves the admin routes on their own address, for as long as it is polled.
pub async fn admin(shared: Arc<Shared>, listener: TcpListener) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    let worker = worker(&shared);
    let slots = Slots::new(ADMIN_MAX, shared.metrics.connections_evicted.clone());
    let open = Arc::default();
    loop {
        let stream = next(&listener, &slots).await;
        if let Some(slot) = place_here(&slots).await {
            let client = Client::new(slot, None, Open::count(&open, &shared));
            connection(&worker, stream, Routes::Admin, client);
        }
    }
}

/// A place among those whose connections are served by this very thread.
async fn place_here(slots: &Arc<Slots>) -> Option<Slot> {
    if let Some(slot) = slots.take() {
        return Some(slot);
    }
    // Those that were told to leave get a turn to do so.
    tokio::task::yield_now().await;
    slots.take()
}

/// The next client that is there, whatever stands in the way of others.
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
