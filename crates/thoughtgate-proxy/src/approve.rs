//! Carries out the third outcome: a call that a human must approve.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use thoughtgate_mcp::codes;
use thoughtgate_policy::Decision;

use crate::answer;
use crate::body::Body;
use crate::endpoint::Worker;
use crate::forward::Call;

/// Refuses: no approval channel is configured, so nobody can say yes.
pub async fn respond(
    _: &Arc<Worker>,
    _: Parts,
    bytes: Bytes,
    call: &Call,
    _: &Decision,
) -> Response<Body> {
    answer::error(
        StatusCode::OK,
        &bytes,
        call.expects_answer,
        codes::APPROVAL_UNAVAILABLE,
        "this call needs approval, and no approval channel is configured",
    )
}
