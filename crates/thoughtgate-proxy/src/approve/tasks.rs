//! Approvals as tasks: `tasks/*` of both eras, about the tasks that are ours.
//!
//! 2025-11-25 keeps the result for `tasks/result`, 2026-07-28 puts it into `tasks/get`. A task is its
//! principal's alone; another's does not exist. Makes no call; `deferred.rs` does.

use std::sync::Arc;

use http::{Response, StatusCode};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use thoughtgate_approval::{Approvals, Id, State, View};
use thoughtgate_mcp::{Envelope, Era, codes, reply, tasks, without};

use super::deferred::{self, Outcome};
use super::holds::Hold;
use super::task::{Task, end};
use super::waiting::{End, Waiting};
use super::{Request, ended, read, stream, takes_stream};
use crate::answer;
use crate::body::Body;
use crate::endpoint::Worker;
use crate::forward;
use crate::headers::ask_for_identity;
use crate::state::Snapshot;

/// The result of a call that became a task (2025-11-25).
#[derive(Serialize)]
struct Created {
    task: Task,
    #[serde(rename = "_meta")]
    meta: Value,
}

/// The answer to a call that became a task.
pub fn created(waiting: &Waiting) -> Response<Body> {
    let Some(view) = waiting.approvals.find(waiting.id, &waiting.call.principal) else {
        return unknown(read(&waiting.bytes).as_ref());
    };
    let own = read(&waiting.bytes).and_then(|envelope| envelope.id);
    let Waiting {
        approvals, call, ..
    } = waiting;
    let task = Task::of(approvals, &view, &call.principal, call.era).bare();
    let body = match call.era {
        Era::Modern => reply::result(own, &task.created()),
        Era::Legacy => {
            // What the model is told at once, since the result comes later.
            let meta =
                json!({ "io.modelcontextprotocol/model-immediate-response": view.explain() });
            reply::result(own, &Created { task, meta })
        }
    };
    answer::json(StatusCode::OK, body)
}

/// Answers a message about a task of ours.
pub async fn serve(
    worker: &Arc<Worker>,
    approvals: &Approvals,
    request: Request,
    id: Id,
) -> Response<Body> {
    let Some(envelope) = read(&request.bytes) else {
        return unknown(None);
    };
    let call = &request.call;
    if call.era == Era::Modern && !envelope.params.declares_tasks() {
        return undeclared(&envelope);
    }
    let Some(view) = approvals.find(id, &call.principal) else {
        return unknown(Some(&envelope));
    };
    match (call.era, envelope.method.as_ref()) {
        (era, "tasks/get") => {
            let task = Task::of(approvals, &view, &call.principal, era);
            let task = if era == Era::Legacy {
                task.bare()
            } else {
                task
            };
            answer::json(StatusCode::OK, reply::result(envelope.id, &task))
        }
        (era, "tasks/cancel") => {
            approvals.cancel(id, &call.principal);
            match era {
                Era::Modern => acknowledged(&envelope),
                Era::Legacy => cancelled(approvals, &view, &envelope, &call.principal),
            }
        }
        // Nothing is ever asked of the client, so there is nothing that it could answer.
        (Era::Modern, "tasks/update") => acknowledged(&envelope),
        (Era::Legacy, "tasks/result") => {
            // It is held like a call until its task has ended.
            let hold = view
                .state
                .is_open()
                .then(|| worker.shared.holds.enter(&call.principal));
            match hold.transpose() {
                Ok(hold) => result(worker, approvals, &request, id, hold).await,
                Err(too_many) => {
                    let text = too_many.to_string();
                    let body = reply::error(envelope.id, codes::OVERLOADED, &text, None);
                    answer::json(StatusCode::OK, body)
                }
            }
        }
        _ => {
            let text = "no such method for a task of an approval";
            let body = reply::error(envelope.id, codes::METHOD_NOT_FOUND, text, None);
            answer::json(StatusCode::OK, body)
        }
    }
}

/// Answers `tasks/list`: ours first, then what the upstream has, if it has tasks at all.
pub async fn list(
    worker: &Arc<Worker>,
    snapshot: &Snapshot,
    approvals: &Approvals,
    request: Request,
) -> Response<Body> {
    let Request {
        mut parts,
        bytes,
        call,
    } = request;
    let first_page = without(&bytes, &["params", "cursor"]).is_none();
    let kept = approvals.list(&call.principal).into_iter();
    let ours: Vec<Box<RawValue>> = kept
        .filter(|view| view.is_deferred)
        .map(|view| Task::of(approvals, &view, &call.principal, call.era).bare())
        .filter_map(|task| to_raw_value(&task).ok())
        .collect();
    if ours.is_empty() || !first_page || call.era == Era::Modern {
        return forward::send(worker, &snapshot.rules, parts, bytes, &call).await;
    }
    let own = read(&bytes).and_then(|envelope| envelope.id.map(ToOwned::to_owned));
    let bytes_max = snapshot.rules.limits.list_bytes;
    ask_for_identity(&mut parts.headers);
    let theirs = match forward::exchange(worker, &snapshot.rules, parts, bytes, &call).await {
        Ok(head) => {
            let mut room = worker.shared.budget.lend();
            let outcome = deferred::outcome(head, bytes_max, &mut room);
            let deadline = snapshot.rules.response_timeout;
            let within = tokio::time::timeout(deadline, outcome).await;
            within.ok().and_then(Result::ok)
        }
        Err(_) => None,
    };
    let theirs = match &theirs {
        Some(Outcome::Result(result)) => reply::result(own.as_deref(), result),
        // An upstream without tasks says so with an error; ours are there all the same.
        Some(Outcome::Error(_)) | None => reply::result(own.as_deref(), &json!({ "tasks": [] })),
    };
    let both = tasks::prepend(&theirs, &ours);
    answer::json(StatusCode::OK, both.unwrap_or(theirs))
}

/// Waits for the end of a task, and tells it.
async fn result(
    worker: &Arc<Worker>,
    approvals: &Approvals,
    request: &Request,
    id: Id,
    hold: Option<Hold>,
) -> Response<Body> {
    let shared = &worker.shared;
    let (approvals, message) = (approvals.clone(), request.bytes.clone());
    let principal = request.call.principal.clone();
    let mut draining = shared.draining();
    let answer = async move {
        let _hold = hold;
        let view = tokio::select! {
            view = approvals.wait_end(id, &principal, approvals.life()) => view,
            _ = draining.wait_for(|draining| *draining) => approvals.find(id, &principal),
        };
        match view {
            Some(view) => told(&approvals, &view, &principal, &message),
            None => unknown(read(&message).as_ref()),
        }
    };
    if takes_stream(&request.parts) {
        let every = shared.settings.approval_keep_alive;
        stream::respond(every, request.bytes.clone(), answer)
    } else {
        answer.await
    }
}

/// What the call itself would have been answered.
fn told(approvals: &Approvals, view: &View, principal: &str, message: &[u8]) -> Response<Body> {
    let own = read(message).and_then(|envelope| envelope.id);
    let body = match end(approvals, view, principal) {
        Some(Outcome::Result(result)) => {
            let marked = tasks::related(&result, &view.id.to_string());
            reply::result(own, &marked.unwrap_or(result))
        }
        Some(Outcome::Error(error)) => reply::failed(own, &error),
        None => return ended(message, view.id, &End::stopping(view)),
    };
    answer::json(StatusCode::OK, body)
}

/// The answer of 2025-11-25 to a cancellation, which cannot be refused silently.
fn cancelled(
    approvals: &Approvals,
    before: &View,
    envelope: &Envelope<'_>,
    principal: &str,
) -> Response<Body> {
    let now = approvals.find(before.id, principal);
    let body = if let Some(now) = now.filter(|now| now.state == State::Cancelled)
        && before.state.is_open()
    {
        let task = Task::of(approvals, &now, principal, Era::Legacy);
        reply::result(envelope.id, &task.bare())
    } else {
        let text = format!("the task cannot be cancelled: {}", before.explain());
        reply::error(envelope.id, codes::INVALID_PARAMS, &text, None)
    };
    answer::json(StatusCode::OK, body)
}

fn acknowledged(envelope: &Envelope<'_>) -> Response<Body> {
    let body = reply::result(envelope.id, &json!({ "resultType": "complete" }));
    answer::json(StatusCode::OK, body)
}

fn unknown(envelope: Option<&Envelope<'_>>) -> Response<Body> {
    let own = envelope.and_then(|envelope| envelope.id);
    let text = "no such task, or it has been forgotten";
    let body = reply::error(own, codes::INVALID_PARAMS, text, None);
    answer::json(StatusCode::OK, body)
}

fn undeclared(envelope: &Envelope<'_>) -> Response<Body> {
    let data = json!({ "requiredCapabilities": { "extensions": { "io.modelcontextprotocol/tasks": {} } } });
    let code = codes::MISSING_CLIENT_CAPABILITY;
    let text = "declare the extension io.modelcontextprotocol/tasks to ask about tasks";
    let body = reply::error(envelope.id, code, text, Some(&data));
    answer::json(StatusCode::BAD_REQUEST, body)
}
