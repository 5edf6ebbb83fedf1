//! Builders for the Slack double's HTTP responses: JSON, a refusal, a body that never ends.
//!
//! Chooses no answer: `endpoint` and `fault` do.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::body::Answer;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

pub(super) fn refused(status: StatusCode, error: &str) -> Response<Answer> {
    respond(status, &json!({ "ok": false, "error": error }))
}

pub(super) fn respond(status: StatusCode, answer: &Value) -> Response<Answer> {
    json_text(status, answer.to_string())
}

/// `text` labelled as JSON, whether it is or not.
pub(super) fn json_text(status: StatusCode, text: String) -> Response<Answer> {
    labelled(status, Answer::whole(Bytes::from(text)))
}

/// `piece` again and again, with this pause between two of them, until the client disconnects.
///
/// Must be called in the runtime that serves the double.
pub(super) fn endless(piece: Bytes, pause: Duration) -> Response<Answer> {
    let (pipe, answer) = Answer::endless();
    tokio::spawn(async move {
        while pipe.send(Ok(piece.clone())).await.is_ok() {
            // A pause of zero would still last until the next tick of the runtime's clock.
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    });
    labelled(StatusCode::OK, answer)
}

fn labelled(status: StatusCode, answer: Answer) -> Response<Answer> {
    let mut response = Response::new(answer);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}
