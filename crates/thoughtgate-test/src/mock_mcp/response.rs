//! Builders for the MCP double's HTTP responses: JSON, an event stream, an empty body; and for one
//! event.
//!
//! Chooses no answer: `endpoint` and `exchange` do.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use hyper::Response;

use crate::body::Answer;

pub(super) const SESSION_HEADER: &str = "mcp-session-id";
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");

pub(super) fn empty(status: StatusCode) -> Response<Answer> {
    let mut response = Response::new(Answer::whole(Bytes::new()));
    *response.status_mut() = status;
    response
}

pub(super) fn json(status: StatusCode, answer: Answer) -> Response<Answer> {
    let mut response = Response::new(answer);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

pub(super) fn event_stream(answer: Answer) -> Response<Answer> {
    let mut response = Response::new(answer);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, EVENT_STREAM);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // MCP 2026-07-28 asks servers for it: it keeps an nginx on the way from buffering the events.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// An SSE event with `data`, which must be a single line.
pub(super) fn event(data: &[u8]) -> Bytes {
    [b"event: message\ndata: ", data, b"\n\n"].concat().into()
}
