//! The one MCP server behind the proxy: its address and a worker's pool of connections to it.
//!
//! A pool belongs to one worker. A request is retried only when hyper returns it unsent, so that no call
//! is executed twice. Redirects are not followed, cookies not kept, bodies not examined.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::abandoned::Abandoned;
use crate::contained;
use crate::headers::sole;
use crate::sockets::notice_dead_peers;

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

/// The address of an MCP endpoint, parsed once.
#[derive(Clone)]
pub struct Target {
    host: String,
    port: u16,
    host_header: HeaderValue,
    path: PathAndQuery,
    tls: Option<TlsConnector>,
}

/// Reason why an upstream URL cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadTarget {
    /// Not `http` or `https`.
    #[error("the URL must start with http:// or https://")]
    Scheme,
    /// No host, or user info in it.
    #[error("the URL must name a host, without user or password")]
    Host,
    /// A query, which cannot be joined with a client's.
    #[error("the URL must have no query")]
    Query,
    /// The system's certificates could not be loaded.
    #[error("no usable CA certificates on this system (set SSL_CERT_FILE to a CA bundle)")]
    Certificates,
    /// The TLS library refused its own configuration.
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
}

/// Reason why a request got no response head.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Nothing listens at the address, or TLS failed.
    #[error("cannot connect to the upstream")]
    Connect(#[source] std::io::Error),
    /// No connection within the deadline.
    #[error("connecting to the upstream took longer than {0:?}")]
    ConnectTimeout(Duration),
    /// The exchange broke after bytes were written; it is not repeated.
    #[error("the exchange with the upstream failed")]
    Exchange(#[source] hyper::Error),
    /// The request was sent, but it is ambiguous where the body of its answer ends.
    #[error("the upstream's answer cannot be passed on: {0}")]
    Framing(&'static str),
}

impl Target {
    /// Parses `url`; the system's CA certificates are loaded only for `https`.
    pub fn new(url: &Uri) -> Result<Target, BadTarget> {
        let https = match url.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            _ => return Err(BadTarget::Scheme),
        };
        let authority = url.authority().ok_or(BadTarget::Host)?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(BadTarget::Host);
        }
        if url.query().is_some() {
            return Err(BadTarget::Query);
        }
        let tls = if https { Some(tls_connector()?) } else { None };
        Ok(Target {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if https { 443 } else { 80 }),
            host_header: host_header(authority),
            path: url
                .path_and_query()
                .cloned()
                .unwrap_or_else(|| PathAndQuery::from_static("/")),
            tls,
        })
    }

    /// The value of `Host` towards the upstream.
    #[must_use]
    pub fn host_header(&self) -> HeaderValue {
        self.host_header.clone()
    }

    /// The endpoint's path, with the client's query if it sent one.
    #[must_use]
    pub fn path(&self, query: Option<&str>) -> PathAndQuery {
        match query {
            None => self.path.clone(),
            Some(query) => format!("{}?{query}", self.path.path())
                .parse()
                .unwrap_or_else(|_| self.path.clone()),
        }
    }

    /// Opens a TCP connection within `at_most`, for a request or as a probe.
    pub async fn connect(&self, at_most: Duration) -> Result<TcpStream, UpstreamError> {
        let stream =
            tokio::time::timeout(at_most, TcpStream::connect((self.host.as_str(), self.port)))
                .await
                .map_err(|_| UpstreamError::ConnectTimeout(at_most))?
                .map_err(UpstreamError::Connect)?;
        stream
            .set_nodelay(true)
            .and_then(|()| notice_dead_peers(&SockRef::from(&stream)))
            .map_err(UpstreamError::Connect)?;
        Ok(stream)
    }

    async fn open(&self, at_most: Duration) -> Result<Sender, UpstreamError> {
        let stream = self.connect(at_most).await?;
        let Some(tls) = &self.tls else {
            return handshake(stream).await;
        };
        let name = rustls::pki_types::ServerName::try_from(self.host.clone())
            .map_err(|error| UpstreamError::Connect(std::io::Error::other(error)))?;
        let stream = tokio::time::timeout(at_most, tls.connect(name, stream))
            .await
            .map_err(|_| UpstreamError::ConnectTimeout(at_most))?
            .map_err(UpstreamError::Connect)?;
        handshake(stream).await
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The path is left out: hosted servers put tokens into it.
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        write!(formatter, "{scheme}://{}:{}", self.host, self.port)
    }
}

fn host_header(authority: &Authority) -> HeaderValue {
    HeaderValue::from_str(authority.as_str()).expect("an authority is visible ASCII")
}

fn tls_connector() -> Result<TlsConnector, BadTarget> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(BadTarget::Certificates);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(BadTarget::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

type Sender = SendRequest<Full<Bytes>>;

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
    idle: Mutex<Vec<(Sender, Instant)>>,
}

impl Pool {
    /// An empty pool; connections are opened when requests need them.
    #[must_use]
    pub fn new(target: Target, connect_timeout: Duration, abandoned: Arc<Abandoned>) -> Arc<Pool> {
        Arc::new(Pool {
            target,
            connect_timeout,
            abandoned,
            idle: Mutex::new(Vec::new()),
        })
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
                let opening = Box::pin(self.target.open(self.connect_timeout));
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

/// Makes the headers of an answer agree with its body as hyper reads it, so that no reader behind the
/// proxy finds a different end of it. Returns whether the connection can be used again (RFC 9112 §6.3).
fn framing<B: http_body::Body>(response: &mut Response<B>) -> Result<bool, &'static str> {
    if response.status().is_informational() {
        return Err("it switches protocols, which was not requested");
    }
    // The client is answered in its own HTTP version, whatever the upstream's is.
    *response.version_mut() = Version::HTTP_11;
    let is_bodiless = matches!(
        response.status(),
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    let exact = response.body().size_hint().exact();
    let headers = response.headers_mut();
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    if headers.contains_key(header::TRANSFER_ENCODING) {
        let coding = sole(headers, &header::TRANSFER_ENCODING);
        if !coding.is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return Err("its Transfer-Encoding is not exactly `chunked`");
        }
        headers.remove(header::CONTENT_LENGTH);
        return Ok(lengths == 0 && !is_bodiless);
    }
    if lengths == 0 {
        return Ok(true);
    }
    let length = sole(headers, &header::CONTENT_LENGTH);
    if is_bodiless {
        return Ok(length == Some("0"));
    }
    if length.is_none_or(|length| length.contains(','))
        && let Some(exact) = exact
    {
        headers.insert(header::CONTENT_LENGTH, exact.into());
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
