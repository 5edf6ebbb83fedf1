//! Reads a streamed answer as it arrives, event by event or chunk by chunk.
//!
//! Returns comments as events too, so that tests can check keep-alives.

use std::io;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use serde_json::Value;

use super::connection::{Connection, within};

/// An answer whose body is read as it arrives. Dropping it closes the connection.
#[derive(Debug)]
pub struct EventStream {
    /// HTTP status.
    pub status: u16,
    /// Headers, including repeated ones.
    pub headers: HeaderMap,
    body: Incoming,
    pending: BytesMut,
    /// Keeps the connection open until the stream is dropped.
    _connection: Connection,
}

/// One event, or one block of comments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SseEvent {
    /// The `event:` field.
    pub event: Option<String>,
    /// The `id:` field.
    pub id: Option<String>,
    /// The `data:` lines, joined by line feeds.
    pub data: String,
    /// The comment lines, without their colons.
    pub comments: Vec<String>,
    /// The bytes as received, including the blank line.
    pub raw: Bytes,
}

impl SseEvent {
    /// The data as JSON; `Null` if it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or(Value::Null)
    }

    fn parse(raw: Bytes) -> Self {
        let text = String::from_utf8_lossy(&raw).into_owned();
        let mut event = Self {
            raw,
            ..Self::default()
        };
        let mut data = Vec::new();
        for line in text.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            match field {
                // A line that begins with a colon is a comment.
                "" if !line.is_empty() => event.comments.push(value),
                "event" => event.event = Some(value),
                "id" => event.id = Some(value),
                "data" => data.push(value),
                _ => {}
            }
        }
        event.data = data.join("\n");
        event
    }
}

impl EventStream {
    pub(super) fn new(connection: Connection, response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            pending: BytesMut::new(),
            _connection: connection,
        }
    }

    /// The next event or block of comments; `None` at the end of the body.
    ///
    /// # Errors
    /// The connection broke, the body ended in an event, or nothing arrived for ten seconds.
    pub async fn next_event(&mut self) -> io::Result<Option<SseEvent>> {
        loop {
            if let Some(length) = length_of_first_event(&self.pending) {
                let raw = self.pending.split_to(length).freeze();
                return Ok(Some(SseEvent::parse(raw)));
            }
            match self.next_chunk().await? {
                Some(chunk) => self.pending.extend_from_slice(&chunk),
                None if self.pending.is_empty() => return Ok(None),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    /// The next event with data; comments are skipped.
    ///
    /// # Errors
    /// As for [`next_event`](Self::next_event), and at the end of the body.
    pub async fn next_data(&mut self) -> io::Result<SseEvent> {
        loop {
            let event = self.next_event().await?;
            let event = event.ok_or(io::ErrorKind::UnexpectedEof)?;
            if !event.data.is_empty() {
                return Ok(event);
            }
        }
    }

    /// The next piece of the body as received; `None` at its end.
    ///
    /// # Errors
    /// The connection broke, or nothing arrived for ten seconds.
    pub async fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let frame = within(async {
                self.body
                    .frame()
                    .await
                    .transpose()
                    .map_err(io::Error::other)
            });
            match frame.await? {
                None => return Ok(None),
                Some(frame) => {
                    // Trailers are skipped.
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The rest of the body.
    ///
    /// # Errors
    /// As for [`next_chunk`](Self::next_chunk).
    pub async fn rest(&mut self) -> io::Result<Bytes> {
        while let Some(chunk) = self.next_chunk().await? {
            self.pending.extend_from_slice(&chunk);
        }
        Ok(self.pending.split().freeze())
    }
}

/// Whether an answer with these headers is a stream of events.
pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE);
    content_type.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// Length of the first event with its blank line; lines end with LF, CR LF or CR.
fn length_of_first_event(bytes: &[u8]) -> Option<usize> {
    ["\n\n", "\r\n\r\n", "\r\r"]
        .iter()
        .filter_map(|end| {
            let at = bytes
                .windows(end.len())
                .position(|window| window == end.as_bytes())?;
            Some(at + end.len())
        })
        // Each kind of line end is searched by itself; the first that occurs ends the event.
        .min()
}
