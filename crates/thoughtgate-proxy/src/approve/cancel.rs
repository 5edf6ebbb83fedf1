//! Held calls by the ids that their clients know them by, so that a client can take one back.
//!
//! Up to 2025-11-25 a client cancels with a notification, which the upstream could not act on: it
//! never saw the call. It names the call by an id that only the client's session makes unique: without
//! a session it reaches the calls of the same agent, and two of those with one id are both left alone,
//! lest one client cancels another's. From 2026-07-28 it closes the connection, which needs no book. Knows nothing of
//! approvals: clients cancel what takes them too long, and a human takes longer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use http::{HeaderMap, HeaderName};
use serde::Deserialize;
use serde_json::value::RawValue;
use thoughtgate_panic::lock;
use tokio::sync::Notify;

use super::{Request, read};

static SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// Longest request id that is kept, in bytes.
const ID_BYTES_MAX: usize = 1024;

/// All calls that are held now.
#[derive(Debug, Clone, Default)]
pub struct Held(Arc<Mutex<HashMap<Key, Vec<Arc<Notify>>>>>);

/// One call, as its client names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    principal: String,
    session: Option<Vec<u8>>,
    /// Raw JSON: `7` and `"7"` are two ids.
    request: String,
}

/// A held call's place in the book, until dropped.
pub struct Entry {
    held: Held,
    key: Key,
    cancelled: Arc<Notify>,
}

#[derive(Deserialize)]
struct Cancellation<'a> {
    #[serde(borrow)]
    params: Cancelled<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cancelled<'a> {
    #[serde(borrow)]
    request_id: &'a RawValue,
}

impl Held {
    /// Enters a call with this head and body.
    pub fn enter(&self, principal: &str, headers: &HeaderMap, message: &[u8]) -> Entry {
        let request = read(message).and_then(|envelope| envelope.id.map(RawValue::get));
        // A longer id is not kept, and the call cannot be cancelled by it.
        let request = request.filter(|id| id.len() <= ID_BYTES_MAX);
        let key = key(principal, headers, request.unwrap_or_default());
        let cancelled = Arc::new(Notify::new());
        let held = &mut *self.book();
        held.entry(key.clone())
            .or_default()
            .push(Arc::clone(&cancelled));
        Entry {
            held: self.clone(),
            key,
            cancelled,
        }
    }

    /// Takes back the call that a cancellation names, if it is held.
    pub fn cancel(&self, cancellation: &Request) {
        let Ok(message) = serde_json::from_slice::<Cancellation<'_>>(&cancellation.bytes) else {
            return;
        };
        let (principal, headers) = (&cancellation.call.principal, &cancellation.parts.headers);
        let key = key(principal, headers, message.params.request_id.get());
        // Of several calls it cannot be known which one is meant, nor whether they are one client's.
        if let Some([only]) = self.book().get(&key).map(Vec::as_slice) {
            only.notify_one();
        }
    }

    fn book(&self) -> MutexGuard<'_, HashMap<Key, Vec<Arc<Notify>>>> {
        lock(&self.0)
    }
}

impl Entry {
    /// Resolves when the client takes the call back.
    pub async fn cancelled(&self) {
        self.cancelled.notified().await;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut book = self.held.book();
        if let Some(held) = book.get_mut(&self.key) {
            held.retain(|entered| !Arc::ptr_eq(entered, &self.cancelled));
            if held.is_empty() {
                book.remove(&self.key);
            }
        }
    }
}

fn key(principal: &str, headers: &HeaderMap, request: &str) -> Key {
    let session = headers.get(&SESSION);
    Key {
        principal: principal.to_owned(),
        session: session.map(|session| session.as_bytes().to_vec()),
        request: request.to_owned(),
    }
}
