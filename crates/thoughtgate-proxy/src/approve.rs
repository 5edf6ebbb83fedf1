//! Calls that a human must approve first.
//!
//! Chooses how the client gets its answer, by the protocol features that it supports: as a task, by a
//! retry with a sealed request state, by sending the same call again, or by holding the request open.
//! Also answers messages that concern approvals. Decides nothing: a human does, and the policies are
//! evaluated again afterwards.

mod carried;
mod deferred;
mod delivery;
mod denial;
mod execution;
mod fields;
mod gathered;
mod hold;
mod holds;
mod joined;
mod large;
mod made;
mod no_answer;
mod parked;
mod phase;
mod pieces;
mod press;
mod renumbered;
mod running;
mod stream;
mod task;
mod tasks;
mod timestamp;
mod waiting;

use std::sync::Arc;

use http::Response;
use thoughtgate_approval::{Approvals, Digest, Id, Sealed, State, UserDigest};
use thoughtgate_policy::{Decision, Outcome};

use crate::audit::Trail;
use crate::body::Body;
use crate::message::{Message, Raw};
use crate::problem::Problem;
use crate::state::Snapshot;
use crate::worker::Worker;
use crate::{answer, forward};

pub use deferred::run as run_deferred;
use delivery::Delivery;
pub use denial::Denial;
use fields::Addressed;
pub use fields::Fields;
use holds::Hold;
pub use holds::{Holds, TooMany};
pub use large::awaits;
pub use parked::{Kept, PARKED_MAX, Parked};
pub use press::{PATH as PRESS_PATH, serve as serve_press};
pub use running::{RUNNING_MAX, Repeated, Running};
use waiting::Waiting;

/// Carries out the decision on a message that needs an approval, or concerns one.
pub async fn serve(
    worker: &Arc<Worker>,
    snapshot: &Snapshot,
    message: Message,
    fields: Box<Fields>,
    decision: &Decision,
    mut trail: Option<&mut Trail<'_>>,
) -> Response<Body> {
    if decision.outcome != Outcome::Reject
        && let Some(result) = large::collect(
            &worker.shared,
            snapshot,
            &message,
            &fields,
            trail.as_deref_mut(),
        )
    {
        return result;
    }
    match decision.outcome {
        Outcome::Forward => serve_permitted(worker, snapshot, message, &fields).await,
        Outcome::Reject => {
            withdraw(worker, &message, &fields, decision);
            answer::rejected(&worker.shared, snapshot, &message, decision)
        }
        Outcome::Approve { .. } => {
            let call = (&message, &*fields);
            let joined = joined::serve(worker, snapshot, call, trail.as_deref_mut()).await;
            match joined {
                Some(response) => response,
                None => respond(worker, snapshot, message, fields, decision, trail).await,
            }
        }
    }
}

/// Answers a permitted message that concerns approvals.
async fn serve_permitted(
    worker: &Arc<Worker>,
    snapshot: &Snapshot,
    mut message: Message,
    fields: &Fields,
) -> Response<Body> {
    let Some(approvals) = worker.shared.approvals() else {
        return forward::send(worker, &snapshot.rules, &mut message).await;
    };
    match fields.addressed {
        Addressed::Task(id) => {
            return tasks::serve(worker, snapshot, approvals, &message, fields, id).await;
        }
        Addressed::TaskList => return tasks::list(worker, snapshot, approvals, message).await,
        Addressed::Cancellation => {
            if let Some(id) = &fields.cancelled {
                worker.shared.held.cancel(&message, id.get());
            }
            // The call may have been forwarded already; then the upstream has to cancel it.
        }
        // The policies now permit without approval what needed one when the state was sealed.
        Addressed::State => {
            let sealed = named(approvals, &message, fields).and_then(Result::ok);
            let carried = sealed.map_or(Vec::new(), |sealed| sealed.carried);
            carried::give_back(&mut message, &carried);
        }
        Addressed::Upstream => {}
    }
    forward::send(worker, &snapshot.rules, &mut message).await
}

/// Answers a call that needs approval.
async fn respond(
    worker: &Arc<Worker>,
    snapshot: &Snapshot,
    mut message: Message,
    mut fields: Box<Fields>,
    decision: &Decision,
    trail: Option<&mut Trail<'_>>,
) -> Response<Body> {
    let asked = match ask(worker, snapshot, &message, &fields, decision).await {
        Ok(asked) => asked,
        Err(problem) => {
            if let Some(trail) = trail {
                trail.refused(&problem.reason());
            }
            let call = fields.call(snapshot, &message);
            return answer::refused(&worker.shared, &problem, message.id(), call.as_ref());
        }
    };
    if let Some(trail) = trail {
        trail.approval(asked.id);
    }
    // The state was meant for this proxy: the upstream did not issue it and could not read it.
    if let Some(carried) = asked.carried {
        carried::give_back(&mut message, &carried);
        fields.carried = carried;
    }
    let cancels_on_drop = asked.delivery.cancels_on_drop(message.era);
    let waiting = Waiting {
        user: asked.user,
        worker: Arc::clone(worker),
        caller: asked.approvals.caller(asked.id, cancels_on_drop),
        approvals: asked.approvals,
        message,
        fields,
        id: asked.id,
        digest: asked.digest,
        hold: asked.hold,
    };
    match asked.delivery {
        Delivery::Task => tasks::created(&waiting),
        Delivery::Retry => hold::until_retry(waiting).await,
        Delivery::Repeat => hold::until_repeat(waiting).await,
        Delivery::Hold => hold::streamed(waiting).await,
    }
}

/// Revokes the approval of a retried call that the policies now refuse.
fn withdraw(worker: &Worker, message: &Message, fields: &Fields, decision: &Decision) {
    let Some(approvals) = worker.shared.approvals() else {
        return;
    };
    let principal = &message.principal;
    // Only the approval of this very call: the policies have decided nothing about another one.
    if let Some(Ok(sealed)) = named(approvals, message, fields) {
        approvals.revoke(sealed.id, principal, &waiting::refusal(decision));
    }
}

/// The approval that a call waits for.
struct Asked {
    delivery: Delivery,
    approvals: Approvals,
    id: Id,
    digest: Digest,
    user: UserDigest,
    hold: Option<Hold>,
    /// The upstream's own state in the one that came with the call, if one did.
    carried: Option<Vec<u8>>,
}

/// Requests approval, or finds the approval that the call already waits for.
async fn ask(
    worker: &Worker,
    snapshot: &Snapshot,
    message: &Message,
    fields: &Fields,
    decision: &Decision,
) -> Result<Asked, Problem<'static>> {
    // A safeguard: without a channel, policies that ask for approval are refused at load.
    let approvals = worker.shared.approvals().ok_or(Problem::NoChannel)?;
    if message.id.is_none() || &*fields.method != "tools/call" {
        return Err(Problem::NotACall);
    }
    let principal = message.principal.as_str();
    let digest = fields.digest(principal);
    let delivery = Delivery::of(message, fields);
    // Before the approval is requested: nobody is asked about a call that cannot be held.
    let hold = hold_for(worker, delivery, principal, fields).map_err(Problem::TooManyHeld)?;
    let named = named(approvals, message, fields).transpose()?;
    let user = fields::user(snapshot, approvals, message);
    let id = match &named {
        Some(sealed) if !supersedes(approvals, sealed.id, principal, decision) => sealed.id,
        _ => {
            let (call, decided) = ((message, fields), (decision, snapshot.generation));
            requested(approvals, call, user, delivery, decided).await?
        }
    };
    Ok(Asked {
        delivery,
        approvals: approvals.clone(),
        id,
        digest,
        user,
        hold,
        carried: named.map(|sealed| sealed.carried),
    })
}

/// A place among the held calls, for a call that may be held.
fn hold_for(
    worker: &Worker,
    delivery: Delivery,
    principal: &str,
    fields: &Fields,
) -> Result<Option<Hold>, TooMany> {
    let place = || worker.shared.holds.enter(principal);
    match delivery {
        Delivery::Task => Ok(None),
        // A retry without a place is answered at once, not refused: its approval may be decided by now.
        Delivery::Retry if fields.own_state().is_some() => Ok(place().ok()),
        Delivery::Retry | Delivery::Repeat | Delivery::Hold => place().map(Some),
    }
}

/// The contents of the request state of a retried call, which names its approval; `None` if it has none of
/// this proxy's.
fn named(
    approvals: &Approvals,
    message: &Message,
    fields: &Fields,
) -> Option<Result<Sealed, Problem<'static>>> {
    let principal = message.principal.as_str();
    let sealed = approvals.unseal(fields.own_state()?, principal);
    Some(match sealed {
        // A genuine state may come with another call than the one that it was sealed for.
        Ok(sealed) if sealed.digest != fields.digest(principal) => Err(Problem::OtherCall),
        sealed => sealed.map_err(Problem::Unseal),
    })
}

/// Whether the policies now require approval in another channel than that of the approval, which then
/// ends: approvers are asked there. One that has ended already says more by its end.
fn supersedes(approvals: &Approvals, id: Id, principal: &str, decision: &Decision) -> bool {
    let is_unused = approvals
        .find(id, principal)
        .is_some_and(|view| matches!(view.state, State::Pending | State::Approved));
    let supersedes = is_unused && !approvals.is_asked_in(id, principal, channel(decision));
    if supersedes {
        approvals.supersede(id, principal);
    }
    supersedes
}

/// A new approval, or the one that the same call already waits for.
async fn requested(
    approvals: &Approvals,
    (message, fields): (&Message, &Fields),
    user: UserDigest,
    delivery: Delivery,
    (decision, generation): (&Decision, u64),
) -> Result<Id, Problem<'static>> {
    // A task's call is made later, without its client, and possibly by the next process.
    let kept = (delivery == Delivery::Task).then(|| deferred::keep(message));
    let call = thoughtgate_approval::Call {
        principal: &message.principal,
        tool: &fields.tool,
        arguments: fields.arguments.as_ref().map(Raw::get),
        channel: channel(decision),
        body: kept.as_deref(),
        user: Some(user),
        policies: &decision.policies,
        generation,
        cancelled_on_drop: delivery.cancels_on_drop(message.era),
    };
    approvals.request(call).await.map_err(Problem::Unrequested)
}

fn channel(decision: &Decision) -> Option<&str> {
    match &decision.outcome {
        Outcome::Approve { channel } => channel.as_deref(),
        Outcome::Forward | Outcome::Reject => None,
    }
}
