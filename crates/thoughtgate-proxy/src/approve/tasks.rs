//! Approvals as tasks: the `tasks/*` methods of both eras, for the tasks of this proxy.
//!
//! 2025-11-25 returns the result with `tasks/result`, 2026-07-28 with `tasks/get`. A task belongs to one
//! principal; for all others it does not exist. The calls are made by `deferred.rs`.

use std::sync::Arc;

use http::{Response, StatusCode};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use thoughtgate_approval::{Approvals, Id, State, View};
use thoughtgate_mcp::{Envelope, Era, reply, tasks, without};

use super::deferred::{self, Outcome};
use super::denial::Denial;
use super::holds::Hold;
use super::stream;
use super::task::{Task, end};
use super::waiting::{Waiting, ended};
use crate::body::Body;
use crate::headers::{ask_for_identity, takes_stream};
use crate::message::{Request, read};
use crate::problem::Problem;
use crate::state::{Shared, Snapshot};
use crate::worker::Worker;
use crate::{answer, forward};

/// The result of a call that became a task (2025-11-25).
#[derive(Serialize)]
struct Created {
    task: Task,
    #[serde(rename = "_meta")]
    meta: Value,
}

/// The answer to a call that became a task.
pub fn created(waiting: &Waiting) -> Response<Body> {
    let own = read(&waiting.bytes).and_then(|envelope| envelope.id);
    let Some(view) = waiting.approvals.find(waiting.id, &waiting.call.principal) else {
        return answer::problem(&waiting.worker.shared, &Problem::NoTask, own);
    };
    let Waiting {
        approvals, call, ..
    } = waiting;
    let task = Task::of(approvals, &view, &call.principal, call.era).bare();
    let body = match call.era {
        Era::Modern => reply::result(own, &task.created()),
        Era::Legacy => {
            // Shown to the model at once, because the result comes later.
            let meta =
                json!({ "io.modelcontextprotocol/model-immediate-response": view.explain() });
            reply::result(own, &Created { task, meta })
        }
    };
    answer::json(StatusCode::OK, body)
}

/// Answers a message about a task of this proxy.
pub async fn serve(
    worker: &Arc<Worker>,
    approvals: &Approvals,
    request: Request,
    id: Id,
) -> Response<Body> {
    let shared = &worker.shared;
    let Some(envelope) = read(&request.bytes) else {
        return answer::problem(shared, &Problem::NoTask, None);
    };
    let refused = |problem| answer::problem(shared, &problem, envelope.id);
    let call = &request.call;
    if call.era == Era::Modern && !envelope.params.declares_tasks() {
        return refused(Problem::TasksUndeclared);
    }
    let Some(view) = approvals.find(id, &call.principal) else {
        return refused(Problem::NoTask);
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
                Era::Legacy => cancelled(shared, approvals, &view, &envelope, &call.principal),
            }
        }
        // A task of this proxy never asks its client for input, so there is nothing to update.
        (Era::Modern, "tasks/update") => acknowledged(&envelope),
        (Era::Legacy, "tasks/result") => {
            // The request is held like a call until its task has ended.
            let hold = view
                .state
                .is_open()
                .then(|| shared.holds.enter(&call.principal));
            match hold.transpose() {
                Ok(hold) => result(worker, approvals, &request, id, hold).await,
                Err(too_many) => refused(Problem::TooManyHeld(too_many)),
            }
        }
        _ => refused(Problem::TaskMethod),
    }
}

/// Answers `tasks/list`: this proxy's tasks first, then the upstream's, if it supports tasks.
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
        // An upstream without tasks answers with an error; this proxy's are listed all the same.
        Some(Outcome::Error(_)) | None => reply::result(own.as_deref(), &json!({ "tasks": [] })),
    };
    let both = tasks::prepend(&theirs, &ours);
    answer::json(StatusCode::OK, both.unwrap_or(theirs))
}

/// Waits until a task has ended, and answers with its outcome.
async fn result(
    worker: &Arc<Worker>,
    approvals: &Approvals,
    request: &Request,
    id: Id,
    hold: Option<Hold>,
) -> Response<Body> {
    let shared = Arc::clone(&worker.shared);
    let every = shared.settings.approval_keep_alive;
    let (approvals, message) = (approvals.clone(), request.bytes.clone());
    let principal = request.call.principal.clone();
    let mut draining = shared.drain.watch();
    let answer = async move {
        let _hold = hold;
        let view = tokio::select! {
            view = approvals.wait_end(id, &principal, approvals.life()) => view,
            _ = draining.wait_for(|draining| *draining) => approvals.find(id, &principal),
        };
        if let Some(view) = view {
            told(&shared, &approvals, &view, &principal, &message)
        } else {
            let own = read(&message).and_then(|envelope| envelope.id);
            answer::problem(&shared, &Problem::NoTask, own)
        }
    };
    if takes_stream(&request.parts.headers) {
        stream::respond(every, request.bytes.clone(), answer)
    } else {
        answer.await
    }
}

/// The answer that the call itself would have got.
fn told(
    shared: &Shared,
    approvals: &Approvals,
    view: &View,
    principal: &str,
    message: &[u8],
) -> Response<Body> {
    let own = read(message).and_then(|envelope| envelope.id);
    let body = match end(approvals, view, principal) {
        Some(Outcome::Result(result)) => {
            let marked = tasks::related(&result, &view.id.to_string());
            reply::result(own, &marked.unwrap_or(result))
        }
        Some(Outcome::Error(error)) => reply::failed(own, &error),
        None => return ended(shared, message, view.id, &Denial::stopping(view)),
    };
    answer::json(StatusCode::OK, body)
}

/// The 2025-11-25 answer to a cancellation: the cancelled task, or an error if it cannot be cancelled.
fn cancelled(
    shared: &Shared,
    approvals: &Approvals,
    before: &View,
    envelope: &Envelope<'_>,
    principal: &str,
) -> Response<Body> {
    let now = approvals.find(before.id, principal);
    if let Some(now) = now.filter(|now| now.state == State::Cancelled)
        && before.state.is_open()
    {
        let task = Task::of(approvals, &now, principal, Era::Legacy);
        let body = reply::result(envelope.id, &task.bare());
        return answer::json(StatusCode::OK, body);
    }
    let problem = Problem::NotCancellable(before.explain());
    answer::problem(shared, &problem, envelope.id)
}

fn acknowledged(envelope: &Envelope<'_>) -> Response<Body> {
    let body = reply::result(envelope.id, &json!({ "resultType": "complete" }));
    answer::json(StatusCode::OK, body)
}
