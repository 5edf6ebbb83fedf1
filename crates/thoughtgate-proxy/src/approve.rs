//! The third outcome: a call that a human must approve.

use http::{Response, StatusCode};
use thoughtgate_mcp::codes;

use crate::answer;
use crate::body::Body;
use crate::forward::Call;

/// Refuses: without an approval channel nobody can say yes. Policies that ask for approval are not
/// accepted at load then, so this answers for what no load should have let through.
pub fn respond(message: &[u8], call: &Call) -> Response<Body> {
    answer::error(
        StatusCode::OK,
        message,
        call.expects_answer,
        codes::APPROVAL_UNAVAILABLE,
        "this call needs approval, and no approval channel is configured",
    )
}
