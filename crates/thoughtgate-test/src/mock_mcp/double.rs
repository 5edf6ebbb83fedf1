//! One MCP double as its routes see it: shared state, timer, and the counter of session ids.
//!
//! Tracks no session; it only issues each id once. The routes are in `endpoint`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::Response;

use super::envelope::MODERN_VERSION;
use super::record::Record;
use super::response::{empty, event_stream};
use super::shared::Shared;
use super::stream;
use crate::body::Answer;
use crate::timer::Timer;

/// The request handler of one double.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) shared: Arc<Shared>,
    pub(super) timer: Timer,
    sessions: AtomicU64,
}

impl Endpoint {
    /// Must be called in the runtime that serves the double.
    pub(super) fn new(shared: Arc<Shared>) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            shared,
            timer: Timer::new()?,
            sessions: AtomicU64::new(0),
        }))
    }

    pub(super) fn record(&self) -> &Record {
        &self.shared.record
    }

    /// A session id that was not issued before.
    pub(super) fn new_session(&self) -> HeaderValue {
        let number = self.sessions.fetch_add(1, Ordering::Relaxed) + 1;
        HeaderValue::try_from(format!("session-{number}")).expect("ASCII is a header value")
    }

    /// The legacy stream for messages that the server sends on its own.
    pub(super) fn get(&self, headers: &HeaderMap) -> Response<Answer> {
        let version = headers.get("mcp-protocol-version");
        // The stateless protocol has no stream by GET: `subscriptions/listen` takes its place.
        if version.is_some_and(|version| version.as_bytes() >= MODERN_VERSION.as_bytes()) {
            return empty(StatusCode::METHOD_NOT_ALLOWED);
        }
        let first = Bytes::from_static(b": open\n\n");
        let setting = self.shared.setting();
        let pushed = self.shared.pushed.subscribe();
        event_stream(stream::endless(
            &setting,
            pushed,
            first,
            self.record().open_stream(),
        ))
    }
}
