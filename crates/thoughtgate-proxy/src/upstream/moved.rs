//! The path to which the upstream's endpoint has moved for good (308, RFC 9110 §15.4.9).
//!
//! Learnt from the readiness probe alone: a redirect may depend on what a client sends, and must not lead the
//! requests of others. Each probe replaces it, and an answer that finds nothing there forgets it.

use std::sync::Mutex;

use http::StatusCode;
use http::uri::PathAndQuery;
use thoughtgate_panic::lock;

/// The path, if there is one.
#[derive(Debug, Default)]
pub struct Moved(Mutex<Option<PathAndQuery>>);

impl Moved {
    /// Stores the path that a probe has found.
    pub fn set(&self, path: Option<PathAndQuery>) {
        *lock(&self.0) = path;
    }

    /// The path, if the endpoint has moved.
    pub fn path(&self) -> Option<PathAndQuery> {
        lock(&self.0).clone()
    }

    /// Forgets the path if `status`, that of an answer from it, says that it is gone.
    pub fn answered(&self, status: StatusCode) {
        let is_gone = matches!(
            status,
            StatusCode::NOT_FOUND
                | StatusCode::METHOD_NOT_ALLOWED
                | StatusCode::GONE
                | StatusCode::MISDIRECTED_REQUEST
        );
        if is_gone {
            self.set(None);
        }
    }
}
