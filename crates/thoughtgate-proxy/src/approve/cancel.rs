//! Held calls by the ids that their clients know them by, so that a client can take one back.
//!
//! Up to 2025-11-25 a client cancels with a notification; the upstream never saw the call that it is
//! about. From 2026-07-28 it closes the connection, which needs no book.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, HeaderName};
use serde::Deserialize;
use serde_json::value::RawValue;
use thoughtgate_approval::{Approvals, Id};

use super::{Request, read};

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// All calls that are held now.
#[derive(Debug, Clone, Default)]
pub struct Held(Arc<Mutex<HashMap<Key, Id>>>);

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
    key: Option<Key>,
}

impl Held {
    /// Enters a call that waits for `id`.
    pub fn enter(&self, principal: &str, headers: &HeaderMap, message: &[u8], id: Id) -> Entry {
        let request = read(message).and_then(|envelope| envelope.id.map(RawValue::get));
        let key = request.map(|request| key(principal, headers, request));
        if let Some(key) = &key {
            self.book().insert(key.clone(), id);
        }
        Entry {
            held: self.clone(),
            key,
        }
    }

    /// Takes back the approval of the call that a cancellation names, if that call is held.
    pub fn cancel(&self, approvals: &Approvals, cancellation: &Request) {
        #[derive(Deserialize)]
        struct Cancellation<'a> {
            #[serde(borrow)]
            params: Params<'a>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Params<'a> {
            #[serde(borrow)]
            request_id: &'a RawValue,
        }
        let principal = &cancellation.call.principal;
        let Ok(message) = serde_json::from_slice::<Cancellation<'_>>(&cancellation.bytes) else {
            return;
        };
        let request = message.params.request_id.get();
        let key = key(principal, &cancellation.parts.headers, request);
        let id = self.book().get(&key).copied();
        if let Some(id) = id {
            approvals.cancel(id, principal);
        }
    }

    fn book(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Id>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            self.held.book().remove(key);
        }
    }
}

fn key(principal: &str, headers: &HeaderMap, request: &str) -> Key {
    Key {
        principal: principal.to_owned(),
        session: headers
            .get(&SESSION)
            .map(|session| session.as_bytes().to_vec()),
        request: request.to_owned(),
    }
}
