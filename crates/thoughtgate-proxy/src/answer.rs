//! Answers that the proxy gives itself: JSON, above all the refusals in the table of [`crate::problem`].
//!
//! Does not choose status, code or text of a refusal: its row in the table does.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::value::RawValue;
use thoughtgate_mcp::{Limits, parse};
use thoughtgate_panic::contain;
use thoughtgate_policy::Decision;

use crate::body::Body;
use crate::message::{Message, id_of};
use crate::problem::{Call, Problem};
use crate::state::{Shared, Snapshot};

/// A response with a JSON body.
pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    json_of(status, Body::own(body))
}

/// Head of a response with JSON that another task feeds.
pub fn json_head(status: StatusCode) -> Response<()> {
    json_of(status, ())
}

fn json_of<B>(status: StatusCode, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// The answer to a request that is refused, which is counted. `id` is that of the request, if a JSON-RPC
/// answer to it is expected.
pub fn problem(shared: &Shared, problem: &Problem<'_>, id: Option<&RawValue>) -> Response<Body> {
    refused(shared, problem, id, None)
}

/// The answer to a request that is refused before any decision; `headers` say in its audit line who sent it.
#[cold]
pub fn turned_away(
    shared: &Shared,
    headers: &HeaderMap,
    problem: &Problem<'_>,
    id: Option<&RawValue>,
) -> Response<Body> {
    problem.count_of(shared, Some(headers));
    response(problem, id, None)
}

/// The answer to `message`, which the policies of `snapshot` refuse.
#[cold]
pub fn rejected(
    shared: &Shared,
    snapshot: &Snapshot,
    message: &Message,
    decision: &Decision,
) -> Response<Body> {
    // Parsed again, so that a permitted message need not keep what only a refusal names.
    let limits = Limits { depth: usize::MAX };
    let envelope = parse(&message.bytes, &limits).ok();
    let params = envelope
        .as_ref()
        .filter(|envelope| envelope.method == "tools/call")
        .map(|envelope| &envelope.params);
    let call = params.map(|params| {
        let tool = params.name.as_deref().unwrap_or_default();
        Call::of(snapshot, message, tool, params.task.is_some())
    });
    refused(
        shared,
        &Problem::Rejected(decision),
        message.id(),
        call.as_ref(),
    )
}

/// The answer to a refused request with `id`, which made `call` if a tool result is expected.
pub fn refused(
    shared: &Shared,
    problem: &Problem<'_>,
    id: Option<&RawValue>,
    call: Option<&Call<'_>>,
) -> Response<Body> {
    problem.count(shared);
    response(problem, id, call)
}

/// The answer to a request that panicked, wherever that was; its id is read from `body` if that has been
/// read, and has an id.
pub fn broken(body: &[u8]) -> Response<Body> {
    // Parsing the body may be what panicked.
    let id = contain(|| id_of(body)).ok().flatten();
    panicked(id.as_deref())
}

/// The answer to a request that panicked.
pub fn panicked(id: Option<&RawValue>) -> Response<Body> {
    response(&Problem::Panicked, id, None)
}

/// Marks an answer as the last on its connection: bytes that follow may be the rest of an unread body.
pub fn closing(mut response: Response<Body>) -> Response<Body> {
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn response(
    problem: &Problem<'_>,
    id: Option<&RawValue>,
    call: Option<&Call<'_>>,
) -> Response<Body> {
    let row = problem.row();
    let body = problem.body_for(id, call);
    let mut response = json(row.status.code(id.is_some()), body);
    if row.retry_after {
        let second = HeaderValue::from_static("1");
        response.headers_mut().insert(header::RETRY_AFTER, second);
    }
    // A 401 has to name the scheme (RFC 9110 §15.5.2).
    if row.challenges {
        let scheme = HeaderValue::from_static("Bearer");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, scheme);
    }
    if row.closes {
        response = closing(response);
    }
    // A 405 has to list the methods (RFC 9110 §15.5.6).
    if let Some(methods) = row.allow {
        let methods = HeaderValue::from_static(methods);
        response.headers_mut().insert(header::ALLOW, methods);
    }
    response
}
