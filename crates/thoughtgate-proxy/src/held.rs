//! Held calls by the request ids of their clients, so that a client can cancel one.
//!
//! Up to MCP 2025-11-25 a client cancels with a notification. The upstream never saw a held call, so the
//! notification takes effect here. The request id is unique only within the client's session. Without a
//! session it is looked up among the calls of the same agent, and if two of them have it neither is
//! cancelled, because one client must not cancel another's call. From 2026-07-28 a client cancels by
//! closing the connection, which needs no table. The approval is left alone: clients cancel what takes
//! too long for them, and a human takes longer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use http::{HeaderMap, HeaderName};
use serde_json::value::RawValue;
use thoughtgate_panic::lock;
use tokio::sync::Notify;

static SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// Longest request id that is kept, in bytes: clients choose them freely.
const ID_BYTES_MAX: usize = 1024;

/// The calls that are held now.
#[derive(Debug, Clone, Default)]
pub struct Held(Arc<Mutex<HashMap<Key, Vec<Arc<Notify>>>>>);

/// One call, as its client names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    principal: String,
    session: Option<Vec<u8>>,
    /// Raw JSON: `7` and `"7"` are different ids.
    request: String,
}

/// A held call that can be cancelled, until dropped.
pub struct Entry {
    held: Held,
    key: Key,
    cancelled: Arc<Notify>,
}

impl Held {
    /// Adds the call of this id with these headers.
    pub fn enter(&self, principal: &str, headers: &HeaderMap, id: Option<&RawValue>) -> Entry {
        // A longer id is not kept, and the call cannot be cancelled by it.
        // The empty text in its place is no JSON, so no cancellation names it.
        let id = id.map(RawValue::get).filter(|id| id.len() <= ID_BYTES_MAX);
        let key = key(principal, headers, id.unwrap_or_default());
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

    /// Cancels the call of this id, as a notification with these headers asks, if it is held.
    pub fn cancel(&self, principal: &str, headers: &HeaderMap, id: &RawValue) {
        let key = key(principal, headers, id.get());
        // With several matches it is unknown which one is meant, and whether all are of one client.
        if let Some([only]) = self.book().get(&key).map(Vec::as_slice) {
            // Kept if nobody waits yet: the call may be between `enter` and `cancelled`.
            only.notify_one();
        }
    }

    fn book(&self) -> MutexGuard<'_, HashMap<Key, Vec<Arc<Notify>>>> {
        lock(&self.0)
    }
}

impl Entry {
    /// Resolves when the client cancels the call.
    pub async fn cancelled(&self) {
        self.cancelled.notified().await;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut book = self.held.book();
        if let Some(held) = book.get_mut(&self.key) {
            held.retain(|entered| !Arc::ptr_eq(entered, &self.cancelled));
            // Clients choose the ids: empty entries would pile up without limit.
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
