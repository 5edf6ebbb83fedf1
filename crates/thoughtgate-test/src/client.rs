//! A small HTTP/1.1 client for tests: single requests, keep-alive connections, event streams that can
//! be dropped at any moment, and (in [`raw`]) arbitrary bytes.
//!
//! Follows no redirect, retries nothing, has no TLS. Every wait ends after ten seconds.

use std::io;

use bytes::Bytes;
use http::Method;

mod connection;
pub mod raw;
pub mod sse;

pub(crate) use connection::parse;
pub use connection::{Connection, PATIENCE, Response};
pub use raw::RawConnection;
pub use sse::{EventStream, SseEvent};

/// Sends one request on a new connection.
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

/// Sends a GET on a new connection.
pub async fn get(url: &str, headers: &[(&str, &str)]) -> io::Result<Response> {
    request(Method::GET, url, headers, Bytes::new()).await
}

/// Sends a POST of JSON as an MCP client does: `Content-Type` and `Accept` are added unless given.
pub async fn post_json(
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> io::Result<Response> {
    request(Method::POST, url, &with_mcp_headers(headers), body).await
}

/// Like [`post_json`], but returns as soon as the head of the answer has arrived. Dropping the stream
/// closes the connection.
pub async fn post_stream(
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> io::Result<EventStream> {
    let headers = with_mcp_headers(headers);
    open_stream(Method::POST, url, &headers, body.into()).await
}

/// Sends a GET for an event stream. Dropping the stream closes the connection.
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
    // MCP requires clients to accept both an object and a stream as the answer to a POST.
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
