//! Sockets and threads: accepts connections, hands each to the worker that has fewest, drains.
//!
//! Each worker is one thread with a current-thread runtime and an upstream pool of its own, so that
//! a request never crosses threads. One acceptor spreads connections evenly, which `SO_REUSEPORT`
//! does not when they are few and long-lived.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};

use crate::body::Body;
use crate::drain::drain;
use crate::endpoint::{self, Worker};
use crate::state::{Bringing, Shared};
use crate::upstream::Pool;
use crate::{admin, answer, approve, probe, well_known};

/// Ample for request heads; a longer one is answered 431.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// A bound proxy that does not serve yet.
pub struct Server {
    shared: Arc<Shared>,
    main: TcpListener,
    admin: Option<TcpListener>,
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Requests that were still in flight when the deadline was over.
    pub cut_off: usize,
}

/// Which routes a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Routes {
    All,
    Mcp,
    Admin,
}

impl Server {
    /// Binds the sockets of the settings. The error names the address.
    pub fn bind(shared: Arc<Shared>) -> std::io::Result<Server> {
        let main = listen(shared.settings.listen)?;
        let admin = shared.settings.admin_listen.map(listen).transpose()?;
        Ok(Server {
            shared,
            main,
            admin,
        })
    }

    /// The address of the MCP endpoint, its port known even when 0 was asked for.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.main.local_addr()
    }

    /// The admin routes' own address, where they have one.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
            .as_ref()
            .and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until `stop` resolves, then finishes what is in flight within the drain deadline.
    ///
    /// Runs on the control thread's runtime; dropping the future stops at once.
    pub async fn run(self, stop: impl Future<Output = ()>) -> std::io::Result<Drained> {
        let Server {
            shared,
            main,
            admin,
        } = self;
        let main_routes = if admin.is_some() {
            Routes::Mcp
        } else {
            Routes::All
        };
        let slots = Arc::new(Semaphore::new(shared.settings.connections));
        let workers = (0..shared.settings.workers.max(1))
            .map(|index| Handoff::start(index, &shared, main_routes))
            .collect::<std::io::Result<Vec<_>>>()?;
        let probing = tokio::spawn(probe::run(Arc::clone(&shared)));
        // Approved calls of clients that did not wait are made here, off the workers.
        let making = tokio::spawn(approve::run_deferred(worker(&shared)));
        let admin_serving =
            admin.map(|listener| tokio::spawn(serve_admin(Arc::clone(&shared), listener)));
        {
            let listener = tokio::net::TcpListener::from_std(main)?;
            let accepting = pin!(accept(&shared, &listener, &slots, &workers));
            let stop = pin!(stop);
            tokio::select! {
                () = accepting => {}
                () = stop => {}
            }
            // The listener is closed here: a new client is refused and finds another instance.
        }
        shared.start_draining();
        let cut_off = shared.idle(shared.settings.drain_timeout).await;
        probing.abort();
        making.abort();
        if let Some(serving) = admin_serving {
            serving.abort();
        }
        Ok(Drained { cut_off })
    }
}

/// A worker thread, and the way to hand it connections.
struct Handoff {
    streams: mpsc::UnboundedSender<(std::net::TcpStream, Slot)>,
    open: Arc<AtomicUsize>,
}

/// A connection's place under the limit, and in its worker's count.
struct Slot {
    _permit: tokio::sync::OwnedSemaphorePermit,
    open: Arc<AtomicUsize>,
    /// Until it has been told to bring no more requests.
    bringing: Option<Bringing>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Handoff {
    fn start(index: usize, shared: &Arc<Shared>, routes: Routes) -> std::io::Result<Handoff> {
        let (streams, mut incoming) = mpsc::unbounded_channel::<(std::net::TcpStream, Slot)>();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let worker = worker(shared);
        std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                runtime.block_on(async move {
                    tokio::spawn(Arc::clone(&worker.pool).upkeep());
                    while let Some((stream, slot)) = incoming.recv().await {
                        if let Ok(stream) = TcpStream::from_std(stream) {
                            tokio::spawn(connection(
                                Arc::clone(&worker),
                                stream,
                                routes,
                                Some(slot),
                            ));
                        }
                    }
                    // What is in flight is finished by tasks of this runtime; the process ends it.
                    std::future::pending::<()>().await;
                });
            })?;
        Ok(Handoff {
            streams,
            open: Arc::new(AtomicUsize::new(0)),
        })
    }
}

fn worker(shared: &Arc<Shared>) -> Arc<Worker> {
    let pool = Pool::new(
        shared.settings.upstream.clone(),
        shared.settings.connect_timeout,
    );
    Arc::new(Worker {
        shared: Arc::clone(shared),
        pool,
    })
}

async fn accept(
    shared: &Arc<Shared>,
    listener: &tokio::net::TcpListener,
    slots: &Arc<Semaphore>,
    workers: &[Handoff],
) {
    while let Ok(permit) = Arc::clone(slots).acquire_owned().await {
        let accepted = listener.accept().await;
        let Ok(stream) = accepted.and_then(|(stream, _)| stream.into_std()) else {
            // Out of descriptors, or a client that left again; both pass.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let Some(least) = workers
            .iter()
            .min_by_key(|worker| worker.open.load(Ordering::Relaxed))
        else {
            return;
        };
        least.open.fetch_add(1, Ordering::Relaxed);
        let slot = Slot {
            _permit: permit,
            open: Arc::clone(&least.open),
            bringing: Some(shared.bring()),
        };
        if least.streams.send((stream, slot)).is_err() {
            return;
        }
    }
}

async fn serve_admin(shared: Arc<Shared>, listener: TcpListener) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    let worker = worker(&shared);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(Arc::clone(&worker), stream, Routes::Admin, None));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(
    worker: Arc<Worker>,
    stream: TcpStream,
    routes: Routes,
    mut slot: Option<Slot>,
) {
    let shared = Arc::clone(&worker.shared);
    shared.metrics.connections.inc();
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let worker = Arc::clone(&worker);
        async move { Ok::<_, Infallible>(route(&worker, routes, request).await) }
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.settings.head_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut draining = shared.draining();
    let asked_to_stop = async move {
        let _ = draining.wait_for(|draining| *draining).await;
    };
    // An error here is the client's: it went away or spoke no HTTP, and hyper has answered that.
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = asked_to_stop => {
            if routes != Routes::Admin {
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
            drop(slot.as_mut().and_then(|slot| slot.bringing.take()));
            (&mut connection).await
        }
    };
    if !ended.is_err_and(|error| error.is_timeout()) {
        drain(&mut connection.into_parts().io.into_inner()).await;
    }
    shared.metrics.connections.dec();
}

async fn route(worker: &Arc<Worker>, routes: Routes, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path();
    if routes != Routes::Admin && path == "/mcp" {
        return endpoint::serve(worker, request).await;
    }
    if routes != Routes::Mcp
        && let Some(response) = admin::serve(&worker.shared, request.method(), path)
    {
        return response;
    }
    if routes != Routes::Admin && path == approve::PRESS_PATH {
        return approve::serve_press(&worker.shared, request).await;
    }
    if routes != Routes::Admin && well_known::owns(path) {
        return well_known::serve(worker, request).await;
    }
    answer::closing(answer::json(
        StatusCode::NOT_FOUND,
        json!({"error": "no such path"}).to_string().into_bytes(),
    ))
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        None,
    )?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    let bound = socket
        .bind(&address.into())
        .and_then(|()| socket.listen(1024));
    bound.map_err(|error| {
        std::io::Error::new(
            error.kind(),
            format!("failed to listen on {address}: {error}"),
        )
    })?;
    Ok(socket.into())
}
