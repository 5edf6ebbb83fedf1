//! The faults that a call of the Slack double can meet, and the outcome of each.
//!
//! Does not know when a call meets one: see `knobs` and `shared`.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderValue, LOCATION, RETRY_AFTER};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::response::{endless, json_text, refused, respond};
use crate::body::Answer;

/// Interval between the bytes of [`Fault::Drip`].
const DRIP_EVERY: Duration = Duration::from_millis(10);

/// Fault of one call. The call has no effect, unless the name says otherwise.
#[derive(Debug, Clone)]
pub enum Fault {
    /// HTTP 429 with `ratelimited` and `Retry-After`, in seconds.
    TooManyRequests {
        /// Value of `Retry-After`, in seconds.
        retry_after_s: u64,
    },
    /// HTTP 200 with `{"ok":false,"error":"ratelimited"}`.
    Ratelimited {
        /// Value of `Retry-After`, in seconds; `None` leaves the header out.
        retry_after_s: Option<u64>,
    },
    /// This status with `service_unavailable`.
    ServerError(StatusCode),
    /// The same, though the call took effect.
    ServerErrorAfterEffect(StatusCode),
    /// HTTP 200 with `{"ok":false,"error":…}`, and what Slack adds for that error.
    Refused(String),
    /// This status and body, as `application/json` whatever the body is.
    Answer(StatusCode, String),
    /// HTTP 302 to this address.
    Redirect(HeaderValue),
    /// HTTP 200 with a body that never ends, one space every 10 ms.
    Drip,
    /// HTTP 200 with a body of spaces that never ends, sent as fast as the client reads.
    Flood,
    /// The connection is closed instead of answering.
    CloseAfterEffect,
    /// No answer at all; the connection stays open.
    HangAfterEffect,
}

/// Outcome of a call.
pub(super) enum Outcome {
    /// An answer, correct or not.
    Answer(Response<Answer>),
    /// The connection is closed.
    Close,
    /// Neither an answer nor a closed connection.
    Hang,
}

impl Fault {
    /// Whether the call takes effect all the same.
    pub(super) fn has_effect(&self) -> bool {
        matches!(
            self,
            Self::ServerErrorAfterEffect(_) | Self::CloseAfterEffect | Self::HangAfterEffect
        )
    }

    /// The outcome, with the body that `refusal` gives for an error code. Must be called in the runtime
    /// that serves the double.
    pub(super) fn outcome(self, refusal: impl FnOnce(&str) -> Value) -> Outcome {
        Outcome::Answer(match self {
            Self::TooManyRequests { retry_after_s } => {
                limited(StatusCode::TOO_MANY_REQUESTS, Some(retry_after_s))
            }
            Self::Ratelimited { retry_after_s } => limited(StatusCode::OK, retry_after_s),
            Self::ServerError(status) | Self::ServerErrorAfterEffect(status) => {
                refused(status, "service_unavailable")
            }
            Self::Refused(error) => respond(StatusCode::OK, &refusal(&error)),
            Self::Answer(status, body) => json_text(status, body),
            Self::Redirect(to) => {
                let mut response = respond(StatusCode::FOUND, &json!({ "ok": true }));
                response.headers_mut().insert(LOCATION, to);
                response
            }
            Self::Drip => endless(Bytes::from_static(b" "), DRIP_EVERY),
            Self::Flood => endless(Bytes::from_static(&[b' '; 16 << 10]), Duration::ZERO),
            Self::CloseAfterEffect => return Outcome::Close,
            Self::HangAfterEffect => return Outcome::Hang,
        })
    }
}

fn limited(status: StatusCode, retry_after_s: Option<u64>) -> Response<Answer> {
    let mut response = refused(status, "ratelimited");
    if let Some(seconds) = retry_after_s {
        let seconds = HeaderValue::from(seconds);
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}
