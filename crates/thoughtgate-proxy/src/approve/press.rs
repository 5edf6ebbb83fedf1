//! `POST /approval/press`: buttons that approvers press, where a signing secret is configured.
//!
//! The signature is the caller's only credential. A press is acknowledged before it is acted on,
//! since acting may have to ask who belongs to a group.

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
use crate::state::Shared;

/// Where presses are sent.
pub const PATH: &str = "/approval/press";

/// Ample for a message of ours with all that is added to it.
const BYTES_MAX: usize = 256 * 1024;
const DEADLINE: Duration = Duration::from_secs(3);

/// Answers one request.
pub async fn serve(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let Some(approvals) = shared.approvals() else {
        return answer::closing(said(StatusCode::NOT_FOUND, "no such path"));
    };
    if request.method() != Method::POST {
        return answer::closing(said(StatusCode::METHOD_NOT_ALLOWED, "use POST"));
    }
    let (parts, body) = request.into_parts();
    let inbound = match inbound::read(&shared.budget, BYTES_MAX, DEADLINE, body, None).await {
        Ok(inbound) => inbound,
        Err(unread) => return answer::unread(shared, unread),
    };
    let header = |name: &str| parts.headers.get(name)?.to_str().ok();
    match approvals.verify(header, &inbound.bytes, SystemTime::now()) {
        Ok(press) => {
            let approvals = approvals.clone();
            contained::spawn(async move { drop(approvals.interact(press).await) });
            said(StatusCode::OK, "taken")
        }
        Err(InteractionError::Unknown) => said(StatusCode::OK, "not one of our buttons"),
        Err(InteractionError::Disabled) => said(StatusCode::NOT_FOUND, "no such path"),
        Err(error) => {
            let (status, reason) = (StatusCode::UNAUTHORIZED, error.to_string());
            shared.refused(status.as_u16(), &format!("approval press: {reason}"), &[]);
            said(status, &reason)
        }
    }
}

fn said(status: StatusCode, text: &str) -> Response<Body> {
    answer::json(status, json!({ "message": text }).to_string().into_bytes())
}
