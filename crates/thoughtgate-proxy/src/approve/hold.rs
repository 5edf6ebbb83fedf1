//! Answers that come when a human has decided: held open, or given up after a while with request
//! state to come back with.

use std::time::Duration;

use http::{Response, StatusCode};
use serde_json::json;
use thoughtgate_approval::{State, View};
use thoughtgate_mcp::{Era, codes, reply};

use super::waiting::{End, Waiting};
use super::{ended, read, stream};
use crate::answer;
use crate::body::Body;

/// Waits `approval.hold`, then answers `input_required`: the client comes back with the state.
///
/// A client may come back at once, so without the wait it would poll as fast as it can. One for which
/// there is no place among the held calls is not waited for.
pub async fn until_retry(waiting: Waiting) -> Response<Body> {
    let hold = match waiting.hold {
        Some(_) => waiting.worker.shared.settings.approval_hold,
        None => Duration::ZERO,
    };
    let withdrawal = waiting.withdrawn_on_drop();
    let view = waiting.decided(hold).await;
    withdrawal.keep();
    match view {
        Some(view) if view.state == State::Pending => come_back(&waiting, &view),
        _ => waiting.carry_out().await,
    }
}

/// Holds the call as a stream of signs of life, then of the answer.
pub fn streamed(waiting: Waiting) -> Response<Body> {
    let every = waiting.worker.shared.settings.approval_keep_alive;
    let message = waiting.bytes.clone();
    stream::respond(every, message, silent(waiting))
}

/// Holds the call without a word.
pub async fn silent(waiting: Waiting) -> Response<Body> {
    // Up to 2025-11-25 neither a client that goes away nor one that cancels takes the approval back:
    // most do so after a minute, and the same call sent again joins it.
    let withdrawal = (waiting.call.era == Era::Modern).then(|| waiting.withdrawn_on_drop());
    let (principal, headers) = (&waiting.call.principal, &waiting.parts.headers);
    let held = &waiting.worker.shared.held;
    let entry = held.enter(principal, headers, &waiting.bytes);
    let view = tokio::select! {
        view = waiting.decided(waiting.approvals.life()) => view,
        () = entry.cancelled() => {
            return ended(&waiting.bytes, waiting.id, &End::taken_back());
        }
    };
    drop(entry);
    if let Some(withdrawal) = withdrawal {
        withdrawal.keep();
    }
    match view {
        Some(view) if view.state == State::Pending => {
            ended(&waiting.bytes, waiting.id, &End::of(&view))
        }
        _ => waiting.carry_out().await,
    }
}

fn come_back(waiting: &Waiting, view: &View) -> Response<Body> {
    let sealed = waiting.approvals.seal(waiting.id, &waiting.call.principal);
    let own = read(&waiting.bytes).and_then(|envelope| envelope.id);
    let Some(state) = sealed else {
        let text = "the system's random source failed, so no request state could be sealed";
        let body = reply::error(own, codes::INTERNAL_ERROR, text, None);
        return answer::json(StatusCode::OK, body);
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
