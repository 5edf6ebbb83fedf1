//! The third outcome: a call that a human must approve first.
//!
//! Picks how the client is answered, by what it speaks: as a task, by a retry with sealed request
//! state, or held open. Decides nothing: the human does, and the policies are asked again
//! afterwards. What belongs to approvals and not to the upstream is told apart here too.

mod cancel;
mod deferred;
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
use http::{Response, StatusCode, header};
use thoughtgate_approval::{Digest, Id, RequestError, digest, is_ours};
use thoughtgate_mcp::{Envelope, Era, Kind, Limits, codes, parse, without};
use thoughtgate_policy::{Decision, Outcome};

use crate::answer;
use crate::audit::Trail;
use crate::body::Body;
use crate::endpoint::Worker;
use crate::forward::{self, Call};
use crate::state::Snapshot;

pub use cancel::Held;
pub use deferred::run as run_deferred;
pub use holds::Holds;
pub use press::{PATH as PRESS_PATH, serve as serve_press};
use waiting::Waiting;

/// Where the request state is in a message.
const STATE: [&str; 2] = ["params", "requestState"];

/// A decided message, as it came.
pub struct Request {
    /// Its head, whose URI is already the upstream's.
    pub parts: Box<Parts>,
    /// Its body.
    pub bytes: Bytes,
    /// What is known of it.
    pub call: Call,
}

/// What of a message is addressed to the approvals, not to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressed {
    /// Nothing.
    Upstream,
    /// It brings a request state of ours, which nobody else can read.
    State,
    /// It is about a task of ours.
    Task(Id),
    /// It asks for all tasks, ours among them.
    TaskList,
    /// It takes a call back, perhaps one that is held here.
    Cancellation,
}

/// How a client is answered whose call needs a human.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// With a task, whose call is made without it.
    Task,
    /// After a while with request state, to come back with.
    Retry,
    /// When it is decided; until then with comments, if it takes a stream.
    Hold { stream: bool },
}

/// Tells what a message is addressed to. Cheap where it is about neither.
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

/// Answers a permitted message of which something is ours.
pub async fn answer(
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
            // The call may be one that went on, and is then the upstream's to end.
            let Request { parts, bytes, call } = request;
            forward::send(worker, &snapshot.rules, parts, bytes, &call).await
        }
        Addressed::State | Addressed::Upstream => {
            // The policies permit by now what they put before a human when the state was sealed.
            let mut request = request;
            let bytes = without_state(&mut request.parts, request.bytes);
            forward::send(worker, &snapshot.rules, request.parts, bytes, &request.call).await
        }
    }
}

/// Answers a call that needs a human.
pub async fn respond(
    worker: &Arc<Worker>,
    snapshot: &Snapshot,
    request: Request,
    decision: &Decision,
    trail: Option<&mut Trail<'_>>,
) -> Response<Body> {
    match ask(worker, snapshot, &request, decision).await {
        Ok((way, waiting)) => {
            if let Some(trail) = trail {
                trail.approval(waiting.id);
            }
            match way {
                Way::Task => tasks::created(&waiting),
                Way::Retry => hold::until_retry(waiting).await,
                Way::Hold { stream: true } => hold::streamed(waiting),
                Way::Hold { stream: false } => hold::silent(waiting).await,
            }
        }
        Err((code, text)) => {
            if let Some(trail) = trail {
                // What is wrong with a call is told in the agent's own words.
                trail.refused(match code {
                    codes::INVALID_PARAMS => "nobody can be asked about the call as it is",
                    _ => &text,
                });
            }
            answer::error(
                answer::refused_status(&request.call),
                &request.bytes,
                request.call.expects_answer,
                code,
                &text,
            )
        }
    }
}

/// The policies refuse a call that came back with a request state: its approval goes too.
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

/// Asks a human, or finds the approval that the call already waits for.
async fn ask(
    worker: &Arc<Worker>,
    snapshot: &Snapshot,
    request: &Request,
    decision: &Decision,
) -> Result<(Way, Waiting), (i64, String)> {
    let Some(approvals) = worker.shared.approvals() else {
        // Policies that ask for approval are not accepted at load then.
        let text = "this call needs approval, and no approval channel is configured";
        return Err((codes::APPROVAL_UNAVAILABLE, text.to_owned()));
    };
    let Some(envelope) = read(&request.bytes)
        .filter(|envelope| envelope.kind == Kind::Request && envelope.method == "tools/call")
    else {
        let text = "only a tools/call that expects an answer can be approved";
        return Err((codes::POLICY_DENIED, text.to_owned()));
    };
    let params = &envelope.params;
    let principal = request.call.principal.as_str();
    let tool = params.name.as_deref().unwrap_or_default();
    let digest = digest_of(&envelope, principal);
    let way = Way::of(request, &envelope);
    let place = || worker.shared.holds.enter(principal);
    let hold = match way {
        Way::Task => None,
        // Its approval may have been decided by now, so it is not refused; it is not held either.
        Way::Retry if params.request_state.is_some() => place().ok(),
        Way::Retry | Way::Hold { .. } => {
            Some(place().map_err(|too_many| (codes::OVERLOADED, too_many.to_string()))?)
        }
    };
    let (mut parts, mut bytes) = (request.parts.clone(), request.bytes.clone());
    let id = if let Some(state) = params
        .request_state
        .as_deref()
        .filter(|state| is_ours(state))
    {
        bytes = without_state(&mut parts, bytes);
        let sealed = approvals
            .unseal(state, principal)
            .map_err(|error| (codes::INVALID_PARAMS, error.to_string()))?;
        if sealed.digest != digest {
            let text = "the request state belongs to another call; send this one without it";
            return Err((codes::INVALID_PARAMS, text.to_owned()));
        }
        sealed.id
    } else {
        let kept =
            (way == Way::Task).then(|| deferred::keep(&request.parts, &bytes, request.call.era));
        let call = thoughtgate_approval::Call {
            principal,
            tool,
            arguments: params.arguments,
            channel: channel(decision),
            body: kept.as_deref(),
            policies: &decision.policies,
            generation: snapshot.generation,
        };
        approvals
            .request(call)
            .await
            .map_err(|error| (code(&error), error.to_string()))?
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
    Ok((way, waiting))
}

fn digest_of(envelope: &Envelope<'_>, principal: &str) -> Digest {
    let params = &envelope.params;
    let tool = params.name.as_deref().unwrap_or_default();
    digest(principal, tool, params.arguments)
}

/// The call as it would have come without us.
fn without_state(parts: &mut Parts, bytes: Bytes) -> Bytes {
    let Some(shorter) = without(&bytes, &STATE) else {
        return bytes;
    };
    // The client's length is that of the longer body; hyper tells the new one.
    parts.headers.remove(header::CONTENT_LENGTH);
    Bytes::from(shorter)
}

fn channel(decision: &Decision) -> Option<&str> {
    match &decision.outcome {
        Outcome::Approve { channel } => channel.as_deref(),
        Outcome::Forward | Outcome::Reject => None,
    }
}

fn code(error: &RequestError) -> i64 {
    match error {
        RequestError::DuplicateKey(_)
        | RequestError::Unreadable
        | RequestError::TooLarge { .. }
        | RequestError::NameTooLong { .. } => codes::INVALID_PARAMS,
        RequestError::Closed => codes::DRAINING,
        _ => codes::APPROVAL_UNAVAILABLE,
    }
}

impl Way {
    fn of(request: &Request, envelope: &Envelope<'_>) -> Way {
        let params = &envelope.params;
        // A client that carries the server's request state could not carry ours beside it.
        let foreign = params.input_responses.is_some()
            || params
                .request_state
                .as_deref()
                .is_some_and(|state| !is_ours(state));
        let returns = params.request_state.as_deref().is_some_and(is_ours);
        match request.call.era {
            Era::Modern if returns => Way::Retry,
            Era::Modern if params.declares_tasks() => Way::Task,
            Era::Modern if !foreign => Way::Retry,
            Era::Legacy if params.task.is_some() => Way::Task,
            Era::Modern | Era::Legacy => Way::Hold {
                stream: takes_stream(&request.parts),
            },
        }
    }
}

fn takes_stream(parts: &Parts) -> bool {
    parts
        .headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.to_ascii_lowercase().contains("text/event-stream"))
}

/// A message that was understood before, read again: only approvals need it a second time.
fn read(bytes: &[u8]) -> Option<Envelope<'_>> {
    parse(bytes, &Limits { depth: usize::MAX }).ok()
}

/// Why the answer of a call that was made cannot be read.
const ENCODED: &str = "the call was made, but its answer cannot be read: it has a Content-Encoding, and was asked for without one; configure the server to honour Accept-Encoding";

/// What an upstream's answer is called that is no message, such as a 401 with a page.
fn no_message(status: StatusCode) -> String {
    format!("the upstream answered with status {status} and no JSON-RPC message")
}

/// The approvals' own answer to `message`, with what a program may want to know.
fn ended(message: &[u8], id: Id, end: &waiting::End) -> Response<Body> {
    let envelope = read(message);
    let own = envelope.and_then(|envelope| envelope.id);
    let data = end.data(id);
    answer::json(
        StatusCode::OK,
        thoughtgate_mcp::reply::error(own, end.code, &end.text, Some(&data)),
    )
}
