//! The one MCP server behind the proxy: its address and a worker's pool of connections to it.
//!
//! A pool belongs to one worker. A request is repeated only when hyper returns it unsent, or when the server
//! asks for it at another address of its origin, so that no call is executed twice. Other redirects are not
//! followed, cookies not kept, bodies not examined.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::abandoned::Abandoned;
use crate::contained;

pub use error::{UpstreamError, advice};
pub use location::follow;
pub use moved::Moved;
pub use redirect::Redirect;
pub use target::{BadTarget, Target};

use framing::framing;

mod connect;
mod error;
mod framing;
mod location;
mod moved;
mod query;
mod redirect;
mod target;

/// Time after which an idle connection is closed. Shorter than the keep-alive of common MCP servers (5 s),
/// so that no request is sent on a connection that the server is just closing.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// Limit of idle connections per worker; further ones are closed.
const IDLE_COUNT_MAX: usize = 64;
/// Buffer limit of each direction of a connection. A response that its client does not read fills this,
/// and some frames of this size, but no more. A response head must fit in it.
const BUFFER_BYTES_MAX: usize = 16 * 1024;
/// Interval at which idle connections are checked.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Number of requests in a row that were answered where they were sent, after which no copy of a request is
/// kept for a redirect.
const DIRECT: u8 = 16;

type Sender = SendRequest<Full<Bytes>>;

/// Opens a connection to `target`; `at_most` limits TCP, and TLS again.
pub async fn open(target: &Target, at_most: Duration) -> Result<Sender, UpstreamError> {
    let stream = target.connect(at_most).await?;
    let Some((tls, host)) = target.tls() else {
        return handshake(stream).await;
    };
    let name = rustls::pki_types::ServerName::try_from(host.to_owned())
        .map_err(|error| UpstreamError::Connect(std::io::Error::other(error)))?;
    let stream = tokio::time::timeout(at_most, tls.connect(name, stream))
        .await
        .map_err(|_| UpstreamError::ConnectTimeout(at_most))?
        .map_err(UpstreamError::Connect)?;
    handshake(stream).await
}

async fn handshake<S>(stream: S) -> Result<Sender, UpstreamError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(BUFFER_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(UpstreamError::Exchange)?;
    // An error of the connection is also reported to the caller that awaits the sender.
    contained::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// A worker's idle connections, last used first.
pub struct Pool {
    target: Target,
    connect_timeout: Duration,
    abandoned: Arc<Abandoned>,
    moved: Arc<Moved>,
    idle: Mutex<Vec<(Sender, Instant)>>,
    /// Number of POST requests in a row that were not redirected; counted up to [`DIRECT`].
    direct: AtomicU8,
}

impl Pool {
    /// An empty pool; connections are opened when requests need them.
    #[must_use]
    pub fn new(
        target: Target,
        connect_timeout: Duration,
        abandoned: Arc<Abandoned>,
        moved: Arc<Moved>,
    ) -> Arc<Pool> {
        Arc::new(Pool {
            target,
            connect_timeout,
            abandoned,
            moved,
            idle: Mutex::new(Vec::new()),
            direct: AtomicU8::new(0),
        })
    }

    /// Whether [`Pool::send`] suffices for a request of this method: usually no upstream redirects, and a copy
    /// of each request would cost more than all else here.
    #[must_use]
    pub fn is_direct(&self, method: &Method) -> bool {
        *method == Method::POST && self.direct.load(Ordering::Relaxed) >= DIRECT
    }

    /// Like [`Pool::send`], but follows redirects within the upstream's origin, the first time or where the
    /// endpoint has not moved for good.
    #[cold]
    pub async fn send_following(
        self: &Arc<Self>,
        mut request: Box<Request<Full<Bytes>>>,
    ) -> Result<(Response<Incoming>, Lease), UpstreamError> {
        let mut followed = 0;
        let endpoint = self.target.path(None);
        let is_endpoint = request.uri().path_and_query() == Some(&endpoint);
        let moved = self.moved.path().filter(|_| is_endpoint);
        let has_moved = moved.is_some();
        if let Some(path) = moved {
            *request.uri_mut() = Uri::from(path);
        }
        loop {
            let sent = Box::pin(self.send(request.clone())).await;
            let redirect = match sent {
                Err(UpstreamError::Moved(redirect)) => redirect,
                Ok((response, lease)) => {
                    if has_moved {
                        self.moved.answered(response.status());
                    } else if followed == 0 && *request.method() == Method::POST {
                        let counted = self.direct.load(Ordering::Relaxed).saturating_add(1);
                        self.direct.store(counted, Ordering::Relaxed);
                    }
                    return Ok((response, lease));
                }
                Err(error) => return Err(error),
            };
            let from = (request.uri(), request.headers());
            let path = follow(redirect, followed, &self.target, from)?;
            followed += 1;
            *request.uri_mut() = Uri::from(path);
        }
    }

    /// Sends one request and returns its response head with the lease of its connection.
    ///
    /// Dropping the future, the response or the lease before the body's end closes the connection,
    /// which is how a cancellation reaches the upstream.
    pub async fn send(
        self: &Arc<Self>,
        mut request: Box<Request<Full<Bytes>>>,
    ) -> Result<(Response<Incoming>, Lease), UpstreamError> {
        loop {
            let (mut sender, fresh) = if let Some(sender) = self.take_idle() {
                (sender, false)
            } else {
                // Boxed, like all that few requests await: otherwise every request's future has room
                // for it, which is moved along.
                let opening = Box::pin(open(&self.target, self.connect_timeout));
                (opening.await?, true)
            };
            if let Err(error) = sender.ready().await {
                if fresh {
                    return Err(UpstreamError::Exchange(error));
                }
                continue;
            }
            match sender.try_send_request(*request).await {
                Ok(mut response) => {
                    let is_clean = framing(&mut response).map_err(UpstreamError::Framing)?;
                    let lease = Lease {
                        pool: Arc::clone(self),
                        sender,
                        is_clean,
                    };
                    if Redirect::is_one(&response) {
                        return Err(redirected(&response, lease));
                    }
                    return Ok((response, lease));
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !fresh => *request = unsent,
                    _ => return Err(UpstreamError::Exchange(error.into_error())),
                },
            }
        }
    }

    /// Closes connections that have been idle for too long, as long as the worker lives.
    ///
    /// This also keeps a near deadline in the worker's timer. Without one, the deadline of each request's
    /// head would be the nearest, and setting it costs a system call to wake a thread that is awake.
    pub async fn upkeep(self: Arc<Self>) {
        loop {
            tokio::time::sleep(UPKEEP_INTERVAL).await;
            self.idle()
                .retain(|(sender, since)| since.elapsed() <= IDLE_MAX && !sender.is_closed());
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Sender, Instant)>> {
        // Poison is ignored: a panic leaves a shorter list of connections, each of which is checked again.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_idle(&self) -> Option<Sender> {
        let mut idle = self.idle();
        while let Some((sender, since)) = idle.pop() {
            if since.elapsed() > IDLE_MAX {
                // The connections below it have been idle even longer.
                idle.clear();
                return None;
            }
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    fn put_idle(&self, sender: Sender) {
        let mut idle = self.idle();
        if idle.len() < IDLE_COUNT_MAX && !sender.is_closed() {
            idle.push((sender, Instant::now()));
        }
    }
}

/// The error for a redirect; the connection that it arrived on is given back.
#[cold]
fn redirected(response: &Response<Incoming>, lease: Lease) -> UpstreamError {
    lease.pool.direct.store(0, Ordering::Relaxed);
    let path = lease.pool.target.path(None);
    if http_body::Body::is_end_stream(response.body()) {
        lease.release();
    }
    let redirect = Box::new(Redirect::of(response).hiding(path.path()));
    if redirect.repeats() {
        UpstreamError::Moved(redirect)
    } else {
        UpstreamError::Redirected(redirect)
    }
}

/// A connection that is in use; given back once the response body has been read to its end.
pub struct Lease {
    pool: Arc<Pool>,
    sender: Sender,
    /// Nothing can be left on the connection that would be read as the next answer.
    is_clean: bool,
}

impl Lease {
    /// The calls among which its exchange continues if the client disconnects.
    #[must_use]
    pub fn abandoned(&self) -> &Arc<Abandoned> {
        &self.pool.abandoned
    }

    /// Returns the connection for the next request.
    pub fn release(self) {
        if self.is_clean {
            self.pool.put_idle(self.sender);
        }
    }
}
