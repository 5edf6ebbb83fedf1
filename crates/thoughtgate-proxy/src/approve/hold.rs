//! Answers that wait for a human's decision: the request is held open, or answered after a while so that
//! the client asks again, with a request state or with the same call.

use std::time::Duration;

use http::{Response, StatusCode};
use serde_json::json;
use thoughtgate_approval::View;
use thoughtgate_mcp::reply;
use tokio::time::Instant;

use super::denial::Denial;
use super::made::Made;
use super::phase::Phase;
use super::stream::{self, Overflow};
use super::waiting::{Held, Waiting};
use crate::answer;
use crate::body::Body;
use crate::message::Raw;
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
        Held::Decided => waiting.carry_out(None).await,
        Held::Cancelled => waiting.cancelled(),
    }
}

/// Waits up to `approval.hold` for the decision and the result, then answers with a result which says that
/// the approval is pending, or the call running: the same call sent again joins it.
///
/// Sends nothing before, so that the client gets the upstream's own response: some clients take JSON of
/// any size, but only short events.
pub async fn until_repeat(waiting: Waiting) -> Response<Body> {
    let hold = waiting.worker.shared.settings.approval_hold;
    let until = Instant::now() + hold;
    wait(waiting, hold, Some(until), &Phase::default()).await
}

/// Holds the call and sends nothing before its answer.
async fn until_decided(waiting: Waiting, phase: Phase) -> Response<Body> {
    // No approval is pending for as long as this.
    let life = waiting.approvals.life();
    wait(waiting, life, None, &phase).await
}

/// Holds the call as a stream: keep-alive events until the decision, then the answer.
pub async fn streamed(waiting: Waiting) -> Response<Body> {
    let token = waiting.fields.progress_token.clone();
    let phase = Phase::default();
    let made = waiting.made();
    in_stream(made, token, phase.clone(), until_decided(waiting, phase)).await
}

/// Answers the request of `made` with `answer`, after keep-alive events that say what `phase` does. `token` is
/// its progress token.
pub async fn in_stream(
    made: Made,
    token: Option<Raw>,
    phase: Phase,
    answer: impl Future<Output = Response<Body>> + Send + 'static,
) -> Response<Body> {
    let shared = &made.worker.shared;
    let every = shared.settings.approval_keep_alive;
    let (id, room) = (made.id.clone(), shared.budget.hold());
    let overflow = Overflow {
        room,
        park: Box::new(|large| made.park(large)),
    };
    let mut answer = Box::pin(answer);
    // Before the first event is due the client can still get the upstream's own response.
    match tokio::time::timeout(every, &mut answer).await {
        Ok(response) => response,
        Err(_) => stream::respond(every, id, token, phase, answer, Some(overflow)),
    }
}

async fn wait(
    mut waiting: Waiting,
    at_most: Duration,
    until: Option<Instant>,
    phase: &Phase,
) -> Response<Body> {
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
        Held::Decided => {
            phase.decide();
            waiting.carry_out(until).await
        }
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
