//! Calls that a human must approve first.
//!
//! Chooses how the client gets its answer, by the protocol features that it supports: as a task, by a
//! retry with a sealed request state, or by holding the request open. Also recognises messages that
//! concern approvals. Decides nothing: a human does, and the policies are evaluated again afterwards.

mod deferred;
mod denial;
mod hold;
mod holds;
mod press;
mod stream;
mod task;
mod tasks;
mod waiting;

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, header};
use thoughtgate_approval::{Approvals, Digest, Id, digest, is_ours};
use thoughtgate_mcp::{Envelope, Era, Kind, Params, without};
use thoughtgate_policy::{Decision, Outcome};

use crate::audit::Trail;
use crate::body::Body;
use crate::headers::takes_stream;
use crate::message::{Request, read};
use crate::problem::Problem;
use crate::state::Snapshot;
use crate::worker::Worker;
use crate::{answer, forward};

pub use deferred::run as run_deferred;
pub use denial::Denial;
use holds::Hold;
pub use holds::{Holds, TooMany};
pub use press::{PATH as PRESS_PATH, serve as serve_press};
use waiting::Waiting;

/// Path of the request state in a message.
const STATE: [&str; 2] = ["params", "requestState"];

/// The part of a message that concerns approvals, and not the upstream alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressed {
    /// None: the message is for the upstream alone.
    Upstream,
    /// A request state with this proxy's prefix, which the upstream could not read.
    State,
    /// A task id in this proxy's format.
    Task(Id),
    /// A request for all tasks: the answer has this proxy's and the upstream's.
    TaskList,
    /// A cancellation of a call, which this proxy may be holding.
    Cancellation,
}

/// Delivery of the decision on a call to its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    /// The client gets a task at once; the call is made later, without the client.
    Task,
    /// The client gets a request state after a while, and retries the call with it.
    Retry,
    /// The request is held until the decision, with keep-alive events if the client accepts a stream.
    Hold { stream: bool },
}

/// Finds whether a message concerns approvals. Cheap: compares the method, and a prefix of the state.
pub fn addressed(envelope: &Envelope<'_>) -> Addressed {
    let params = &envelope.params;
    if params.request_state.as_deref().is_some_and(is_ours) {
        return Addressed::State;
    }
    match envelope.method.as_ref() {
        "tasks/list" => Addressed::TaskList,
        "notifications/cancelled" => Addressed::Cancellation,
        method if method.starts_with("tasks/") => params
            .task_id
            .as_deref()
            .and_then(Id::parse)
            .map_or(Addressed::Upstream, Addressed::Task),
        _ => Addressed::Upstream,
    }
}

/// Answers a permitted message that concerns approvals.
pub async fn serve_permitted(
    worker: &Arc<Worker>,
    snapshot: &Snapshot,
    request: Request,
    addressed: Addressed,
) -> Response<Body> {
    let Some(approvals) = worker.shared.approvals() else {
        let Request { parts, bytes, call } = request;
        return forward::send(worker, &snapshot.rules, parts, bytes, &call).await;
    };
    match addressed {
        Addressed::Task(id) => tasks::serve(worker, approvals, request, id).await,
        Addressed::TaskList => tasks::list(worker, snapshot, approvals, request).await,
        Addressed::Cancellation => {
            worker.shared.held.cancel(&request);
            // The call may have been forwarded already; then the upstream has to cancel it.
            let Request { parts, bytes, call } = request;
            forward::send(worker, &snapshot.rules, parts, bytes, &call).await
        }
        Addressed::State | Addressed::Upstream => {
            // The policies now permit without approval what needed one when the state was sealed.
            let mut request = request;
            let bytes = without_state(&mut request.parts, request.bytes);
            forward::send(worker, &snapshot.rules, request.parts, bytes, &request.call).await
        }
    }
}

/// Answers a call that needs approval.
pub async fn respond(
    worker: &Arc<Worker>,
    snapshot: &Snapshot,
    request: Request,
    decision: &Decision,
    trail: Option<&mut Trail<'_>>,
) -> Response<Body> {
    match ask(worker, snapshot, &request, decision).await {
        Ok((delivery, waiting)) => {
            if let Some(trail) = trail {
                trail.approval(waiting.id);
            }
            match delivery {
                Delivery::Task => tasks::created(&waiting),
                Delivery::Retry => hold::until_retry(waiting).await,
                Delivery::Hold { stream: true } => hold::streamed(waiting),
                Delivery::Hold { stream: false } => hold::silent(waiting).await,
            }
        }
        Err(problem) => {
            if let Some(trail) = trail {
                trail.refused(&problem.reason());
            }
            let id = request.call.id(&request.bytes);
            answer::problem(&worker.shared, &problem, id.as_deref())
        }
    }
}

/// Revokes the approval of a retried call that the policies now refuse.
pub fn withdraw(worker: &Worker, request: &Request, decision: &Decision) {
    let Some(approvals) = worker.shared.approvals() else {
        return;
    };
    let principal = &request.call.principal;
    if let Some(envelope) = read(&request.bytes)
        && let Some(state) = envelope.params.request_state.as_deref()
        && let Ok(sealed) = approvals.unseal(state, principal)
        && sealed.digest == digest_of(&envelope, principal)
    {
        approvals.revoke(sealed.id, principal, &waiting::refusal(decision));
    }
}

/// Requests approval, or finds the approval that the call already waits for.
async fn ask(
    worker: &Arc<Worker>,
    snapshot: &Snapshot,
    request: &Request,
    decision: &Decision,
) -> Result<(Delivery, Waiting), Problem<'static>> {
    // A safeguard: without a channel, policies that ask for approval are refused at load.
    let approvals = worker.shared.approvals().ok_or(Problem::NoChannel)?;
    let envelope = read(&request.bytes)
        .filter(|envelope| envelope.kind == Kind::Request && envelope.method == "tools/call")
        .ok_or(Problem::NotACall)?;
    let params = &envelope.params;
    let principal = request.call.principal.as_str();
    let digest = digest_of(&envelope, principal);
    let delivery = Delivery::of(request, &envelope);
    let hold = hold_for(worker, delivery, principal, params).map_err(Problem::TooManyHeld)?;
    let (mut parts, mut bytes) = (request.parts.clone(), request.bytes.clone());
    let state = params.request_state.as_deref();
    let id = if let Some(state) = state.filter(|state| is_ours(state)) {
        bytes = without_state(&mut parts, bytes);
        sealed(approvals, state, principal, &digest)?
    } else {
        requested(approvals, snapshot, request, params, delivery, decision).await?
    };
    let waiting = Waiting {
        worker: Arc::clone(worker),
        approvals: approvals.clone(),
        parts,
        bytes,
        call: request.call.clone(),
        id,
        digest,
        hold,
    };
    Ok((delivery, waiting))
}

/// A place among the held calls, for a call that may be held.
fn hold_for(
    worker: &Worker,
    delivery: Delivery,
    principal: &str,
    params: &Params<'_>,
) -> Result<Option<Hold>, TooMany> {
    let place = || worker.shared.holds.enter(principal);
    match delivery {
        Delivery::Task => Ok(None),
        // A retry without a place is answered at once, not refused: its approval may be decided by now.
        Delivery::Retry if params.request_state.is_some() => Ok(place().ok()),
        Delivery::Retry | Delivery::Hold { .. } => place().map(Some),
    }
}

/// The approval that a retried call names, if it is for this call.
fn sealed(
    approvals: &Approvals,
    state: &str,
    principal: &str,
    digest: &Digest,
) -> Result<Id, Problem<'static>> {
    let sealed = approvals
        .unseal(state, principal)
        .map_err(Problem::Unseal)?;
    if sealed.digest == *digest {
        Ok(sealed.id)
    } else {
        Err(Problem::OtherCall)
    }
}

/// A new approval, or the one that the same call already waits for.
async fn requested(
    approvals: &Approvals,
    snapshot: &Snapshot,
    request: &Request,
    params: &Params<'_>,
    delivery: Delivery,
    decision: &Decision,
) -> Result<Id, Problem<'static>> {
    let (parts, bytes, call) = (&request.parts, &request.bytes, &request.call);
    let cancelled_on_drop = call.era == Era::Modern && delivery != Delivery::Task;
    let kept = (delivery == Delivery::Task).then(|| deferred::keep(parts, bytes, call.era));
    let call = thoughtgate_approval::Call {
        principal: &call.principal,
        tool: params.name.as_deref().unwrap_or_default(),
        arguments: params.arguments,
        channel: channel(decision),
        body: kept.as_deref(),
        policies: &decision.policies,
        generation: snapshot.generation,
        cancelled_on_drop,
    };
    approvals.request(call).await.map_err(Problem::Unrequested)
}

fn digest_of(envelope: &Envelope<'_>, principal: &str) -> Digest {
    let params = &envelope.params;
    let tool = params.name.as_deref().unwrap_or_default();
    digest(principal, tool, params.arguments)
}

/// The call without its request state, as the upstream expects it.
fn without_state(parts: &mut Parts, bytes: Bytes) -> Bytes {
    let Some(shorter) = without(&bytes, &STATE) else {
        return bytes;
    };
    // The client's Content-Length is that of the longer body; hyper sets the new one.
    parts.headers.remove(header::CONTENT_LENGTH);
    Bytes::from(shorter)
}

fn channel(decision: &Decision) -> Option<&str> {
    match &decision.outcome {
        Outcome::Approve { channel } => channel.as_deref(),
        Outcome::Forward | Outcome::Reject => None,
    }
}

impl Delivery {
    fn of(request: &Request, envelope: &Envelope<'_>) -> Delivery {
        let params = &envelope.params;
        // A client that carries the upstream's request state cannot carry a second one.
        let foreign = params.input_responses.is_some()
            || params
                .request_state
                .as_deref()
                .is_some_and(|state| !is_ours(state));
        let returns = params.request_state.as_deref().is_some_and(is_ours);
        match request.call.era {
            Era::Modern if returns => Delivery::Retry,
            Era::Modern if params.declares_tasks() => Delivery::Task,
            Era::Modern if !foreign => Delivery::Retry,
            Era::Legacy if params.task.is_some() => Delivery::Task,
            Era::Modern | Era::Legacy => Delivery::Hold {
                stream: takes_stream(&request.parts.headers),
            },
        }
    }
}
