//! A server's life: binds, starts the workers, serves each connection, drains.
//!
//! Each worker is one thread with a current-thread runtime and an upstream pool of its own, so that
//! a request never crosses threads. How connections come to them is told in [`crate::accept`].

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use thoughtgate_panic::{Panicked, contained};
use tokio::net::TcpStream;

use crate::accept::{self, Handoff, Open};
use crate::body::Body;
use crate::drain::drain;
use crate::endpoint::{self, Worker};
use crate::head_timer::HeadTimer;
use crate::slots::{Busy, Slot};
use crate::state::{Bringing, Shared};
use crate::upstream::Pool;
use crate::{admin, answer, approve, contained, probe, sockets, well_known};

/// Of each direction of a connection, so with a thousand of them what memory they take at least. A
/// head must fit, else it is answered 431; Node's servers, which many MCP servers are, stop at the same.
const BUFFER_BYTES_MAX: usize = 16 * 1024;
/// For the head of a request beyond `limits.connections`.
const SPARE_HEAD_TIMEOUT: Duration = Duration::from_secs(1);

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
pub enum Routes {
    /// All of them.
    All,
    /// All but the admin routes, which have their own address.
    Mcp,
    /// The admin routes.
    Admin,
}

impl Server {
    /// Binds the sockets of the settings. The error names the address.
    pub fn bind(shared: Arc<Shared>) -> std::io::Result<Server> {
        let main = sockets::listen(shared.settings.listen)?;
        let admin = shared
            .settings
            .admin_listen
            .map(sockets::listen)
            .transpose()?;
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
        let workers = (0..shared.settings.workers.max(1))
            .map(|index| Handoff::start(index, &shared, main_routes))
            .collect::<std::io::Result<Vec<_>>>()?;
        let probing = tokio::spawn(probe::run(Arc::clone(&shared)));
        // Approved calls of clients that did not wait are made here, off the workers.
        let making = tokio::spawn(approve::run_deferred(worker(&shared)));
        let admin_serving =
            admin.map(|listener| tokio::spawn(accept::admin(Arc::clone(&shared), listener)));
        {
            let accepting = pin!(accept::clients(&shared, main, main_routes, &workers));
            let stop = pin!(stop);
            tokio::select! {
                ended = accepting => ended?,
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
        for worker in workers {
            worker.end().await;
        }
        Ok(Drained { cut_off })
    }
}

/// What one thread serves requests with.
pub fn worker(shared: &Arc<Shared>) -> Arc<Worker> {
    let pool = Pool::new(
        shared.settings.upstream.clone(),
        shared.settings.connect_timeout,
        Arc::clone(&shared.abandoned),
    );
    Arc::new(Worker {
        shared: Arc::clone(shared),
        pool,
    })
}

/// A client's connection, and what counts it for as long as it is open.
pub struct Client {
    slot: Slot,
    /// It came when all places were taken, and is answered once.
    is_spare: bool,
    /// Until it has been told to bring no more requests.
    bringing: Option<Bringing>,
    _open: Open,
}

impl Client {
    /// A client whose requests are served.
    pub fn new(slot: Slot, bringing: Option<Bringing>, open: Open) -> Client {
        Client {
            slot,
            is_spare: false,
            bringing,
            _open: open,
        }
    }

    /// A client beyond `limits.connections`.
    pub fn spare(slot: Slot, open: Open) -> Client {
        Client {
            slot,
            is_spare: true,
            bringing: None,
            _open: open,
        }
    }
}

/// Serves a connection, on the current runtime.
pub fn connection(worker: &Arc<Worker>, stream: TcpStream, routes: Routes, client: Client) {
    let place = client.slot.place();
    let work = serve(Arc::clone(worker), stream, routes, client);
    place.held_by(contained::spawn(work));
}

async fn serve(worker: Arc<Worker>, stream: TcpStream, routes: Routes, mut client: Client) {
    let shared = &worker.shared;
    let bringing = client.bringing.take();
    let (worker, slot, is_spare) = (&worker, &client.slot, client.is_spare);
    let service = service_fn(move |request| async move {
        let response = match slot.begin() {
            Some(busy) if is_spare => {
                full(shared, routes, &request).map(|body| body.occupying(busy))
            }
            Some(busy) => {
                let mut message = Bytes::new();
                // A panic ends its own request, which is refused; the process goes on.
                let answer = {
                    let answering = pin!(route(worker, routes, request, &busy, &mut message));
                    contained(answering).await
                };
                answer
                    .unwrap_or_else(|Panicked| answer::broken(&message))
                    .map(|body| body.occupying(busy))
            }
            None => no_place(shared),
        };
        Ok::<_, Infallible>(response)
    });
    let head_timeout = if is_spare {
        SPARE_HEAD_TIMEOUT
    } else {
        shared.settings.head_timeout
    };
    let mut connection = http1::Builder::new()
        .timer(HeadTimer::new())
        .header_read_timeout(head_timeout)
        .keep_alive(!is_spare)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut draining = shared.draining();
    let asked_to_stop = async move {
        let _ = draining.wait_for(|draining| *draining).await;
    };
    // An error here is the client's: it went away or spoke no HTTP, and hyper has answered that.
    let ended = tokio::select! {
        biased;
        ended = &mut connection => ended,
        () = asked_to_stop => {
            if routes != Routes::Admin {
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
            drop(bringing);
            (&mut connection).await
        }
    };
    if !ended.is_err_and(|error| error.is_timeout()) {
        drain(&mut connection.into_parts().io.into_inner()).await;
    }
}

/// Answers a request beyond `limits.connections`, if it asks about the proxy; refuses it otherwise.
fn full(shared: &Shared, routes: Routes, request: &Request<Incoming>) -> Response<Body> {
    let about = (routes != Routes::Mcp)
        .then(|| admin::serve(shared, request.method(), request.uri().path()))
        .flatten();
    about.map_or_else(|| no_place(shared), answer::closing)
}

fn no_place(shared: &Shared) -> Response<Body> {
    shared
        .metrics
        .refused(StatusCode::SERVICE_UNAVAILABLE.as_u16());
    let text = "all connections (`limits.connections`) are in use; retry later";
    answer::closing(answer::busy(&[], false, text))
}

/// `message` becomes the request's body once that has been read.
async fn route(
    worker: &Arc<Worker>,
    routes: Routes,
    request: Request<Incoming>,
    busy: &Busy,
    message: &mut Bytes,
) -> Response<Body> {
    let path = request.uri().path();
    if routes != Routes::Admin && path == "/mcp" {
        return endpoint::serve(worker, request, busy, message).await;
    }
    if routes != Routes::Mcp
        && let Some(response) = admin::serve(&worker.shared, request.method(), path)
    {
        return response;
    }
    if routes != Routes::Admin && path == approve::PRESS_PATH {
        return Box::pin(approve::serve_press(&worker.shared, request)).await;
    }
    if routes != Routes::Admin && well_known::owns(path) {
        return Box::pin(well_known::serve(worker, request)).await;
    }
    answer::closing(answer::json(
        StatusCode::NOT_FOUND,
        json!({"error": "no such path"}).to_string().into_bytes(),
    ))
}

#[cfg(test)]
mod tests;
