//! `POST /approval/press`: Slack's requests for buttons that approvers press, if a signing secret is
//! configured.
//!
//! The signature is the caller's only credential. A press is acknowledged before it is handled, because
//! handling it may take a request to Slack for the members of a group.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use thoughtgate_approval::InteractionError;

use crate::answer;
use crate::body::Body;
use crate::contained;
use crate::inbound;
use crate::problem::{Elsewhere, Problem};
use crate::state::Shared;

/// Path to which Slack sends button presses.
pub const PATH: &str = "/approval/press";

/// Size limit of a press, ample for the approval message that it quotes.
const BYTES_MAX: usize = 256 * 1024;
/// Time limit for reading a press.
const DEADLINE: Duration = Duration::from_secs(3);

/// Answers a press, whose handling a task of its own goes on with.
pub async fn serve(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let refused = |refusal| answer::problem(shared, &Problem::Elsewhere(refusal), None);
    let Some(approvals) = shared.approvals() else {
        return refused(Elsewhere::NoPress);
    };
    if request.method() != Method::POST {
        return refused(Elsewhere::PressMethod);
    }
    let (parts, body) = request.into_parts();
    let turned_away = |problem| answer::turned_away(shared, &parts.headers, &problem, None);
    // Read before it is verified, because the signature covers the body.
    let inbound = match inbound::read(&shared.budget, BYTES_MAX, DEADLINE, body, None).await {
        Ok(inbound) => inbound,
        Err(unread) => return turned_away(Problem::Unread(unread)),
    };
    let header = |name: &str| parts.headers.get(name)?.to_str().ok();
    match approvals.verify(header, &inbound.bytes, SystemTime::now()) {
        Ok(press) => {
            let approvals = approvals.clone();
            contained::spawn(async move { drop(approvals.interact(press).await) });
            message("accepted")
        }
        // Genuine, but for something else: an error status would show in Slack as a failure.
        Err(InteractionError::Unknown) => message("not a ThoughtGate button"),
        Err(InteractionError::Disabled) => refused(Elsewhere::PressDisabled),
        Err(error) => turned_away(Problem::Elsewhere(Elsewhere::Press(error))),
    }
}

fn message(text: &str) -> Response<Body> {
    answer::json(
        StatusCode::OK,
        json!({ "message": text }).to_string().into_bytes(),
    )
}
