//! Clients of an approved call that runs: the one that it is made for, and those that send the same call
//! again. Each waits for a while, and is told to come back if the call is not finished by then.
//!
//! Asks nobody and makes no call. The policies in force have decided on each of these requests.

use std::sync::Arc;

use http::Response;
use thoughtgate_approval::Id;
use tokio::time::Instant;

use super::delivery::Delivery;
use super::execution::{Answered, answered};
use super::fields::{Fields, user};
use super::hold;
use super::holds::Hold;
use super::made::Made;
use super::phase::Phase;
use super::running::{Found, Repeated, Ticket};
use crate::answer;
use crate::audit::Trail;
use crate::body::Body;
use crate::message::Message;
use crate::problem::Problem;
use crate::state::Snapshot;
use crate::worker::Worker;

/// Answers a call that is being made, or was, and whose result is not delivered: with that result, or with
/// the reason why not. `None` if there is no such call.
pub async fn serve(
    worker: &Arc<Worker>,
    snapshot: &Snapshot,
    (message, fields): (&Message, &Fields),
    trail: Option<&mut Trail<'_>>,
) -> Option<Response<Body>> {
    let shared = &worker.shared;
    if shared.running.is_empty() && !shared.parked.any() {
        return None;
    }
    let (key, id) = fields.repeated(message)?;
    let other = key.in_other_era();
    // First: to identify the user, a token is verified again.
    if !shared.running.has(key.digest) && !shared.parked.has(other) {
        return None;
    }
    let approvals = shared.approvals()?;
    let user = user(snapshot, approvals, message);
    let refused = |problem: &Problem<'_>| {
        let call = fields.call(snapshot, message);
        answer::refused(shared, problem, message.id(), call.as_ref())
    };
    let place = match shared.holds.enter(&message.principal) {
        Ok(place) => place,
        Err(too_many) => return Some(refused(&Problem::TooManyHeld(too_many))),
    };
    let found = shared.running.join(key, user, id);
    let found = found.or_else(|| shared.parked.waits(other, user).map(Found::OtherEra))?;
    let (approval, ticket) = match found {
        Found::Joined(approval, ticket) => (approval, ticket),
        Found::OtherEra(approval) => {
            if let Some(trail) = trail {
                trail.approval(approval);
            }
            return Some(refused(&Problem::Repeated(Repeated::OtherEra(approval))));
        }
    };
    let made = Made::new(worker, approvals, (message, fields), (key, user), approval);
    let (response, is_result) = waited(made, ticket, place, (message, fields)).await;
    if let Some(trail) = trail {
        note(trail, approval, is_result);
    }
    Some(response)
}

/// Lets the client wait as it would for an approver.
async fn waited(
    made: Made,
    ticket: Ticket,
    place: Hold,
    (message, fields): (&Message, &Fields),
) -> Answered {
    if Delivery::of(message, fields) == Delivery::Hold {
        let token = fields.progress_token.clone();
        let call = made.clone();
        let answer = async move {
            let _place = place;
            answered(&call, ticket, None).await.0
        };
        (
            hold::in_stream(made, token, Phase::decided(), answer).await,
            true,
        )
    } else {
        let until = Instant::now() + made.worker.shared.settings.approval_hold;
        answered(&made, ticket, Some(until)).await
    }
}

fn note(trail: &mut Trail<'_>, approval: Id, is_result: bool) {
    if is_result {
        trail.collected(approval);
    } else {
        trail.approval(approval);
    }
}
