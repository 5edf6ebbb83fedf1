//! A message that is not forwarded, and what its sender is told.
//!
//! Only the envelope's own faults become a `Refusal`; what policies and
//! upstreams say is built with [`crate::reply`].

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::reply;

/// Why a message is refused: HTTP status, JSON-RPC code, text, and the
/// request's id where it could be read safely.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// HTTP status of the answer.
    pub status: u16,
    /// JSON-RPC error code, one of [`crate::codes`].
    pub code: i64,
    /// One sentence that names the thing and the way out.
    pub message: Cow<'static, str>,
    /// The id of the refused request as raw JSON; `None` answers with `null`.
    pub id: Option<Box<RawValue>>,
}

impl Refusal {
    /// A refusal with HTTP status 400.
    pub(crate) fn bad_request(
        code: i64,
        message: impl Into<Cow<'static, str>>,
        id: Option<&RawValue>,
    ) -> Refusal {
        Refusal {
            status: 400,
            code,
            message: message.into(),
            id: id.map(ToOwned::to_owned),
        }
    }

    /// The JSON-RPC error response, as bytes of an `application/json` body.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        reply::error(self.id.as_deref(), self.code, &self.message, None)
    }
}
