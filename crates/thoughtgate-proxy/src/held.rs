//! Held calls by the request ids of their clients, so that a client can cancel one.
//!
//! Up to MCP 2025-11-25 a client cancels with a notification. The upstream never saw a held call, so the
//! notification takes effect here. The request id is unique only within the client's session. Without a
//! session it is looked up among the calls of the same agent, and if two of them have it neither is
//! cancelled, because one client must not cancel another's call. From 2026-07-28 a client cancels by
//! closing the connection, which needs no table; a notification in that era cancels a call of that era
//! all the same. Decides nothing about the approval.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::value::RawValue;
use thoughtgate_mcp::Era;
use thoughtgate_panic::lock;
use tokio::sync::Notify;

use crate::headers::SESSION_ID;
use crate::message::Message;

/// Longest request id that is kept, in bytes: clients choose them freely.
const ID_BYTES_MAX: usize = 1024;

/// The calls that are held now.
#[derive(Debug, Clone, Default)]
pub struct Held(Arc<Mutex<HashMap<Key, Vec<Arc<Notify>>>>>);

/// One call, as its client names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    principal: String,
    is_modern: bool,
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
    /// Adds a call.
    pub fn enter(&self, call: &Message) -> Entry {
        // A longer id is not kept, and the call cannot be cancelled by it.
        // The empty text in its place is no JSON, so no cancellation names it.
        let id = call.id().map(RawValue::get);
        let key = key(
            call,
            id.filter(|id| id.len() <= ID_BYTES_MAX).unwrap_or_default(),
        );
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

    /// Cancels the call of this id, as this notification asks, if it is held.
    pub fn cancel(&self, notification: &Message, id: &RawValue) {
        let key = key(notification, id.get());
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

fn key(message: &Message, request: &str) -> Key {
    let session = message.parts.headers.get(&SESSION_ID);
    Key {
        principal: message.principal.clone(),
        is_modern: message.era == Era::Modern,
        session: session.map(|session| session.as_bytes().to_vec()),
        request: request.to_owned(),
    }
}
