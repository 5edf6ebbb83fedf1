//! The routes under `/control`, with which tests and measurements inspect and control the double.
//!
//! Requests to them are not counted.

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response};
use serde_json::json as value;

use super::response::json;
use super::shared::Shared;
use crate::body::{Aborted, Answer};

pub(super) async fn answer(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Aborted> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Aborted)?.to_bytes();
    let (status, answer) = match (&head.method, head.uri.path()) {
        (&Method::GET, "/control/stats") => (StatusCode::OK, value!(shared.record.stats())),
        (&Method::GET, "/control/knobs") => (StatusCode::OK, value!(shared.setting().knobs)),
        (&Method::POST, "/control/knobs") => match shared.setting().knobs.changed(&body) {
            // Checked by `changed`: `set_knobs` panics at a knob out of its range.
            Ok(knobs) => {
                shared.set_knobs(knobs.clone());
                (StatusCode::OK, value!(knobs))
            }
            Err(reason) => (StatusCode::BAD_REQUEST, value!({ "error": reason })),
        },
        (&Method::POST, "/control/push") => {
            shared.push(&body);
            (StatusCode::OK, value!({}))
        }
        (&Method::POST, "/control/reset") => {
            shared.record.reset();
            (StatusCode::OK, value!({}))
        }
        _ => (
            StatusCode::NOT_FOUND,
            value!({ "error": "unknown route; expected GET /control/stats, GET or POST \
                /control/knobs, POST /control/push, or POST /control/reset" }),
        ),
    };
    Ok(json(status, Answer::whole(Bytes::from(answer.to_string()))))
}
