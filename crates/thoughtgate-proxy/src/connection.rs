//! One client connection: serves its requests by their paths, and closes it when the process stops.
//!
//! Accepts no connection and selects no thread: [`crate::accept`] does both.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prometheus_client::metrics::gauge::Gauge;
use thoughtgate_panic::{Panicked, contained};
use tokio::net::TcpStream;

use crate::body::Body;
use crate::drain::OpenConnection;
use crate::half_closed::Stream;
use crate::head_timer::HeadTimer;
use crate::headers::FORWARDED_FOR;
use crate::linger::linger;
use crate::problem::{Elsewhere, Problem};
use crate::routes::Routes;
use crate::slots::{Busy, Slot};
use crate::state::Shared;
use crate::trusted::FromTrusted;
use crate::worker::Worker;
use crate::{admin, answer, approve, contained, cors, endpoint, well_known};

/// Buffer limit of each direction of a client connection. A thousand connections need this much each,
/// so it is small. A request head must fit in it, or the answer is 431; Node.js, which many MCP servers
/// run on, has the same limit.
const BUFFER_BYTES_MAX: usize = 16 * 1024;
/// Time limit for a request head on a connection beyond `limits.connections`. Short, because there are
/// only `SPARE_MAX` of these.
const SPARE_HEAD_TIMEOUT: Duration = Duration::from_secs(1);

/// Bookkeeping of an open client connection: its place, and what counts it until it is dropped.
pub struct Client {
    slot: Slot,
    /// It was accepted while all places were taken, and gets one answer.
    is_spare: bool,
    /// Counts it as able to bring requests, until it is told to close. `None` for admin and spare ones.
    open: Option<OpenConnection>,
    _counted: Counted,
}

/// An open connection, counted for its worker and in total until dropped.
pub struct Counted {
    of_worker: Arc<AtomicUsize>,
    of_all: Gauge,
}

impl Client {
    pub fn new(slot: Slot, open: Option<OpenConnection>, counted: Counted) -> Client {
        Client {
            slot,
            is_spare: false,
            open,
            _counted: counted,
        }
    }

    /// A client beyond `limits.connections`.
    pub fn spare(slot: Slot, counted: Counted) -> Client {
        Client {
            slot,
            is_spare: true,
            open: None,
            _counted: counted,
        }
    }
}

impl Counted {
    pub fn count(of_worker: &Arc<AtomicUsize>, shared: &Shared) -> Counted {
        of_worker.fetch_add(1, Ordering::Relaxed);
        shared.metrics.connections.inc();
        Counted {
            of_worker: Arc::clone(of_worker),
            of_all: shared.metrics.connections.clone(),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.of_worker.fetch_sub(1, Ordering::Relaxed);
        self.of_all.dec();
    }
}

/// Spawns a task on the current runtime that serves the connection.
pub fn spawn(worker: &Arc<Worker>, stream: TcpStream, routes: Routes, client: Client) {
    let place = client.slot.place();
    let work = serve(Arc::clone(worker), stream, routes, client);
    place.held_by(contained::spawn(work));
}

async fn serve(worker: Arc<Worker>, stream: TcpStream, routes: Routes, mut client: Client) {
    let shared = &worker.shared;
    let open = client.open.take();
    let (worker, slot, is_spare) = (&worker, &client.slot, client.is_spare);
    let peer = stream.peer_addr().ok().map(|peer| peer.ip());
    let address = &address_of(peer);
    let is_trusted = peer.is_some_and(|peer| shared.settings.trusted_proxies.contain(peer));
    let service = service_fn(move |mut request: Request<Incoming>| async move {
        // On every answer, a refusal too: otherwise a page only learns that something failed.
        let page = cors::page(shared, request.headers());
        let response = match slot.begin() {
            Some(busy) if is_spare => {
                full(shared, routes, &request).map(|body| body.occupying(busy))
            }
            Some(busy) => {
                let mut message = Bytes::new();
                // Here, where the request is, and not handed on: each function would have to carry it.
                if is_trusted {
                    trust(&mut request, address);
                } else {
                    (request.headers_mut()).insert(&FORWARDED_FOR, address.clone());
                }
                // A panic ends only its own request, which is answered with 500.
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
        Ok::<_, Infallible>(match page {
            None => response,
            Some(origin) => cors::readable(response, origin),
        })
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
        .serve_connection(TokioIo::new(Stream::new(stream, slot.place())), service);
    let mut draining = shared.drain.watch();
    let asked_to_stop = async move {
        let _ = draining.wait_for(|draining| *draining).await;
    };
    // An error comes from the client, which disconnected or did not send HTTP; hyper has answered it.
    let ended = tokio::select! {
        biased;
        ended = &mut connection => ended,
        () = asked_to_stop => {
            if routes != Routes::Admin {
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
            drop(open);
            (&mut connection).await
        }
    };
    if !ended.is_err_and(|error| error.is_timeout()) {
        let stream = connection.into_parts().io.into_inner();
        linger(&mut stream.into_tcp()).await;
    }
}

/// The client's address for `X-Forwarded-For`, made once for all of its requests.
fn address_of(peer: Option<IpAddr>) -> HeaderValue {
    peer.and_then(|peer| HeaderValue::try_from(peer.to_canonical().to_string()).ok())
        // RFC 7239 §6.2. The client's own value must not stay in its place.
        .unwrap_or(HeaderValue::from_static("unknown"))
}

/// Marks a request of a trusted proxy, and adds the proxy to the addresses that the request came by.
#[cold]
fn trust(request: &mut Request<Incoming>, proxy: &HeaderValue) {
    request.extensions_mut().insert(FromTrusted);
    let headers = request.headers_mut();
    // In one field: some servers read only the first or the last.
    let before = headers.get_all(&FORWARDED_FOR).into_iter();
    let all: Vec<&[u8]> = before.chain([proxy]).map(HeaderValue::as_bytes).collect();
    let joined = HeaderValue::from_bytes(&all.join(&b", "[..]));
    let joined = joined.unwrap_or_else(|_| proxy.clone());
    headers.insert(&FORWARDED_FOR, joined);
}

/// Answers a request on a connection beyond `limits.connections`: admin routes as usual, others with 503.
fn full(shared: &Shared, routes: Routes, request: &Request<Incoming>) -> Response<Body> {
    let about = (routes != Routes::Mcp)
        .then(|| admin::serve(shared, request))
        .flatten();
    about.map_or_else(|| no_place(shared), answer::closing)
}

fn no_place(shared: &Shared) -> Response<Body> {
    answer::problem(shared, &Problem::NoPlace, None)
}

/// Answers one request by its path. `message` is set to the request's body once that has been read: the
/// answer to a panic needs its id.
async fn route(
    worker: &Arc<Worker>,
    routes: Routes,
    request: Request<Incoming>,
    busy: &Busy,
    message: &mut Bytes,
) -> Response<Body> {
    let path = request.uri().path();
    if routes.is_endpoint(path) {
        return endpoint::serve(worker, request, busy, message).await;
    }
    if routes != Routes::Mcp
        && let Some(response) = admin::serve(&worker.shared, &request)
    {
        return response;
    }
    if routes != Routes::Admin && path == approve::PRESS_PATH {
        return Box::pin(approve::serve_press(&worker.shared, request)).await;
    }
    if routes != Routes::Admin && well_known::owns(path) {
        return Box::pin(well_known::serve(worker, request, busy)).await;
    }
    let problem = Problem::Elsewhere(Elsewhere::NoPath(routes));
    answer::problem(&worker.shared, &problem, None)
}
