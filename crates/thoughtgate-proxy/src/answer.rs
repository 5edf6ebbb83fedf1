//! The answers that the proxy itself gives: JSON-RPC errors with the request's id.
//!
//! A decision is an answer (HTTP 200, so that an agent's client shows it); a message that could not
//! be understood, and an upstream that failed, have the HTTP status that says so.

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;
use serde_json::value::RawValue;
use thoughtgate_mcp::{Limits, Refusal, codes, parse, reply};
use thoughtgate_panic::{Panicked, contain};
use thoughtgate_policy::Decision;

use crate::body::Body;
use crate::forward::Call;
use crate::identity::{Identity, Unidentified};
use crate::inbound::Unread;
use crate::state::Shared;

/// A JSON body.
pub fn json(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::own(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// A message that was not understood, or came the wrong way.
pub fn refusal(shared: &Shared, refusal: &Refusal) -> Response<Body> {
    shared.refused(refusal.status, &refusal.message, &[]);
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    json(status, refusal.body())
}

/// A request whose body was not read to its end.
pub fn unread(shared: &Shared, unread: Unread) -> Response<Body> {
    let status = unread.status();
    let text = unread.to_string();
    shared.refused(status.as_u16(), &text, &[]);
    closing(match unread {
        Unread::NoPlace | Unread::Spent(_) => busy(&[], false, &text),
        _ => error(status, &[], false, codes::INVALID_REQUEST, &text),
    })
}

/// The last answer on its connection: what else arrives may be the rest of a body that is not read.
pub fn closing(mut response: Response<Body>) -> Response<Body> {
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// An error with the id of `message`.
pub fn error(
    status: StatusCode,
    message: &[u8],
    expects_answer: bool,
    code: i64,
    text: &str,
) -> Response<Body> {
    let id = if expects_answer { id_of(message) } else { None };
    json(status, reply::error(id.as_deref(), code, text, None))
}

/// A request for which there is no room now, with the id of `message` where it expects an answer.
pub fn busy(message: &[u8], expects_answer: bool, text: &str) -> Response<Body> {
    let mut response = error(
        StatusCode::SERVICE_UNAVAILABLE,
        message,
        expects_answer,
        codes::OVERLOADED,
        text,
    );
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// A request that a bug ended, with the id of `message` where it can be read.
pub fn broken(message: &[u8]) -> Response<Body> {
    let answer = |message: &[u8]| {
        let text = "a bug ended this request; the proxy's log has the place";
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        error(status, message, true, codes::INTERNAL_ERROR, text)
    };
    // The message may be what it broke on.
    contain(|| answer(message)).unwrap_or_else(|Panicked| answer(&[]))
}

/// A request that names no agent.
pub fn unidentified(
    shared: &Shared,
    identity: &Identity,
    message: &[u8],
    why: &Unidentified,
) -> Response<Body> {
    let reason = why.to_string();
    shared.refused(StatusCode::UNAUTHORIZED.as_u16(), &reason, message);
    let mut response = error(
        StatusCode::UNAUTHORIZED,
        message,
        true,
        codes::POLICY_DENIED,
        &reason,
    );
    if matches!(identity, Identity::Jwt(_)) {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// A request that policy refuses. A message that expects no answer learns it from the status.
pub fn rejected(message: &[u8], call: &Call, decision: &Decision) -> Response<Body> {
    let (code, text) = match &decision.error {
        Some(error) => (codes::POLICY_ERROR, format!("refused: {error}")),
        None => (codes::POLICY_DENIED, "refused by policy".to_owned()),
    };
    let data =
        json!({ "policies": decision.policies.iter().map(AsRef::as_ref).collect::<Vec<&str>>() });
    let id = if call.expects_answer {
        id_of(message)
    } else {
        None
    };
    json(
        refused_status(call),
        reply::error(id.as_deref(), code, &text, Some(&data)),
    )
}

/// The status of a refusal that is an answer, or of one that nobody reads.
pub fn refused_status(call: &Call) -> StatusCode {
    if call.expects_answer {
        StatusCode::OK
    } else {
        StatusCode::FORBIDDEN
    }
}

/// The decision where no policy is in force.
pub fn no_policy() -> Decision {
    Decision::error("no policy is configured, so everything is refused")
}

/// The id of a message that was understood before. Read again rather than kept: only refusals need it.
fn id_of(message: &[u8]) -> Option<Box<RawValue>> {
    parse(message, &Limits { depth: usize::MAX })
        .ok()?
        .id
        .map(ToOwned::to_owned)
}
