//! The refusal of a message that is not valid, as an HTTP status and a JSON-RPC error.
//!
//! Not for policy decisions and errors of the upstream: those answers are built with [`crate::reply`].

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::reply;

/// The refusal of an invalid message.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// HTTP status of the answer.
    pub status: u16,
    /// JSON-RPC error code, one of [`crate::codes`].
    pub code: i64,
    /// The reason, and what to send instead.
    pub message: Cow<'static, str>,
    /// The id of the request as raw JSON; `None`, if it could not be read, is sent as `null`.
    pub id: Option<Box<RawValue>>,
}

/// The reason why a message is not valid, without the id of the request that is refused.
#[derive(Debug)]
pub(crate) struct Invalid {
    /// One of [`crate::codes`].
    pub(crate) code: i64,
    pub(crate) message: String,
}

impl Invalid {
    /// The refusal of the request with this id.
    pub(crate) fn refusal(self, id: Option<&RawValue>) -> Refusal {
        Refusal::bad_request(self.code, self.message, id)
    }
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
