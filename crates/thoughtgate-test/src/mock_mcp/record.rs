//! Counters and received requests of the MCP double.
//!
//! Does not influence answers. Counts are exact; only a limited number of requests is kept.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::envelope::Params;

/// A request as it was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// Method, URI and headers.
    pub head: Parts,
    /// The complete body.
    pub body: Bytes,
}

impl Received {
    /// The first value of a header as text, if there is one.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON; `Null` if it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// The counters at one moment. Requests under `/control` are not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Requests whose head arrived, with any path, method or content, except for `probes`.
    pub requests: u64,
    /// Probes of a proxy's readiness, which are not counted as requests and not kept.
    #[serde(default)]
    pub probes: u64,
    /// `tools/call` requests that arrived completely.
    pub tool_calls: u64,
    /// Event streams that are open now.
    pub open_streams: u64,
    /// Requests whose client disconnected before the end of the answer. Endless streams (GET,
    /// `subscriptions/listen`) are not counted.
    pub cancelled: u64,
    /// Accepted connections, including those for `/control`.
    pub connections: u64,
    /// The last received request.
    pub last_request: Option<LastRequest>,
}

/// A received request, in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRequest {
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names (in lower case) and values, including repeated headers.
    pub headers: Vec<(String, String)>,
    /// The body as text; invalid UTF-8 is replaced.
    pub body: String,
}

/// The counters and the kept requests, shared by all connections.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) requests: AtomicU64,
    pub(super) probes: AtomicU64,
    pub(super) tool_calls: AtomicU64,
    pub(super) connections: AtomicU64,
    pub(super) cancelled: Arc<AtomicU64>,
    open_streams: Arc<AtomicU64>,
    received: Mutex<VecDeque<Received>>,
    kept_requests: usize,
    ledger: Option<File>,
}

/// One open event stream, until dropped.
pub(super) struct OpenStream(Arc<AtomicU64>);

impl Record {
    pub(super) fn new(kept_requests: usize, ledger: Option<&Path>) -> io::Result<Self> {
        let open = |path| OpenOptions::new().create(true).append(true).open(path);
        Ok(Self {
            kept_requests: kept_requests.max(1),
            ledger: ledger.map(open).transpose()?,
            ..Self::default()
        })
    }

    /// Counts a call of a tool, and appends it to the ledger if there is one.
    pub(super) fn called(&self, params: &Params<'_>) {
        self.tool_calls.fetch_add(1, Ordering::Relaxed);
        if let Some(mut ledger) = self.ledger.as_ref() {
            let entry = json!({ "name": params.name, "arguments": params.arguments });
            // One write per line, so that a killed double leaves no half line.
            if let Err(error) = ledger.write_all(format!("{entry}\n").as_bytes()) {
                eprintln!("mock-mcp: failed to write the ledger: {error}");
                // A ledger with gaps would hide calls that were executed.
                std::process::abort();
            }
        }
    }

    pub(super) fn keep(&self, head: Parts, body: Bytes) {
        let mut received = self.received();
        if received.len() >= self.kept_requests {
            received.pop_front();
        }
        received.push_back(Received { head, body });
    }

    pub(super) fn received(&self) -> MutexGuard<'_, VecDeque<Received>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn open_stream(&self) -> OpenStream {
        self.open_streams.fetch_add(1, Ordering::Relaxed);
        OpenStream(Arc::clone(&self.open_streams))
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            requests: self.requests.load(Ordering::Relaxed),
            probes: self.probes.load(Ordering::Relaxed),
            tool_calls: self.tool_calls.load(Ordering::Relaxed),
            open_streams: self.open_streams.load(Ordering::Relaxed),
            cancelled: self.cancelled.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
            last_request: self.received().back().map(LastRequest::from),
        }
    }

    /// Sets the counters to zero, except for that of open streams.
    pub(super) fn reset(&self) {
        let counters = [
            &self.requests,
            &self.probes,
            &self.tool_calls,
            &self.connections,
        ];
        for counter in counters {
            counter.store(0, Ordering::Relaxed);
        }
        self.cancelled.store(0, Ordering::Relaxed);
        self.received().clear();
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl From<&Received> for LastRequest {
    fn from(received: &Received) -> Self {
        let headers = &received.head.headers;
        Self {
            method: received.head.method.to_string(),
            path: received
                .head
                .uri
                .path_and_query()
                .map_or_else(String::new, ToString::to_string),
            headers: headers
                .iter()
                .map(|(name, value)| {
                    let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                    (name.to_string(), value)
                })
                .collect(),
            body: String::from_utf8_lossy(&received.body).into_owned(),
        }
    }
}
