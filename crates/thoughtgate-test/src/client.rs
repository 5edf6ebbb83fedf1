//! A small HTTP/1.1 client for tests: plain requests, connections that are kept, event streams
//! that can be left at any moment, and (in [`raw`]) bytes that are no HTTP at all.
//!
//! Follows no redirect, retries nothing, speaks no TLS. Every wait ends after ten seconds.

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

pub mod raw;
pub mod sse;

pub use raw::RawConnection;
pub use sse::{EventStream, SseEvent};

/// How long any one wait of this module lasts at most.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Headers, repetitions kept.
    pub headers: HeaderMap,
    /// The body, chunks joined.
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

    /// The body as text, what is not UTF-8 replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none: the message shows status and body.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}) in {}: {}", self.status, self.text()))
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
            // Whoever waits for an answer is told of a failure by the answer.
            let _ = connection.await;
        });
        Ok(Self { authority, sender })
    }

    /// Sends a request and reads the whole answer.
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

    async fn start(
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

/// Sends one request on a connection of its own.
pub async fn request(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> io::Result<Response> {
    let path = parse(url)?.1;
    let mut connection = Connection::open(url).await?;
    connection.send(method, &path, headers, body).await
}

/// GET on a connection of its own.
pub async fn get(url: &str, headers: &[(&str, &str)]) -> io::Result<Response> {
    request(Method::GET, url, headers, Bytes::new()).await
}

/// POST of JSON as an MCP client sends it: `Content-Type` and `Accept` are added unless given.
pub async fn post_json(
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> io::Result<Response> {
    request(Method::POST, url, &with_mcp_headers(headers), body).await
}

/// Like [`post_json`], but returns with the head of the answer; the body is read as it comes.
/// Dropping the stream closes the connection.
pub async fn post_stream(
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> io::Result<EventStream> {
    let headers = with_mcp_headers(headers);
    open_stream(Method::POST, url, &headers, body.into()).await
}

/// GET of an event stream. Dropping the stream closes the connection.
pub async fn get_stream(url: &str, headers: &[(&str, &str)]) -> io::Result<EventStream> {
    let mut headers = headers.to_vec();
    headers.push(("accept", "text/event-stream"));
    open_stream(Method::GET, url, &headers, Bytes::new()).await
}

async fn open_stream(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> io::Result<EventStream> {
    let path = parse(url)?.1;
    let mut connection = Connection::open(url).await?;
    let response = connection.start(method, &path, headers, body).await?;
    Ok(EventStream::new(connection, response))
}

fn with_mcp_headers<'a>(headers: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = headers.to_vec();
    for (name, value) in [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ] {
        if !headers
            .iter()
            .any(|(given, _)| given.eq_ignore_ascii_case(name))
        {
            all.push((name, value));
        }
    }
    all
}

/// Authority and path of an `http://` URL.
pub(crate) fn parse(url: &str) -> io::Result<(String, String)> {
    let uri: Uri = url.parse().map_err(invalid)?;
    let authority = match (uri.scheme_str(), uri.authority()) {
        (Some("http"), Some(authority)) if authority.port_u16().is_some() => authority.to_string(),
        _ => return Err(invalid(format!("`{url}` is no `http://host:port/path`"))),
    };
    let path = uri
        .path_and_query()
        .map_or_else(|| "/".to_owned(), ToString::to_string);
    Ok((authority, path))
}

/// A connection with `TCP_NODELAY`, so that a test sees bytes when they are sent.
pub(crate) async fn connect(authority: &str) -> io::Result<TcpStream> {
    let stream = within(TcpStream::connect(authority)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// `work`, or an error when it takes longer than [`PATIENCE`].
pub(crate) async fn within<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

pub(crate) fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}
