//! Answers that wait for a human's decision: the request is held open, or answered after a while so that
//! the client asks again, with a request state or with the same call.

use std::time::Duration;

use http::{Response, StatusCode};
use serde_json::json;
use thoughtgate_approval::View;
use thoughtgate_mcp::reply;

use super::denial::Denial;
use super::large::Made;
use super::stream::{self, Overflow};
use super::waiting::{Held, Waiting};
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
    match waiting.held(hold).await {
        Held::Pending(view) => come_back(waiting, &view),
        Held::Decided => waiting.carry_out().await,
        Held::Cancelled => waiting.cancelled(),
    }
}

/// Waits up to `approval.hold` for the decision, then answers with a result which says that the approval
/// is pending: the same call sent again joins it.
///
/// Sends nothing before, so that the client gets the upstream's own response: some clients take JSON of
/// any size, but only short events.
pub async fn until_repeat(waiting: Waiting) -> Response<Body> {
    let hold = waiting.worker.shared.settings.approval_hold;
    wait(waiting, hold).await
}

/// Holds the call and sends nothing before its answer.
async fn until_decided(waiting: Waiting) -> Response<Body> {
    // No approval is pending for as long as this.
    let life = waiting.approvals.life();
    wait(waiting, life).await
}

/// Holds the call as a stream: keep-alive events until the decision, then the answer.
pub async fn streamed(waiting: Waiting) -> Response<Body> {
    let every = waiting.worker.shared.settings.approval_keep_alive;
    let (id, token) = (
        waiting.message.id.clone(),
        waiting.fields.progress_token.clone(),
    );
    let made = Made::of(&waiting);
    let overflow = Overflow {
        room: waiting.worker.shared.budget.hold(),
        park: Box::new(|large| made.park(large)),
    };
    let mut answer = Box::pin(until_decided(waiting));
    // Before the first event is due the client can still get the upstream's own response.
    match tokio::time::timeout(every, &mut answer).await {
        Ok(response) => response,
        Err(_) => stream::respond(every, id, token, answer, Some(overflow)),
    }
}

async fn wait(mut waiting: Waiting, at_most: Duration) -> Response<Body> {
    match waiting.held(at_most).await {
        Held::Pending(view) => {
            waiting.caller.answered();
            let is_stopping = waiting.worker.shared.drain.has_started();
            waiting.ended(&if is_stopping {
                Denial::stopping(&view)
            } else {
                Denial::pending(&view)
            })
        }
        Held::Decided => waiting.carry_out().await,
        Held::Cancelled => waiting.cancelled(),
    }
}

fn come_back(mut waiting: Waiting, view: &View) -> Response<Body> {
    waiting.caller.answered();
    let own = waiting.message.id();
    let (principal, carried) = (&waiting.message.principal, &waiting.fields.carried);
    let sealed = waiting.approvals.seal(waiting.id, principal, carried);
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
