//! Answers that wait for a human's decision: the request is held open, or answered after a while with a
//! request state to retry with.

use std::time::Duration;

use http::{Response, StatusCode};
use serde_json::json;
use thoughtgate_approval::{State, View};
use thoughtgate_mcp::{Era, reply};

use super::denial::Denial;
use super::stream;
use super::waiting::Waiting;
use crate::answer;
use crate::body::Body;
use crate::problem::Problem;

/// Waits up to `approval.hold` for the decision, then answers `input_required`: the client retries with
/// the sealed state.
///
/// A client may retry at once, so without the wait it would poll as fast as it can. A call without a
/// place among the held ones is answered without waiting.
pub async fn until_retry(waiting: Waiting) -> Response<Body> {
    let hold = match waiting.hold {
        Some(_) => waiting.worker.shared.settings.approval_hold,
        None => Duration::ZERO,
    };
    // A disconnect during the wait cancels the request (2026-07-28), the end of the wait does not.
    let withdrawal = waiting
        .approvals
        .withdrawn_on_drop(waiting.id, &waiting.message.principal);
    let view = waiting.decided(hold).await;
    withdrawal.keep();
    match view {
        Some(view) if view.state == State::Pending => come_back(&waiting, &view),
        // Also for an approval that was refused or is gone: `settle` finds the reason to answer with.
        _ => waiting.carry_out().await,
    }
}

/// Holds the call as a stream: keep-alive events until the decision, then the answer.
pub fn streamed(waiting: Waiting) -> Response<Body> {
    let every = waiting.worker.shared.settings.approval_keep_alive;
    let (id, token) = (
        waiting.message.id.clone(),
        waiting.fields.progress_token.clone(),
    );
    stream::respond(every, id, token, silent(waiting))
}

/// Holds the call and sends nothing before its answer.
pub async fn silent(waiting: Waiting) -> Response<Body> {
    // Up to 2025-11-25 neither a disconnect nor a cancellation withdraws the approval: most clients
    // give up after a minute, and the same call sent again joins it.
    let message = &waiting.message;
    let withdrawal = (message.era == Era::Modern).then(|| {
        waiting
            .approvals
            .withdrawn_on_drop(waiting.id, &message.principal)
    });
    let (principal, headers) = (&message.principal, &message.parts.headers);
    // The upstream has not seen the call, so this proxy has to match a cancellation with it.
    let held = &waiting.worker.shared.held;
    let entry = held.enter(principal, headers, message.id());
    let view = tokio::select! {
        view = waiting.decided(waiting.approvals.life()) => view,
        () = entry.cancelled() => {
            return waiting.ended(&Denial::taken_back());
        }
    };
    // From here on a cancellation goes to the upstream, which may have the call.
    drop(entry);
    if let Some(withdrawal) = withdrawal {
        withdrawal.keep();
    }
    match view {
        // Only a stop of the proxy ends the wait early: no approval is pending for as long as `life`.
        Some(view) if view.state == State::Pending => waiting.ended(&Denial::of(&view)),
        _ => waiting.carry_out().await,
    }
}

fn come_back(waiting: &Waiting, view: &View) -> Response<Body> {
    let own = waiting.message.id();
    let sealed = waiting
        .approvals
        .seal(waiting.id, &waiting.message.principal);
    let Some(state) = sealed else {
        return answer::problem(&waiting.worker.shared, &Problem::NotSealed, own);
    };
    let result = json!({
        "resultType": "input_required",
        "requestState": state,
        "_meta": {
            "thoughtgate/approval": { "id": waiting.id.to_string(), "message": view.explain() },
        },
    });
    answer::json(StatusCode::OK, reply::result(own, &result))
}
