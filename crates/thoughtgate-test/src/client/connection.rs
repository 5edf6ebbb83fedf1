//! A keep-alive connection, and the helpers that the whole client shares: deadline, URLs, errors.
//!
//! Follows no redirect and retries nothing.

use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Deadline of each wait of the client.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A complete answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Headers, including repeated ones.
    pub headers: HeaderMap,
    /// The body, with chunks joined.
    pub body: Bytes,
}

/// A connection that is kept between requests.
#[derive(Debug)]
pub struct Connection {
    authority: String,
    sender: SendRequest<Full<Bytes>>,
}

impl Response {
    /// The first value of a header as text, if there is one.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text; invalid UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// The body is not JSON; the message shows status and body.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}), {}: {}", self.status, self.text()))
    }
}

impl Connection {
    /// Connects to the host and port of `url` (`http://127.0.0.1:4711/…`).
    pub async fn open(url: &str) -> io::Result<Self> {
        let authority = parse(url)?.0;
        let stream = connect(&authority).await?;
        let handshake = http1::handshake(TokioIo::new(stream));
        let (sender, connection) =
            within(async { handshake.await.map_err(io::Error::other) }).await?;
        tokio::spawn(async move {
            // An error is ignored: the request that waits for an answer gets one too.
            let _ = connection.await;
        });
        Ok(Self { authority, sender })
    }

    /// Sends a request and reads the complete answer.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> io::Result<Response> {
        let response = self.start(method, path, headers, body.into()).await?;
        let (head, body) = response.into_parts();
        let body = within(async { body.collect().await.map_err(io::Error::other) }).await?;
        Ok(Response {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.to_bytes(),
        })
    }

    /// Sends a request and returns as soon as the head of the answer has arrived.
    pub(super) async fn start(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> io::Result<hyper::Response<Incoming>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(invalid)?;
        let all = request.headers_mut();
        all.insert(header::HOST, self.authority.parse().map_err(invalid)?);
        for (name, value) in headers {
            let name: header::HeaderName = name.parse().map_err(invalid)?;
            let value: header::HeaderValue = value.parse().map_err(invalid)?;
            // A given Host replaces the one from above; other headers may be repeated.
            if name == header::HOST {
                all.insert(name, value);
            } else {
                all.append(name, value);
            }
        }
        within(async {
            self.sender.ready().await.map_err(io::Error::other)?;
            let answer = self.sender.send_request(request);
            answer.await.map_err(io::Error::other)
        })
        .await
    }
}

/// Authority and path of an `http://` URL.
pub(crate) fn parse(url: &str) -> io::Result<(String, String)> {
    let uri: Uri = url.parse().map_err(invalid)?;
    let authority = match (uri.scheme_str(), uri.authority()) {
        (Some("http"), Some(authority)) if authority.port_u16().is_some() => authority.to_string(),
        _ => {
            return Err(invalid(format!(
                "`{url}` must have the form `http://host:port/path`"
            )));
        }
    };
    let path = uri
        .path_and_query()
        .map_or_else(|| "/".to_owned(), ToString::to_string);
    Ok((authority, path))
}

/// A connection with `TCP_NODELAY`, so that a test sees bytes when they are sent.
pub(super) async fn connect(authority: &str) -> io::Result<TcpStream> {
    let stream = within(TcpStream::connect(authority)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The result of `work`, or `TimedOut` after [`PATIENCE`].
pub(super) async fn within<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

pub(super) fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}
