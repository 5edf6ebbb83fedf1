//! Approvals as tasks: the `tasks/*` methods of both eras, for the tasks of this proxy.
//!
//! 2025-11-25 returns the result with `tasks/result`, 2026-07-28 with `tasks/get`. A task belongs to one
//! user of one agent; for all others it does not exist. The calls are made by `deferred.rs`.

use std::sync::Arc;

use http::{Response, StatusCode};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use thoughtgate_approval::{Approvals, Id, State, View};
use thoughtgate_mcp::{Era, reply, tasks, without};

use super::deferred::{self, Outcome};
use super::denial::Denial;
use super::fields::{Fields, user};
use super::holds::Hold;
use super::phase::Phase;
use super::stream;
use super::task::{Task, end};
use super::waiting::Waiting;
use crate::body::Body;
use crate::headers::{ask_for_identity, takes_stream};
use crate::message::{Message, Raw};
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
    let Waiting {
        approvals, message, ..
    } = waiting;
    let (shared, own) = (&waiting.worker.shared, message.id());
    let Some(view) = approvals.find(waiting.id, &message.principal) else {
        return answer::problem(shared, &Problem::NoTask, own);
    };
    let task = Task::of(shared, approvals, &view, &message.principal, message.era).bare();
    let body = match message.era {
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
    snapshot: &Snapshot,
    approvals: &Approvals,
    message: &Message,
    fields: &Fields,
    id: Id,
) -> Response<Body> {
    let shared = &worker.shared;
    let (own, principal) = (message.id(), &message.principal);
    let refused = |problem| answer::problem(shared, &problem, own);
    // Declared per request in 2026-07-28: an earlier declaration does not count.
    if message.era == Era::Modern && !fields.declares_tasks {
        return refused(Problem::TasksUndeclared);
    }
    let user = user(snapshot, approvals, message);
    let Some(view) = approvals.task(id, principal, user) else {
        return refused(Problem::NoTask);
    };
    match (message.era, &*fields.method) {
        (era, "tasks/get") => {
            let task = Task::of(shared, approvals, &view, principal, era);
            let task = if era == Era::Legacy {
                task.bare()
            } else {
                task
            };
            answer::json(StatusCode::OK, reply::result(own, &task))
        }
        (era, "tasks/cancel") => {
            // Without effect once the call is being made: its task then ends as the call does.
            approvals.cancel(id, principal);
            match era {
                Era::Modern => acknowledged(own),
                Era::Legacy => cancelled(shared, approvals, &view, message),
            }
        }
        // A task of this proxy never asks its client for input, so there is nothing to update.
        (Era::Modern, "tasks/update") => acknowledged(own),
        (Era::Legacy, "tasks/result") => {
            // The request is held like a call until its task has ended.
            let hold = view.state.is_open().then(|| shared.holds.enter(principal));
            match hold.transpose() {
                Ok(hold) => result(worker, approvals, message, fields, id, hold).await,
                Err(too_many) => refused(Problem::TooManyHeld(too_many)),
            }
        }
        // Methods of the other era, and unknown ones: not forwarded, as the upstream does not know the task.
        _ => refused(Problem::TaskMethod),
    }
}

/// Answers `tasks/list`: this proxy's tasks first, then the upstream's, if it supports tasks.
pub async fn list(
    worker: &Arc<Worker>,
    snapshot: &Snapshot,
    approvals: &Approvals,
    mut message: Message,
) -> Response<Body> {
    let first_page = without(&message.bytes, &["params", "cursor"]).is_none();
    let (principal, era) = (&message.principal, message.era);
    let user = user(snapshot, approvals, &message);
    let kept = approvals.tasks(principal, user).into_iter();
    let own_tasks: Vec<Box<RawValue>> = kept
        .map(|view| Task::of(&worker.shared, approvals, &view, principal, era).bare())
        .filter_map(|task| to_raw_value(&task).ok())
        .collect();
    // A cursor belongs to the upstream, and 2026-07-28 has no `tasks/list`: it answers both by itself.
    if own_tasks.is_empty() || !first_page || era == Era::Modern {
        return forward::send(worker, &snapshot.rules, &mut message).await;
    }
    let bytes_max = snapshot.rules.limits.list_bytes;
    ask_for_identity(&mut message.parts.headers);
    let outcome = match forward::exchange(worker, &snapshot.rules, &mut message).await {
        Ok(head) => {
            let mut room = worker.shared.budget.lend();
            let outcome = deferred::outcome(head, bytes_max, &mut room);
            let deadline = snapshot.rules.response_timeout;
            let within = tokio::time::timeout(deadline, outcome).await;
            within.ok().and_then(Result::ok)
        }
        // A fault of the upstream must not hide the tasks of this proxy.
        Err(_) => None,
    };
    let own = message.id();
    let upstreams = match &outcome {
        Some(Outcome::Result(result)) => reply::result(own, result),
        // An upstream without tasks answers with an error; this proxy's are listed all the same.
        Some(Outcome::Error(_)) | None => reply::result(own, &json!({ "tasks": [] })),
    };
    let both = tasks::prepend(&upstreams, &own_tasks);
    answer::json(StatusCode::OK, both.unwrap_or(upstreams))
}

/// Waits until a task has ended, and answers with its outcome.
async fn result(
    worker: &Arc<Worker>,
    approvals: &Approvals,
    message: &Message,
    fields: &Fields,
    id: Id,
    hold: Option<Hold>,
) -> Response<Body> {
    let shared = Arc::clone(&worker.shared);
    let every = shared.settings.approval_keep_alive;
    let (approvals, principal) = (approvals.clone(), message.principal.clone());
    let phase = match approvals.find(id, &principal) {
        Some(view) if view.state != State::Pending => Phase::decided(),
        _ => Phase::default(),
    };
    let own = message.id.clone();
    let mut draining = shared.drain.watch();
    let answer = async move {
        // Moved in, so that the place is given back when the wait ends or the client disconnects.
        let _hold = hold;
        let view = tokio::select! {
            view = approvals.wait_end(id, &principal, approvals.life()) => view,
            _ = draining.wait_for(|draining| *draining) => approvals.find(id, &principal),
        };
        let own = own.as_ref().map(Raw::get);
        match view {
            Some(view) => call_answer(&shared, &approvals, &view, &principal, own),
            None => answer::problem(&shared, &Problem::NoTask, own),
        }
    };
    if takes_stream(&message.parts.headers) {
        let token = fields.progress_token.clone();
        // A stored result is hardly larger than an event may be.
        stream::respond(every, message.id.clone(), token, phase, answer, None)
    } else {
        answer.await
    }
}

/// The answer to `tasks/result`, which is that of the call itself.
fn call_answer(
    shared: &Shared,
    approvals: &Approvals,
    view: &View,
    principal: &str,
    own: Option<&RawValue>,
) -> Response<Body> {
    let body = match end(shared, approvals, view, principal, Era::Legacy) {
        Some(Outcome::Result(result)) => {
            let marked = tasks::related(&result, &view.id.to_string());
            reply::result(own, &marked.unwrap_or(result))
        }
        Some(Outcome::Error(error)) => reply::failed(own, &error),
        None => {
            let stopping = Denial::stopping(view);
            return answer::problem(shared, &Problem::Denied(view.id, &stopping), own);
        }
    };
    answer::json(StatusCode::OK, body)
}

/// The 2025-11-25 answer to a cancellation: the cancelled task, or an error if it cannot be cancelled.
fn cancelled(
    shared: &Shared,
    approvals: &Approvals,
    before: &View,
    message: &Message,
) -> Response<Body> {
    let principal = &message.principal;
    let now = approvals.find(before.id, principal);
    // Cancelled by this request: for a task that had ended before, cancelled or not, it is an error.
    if let Some(now) = now.filter(|now| now.state == State::Cancelled)
        && before.state.is_open()
    {
        let task = Task::of(shared, approvals, &now, principal, Era::Legacy);
        let body = reply::result(message.id(), &task.bare());
        return answer::json(StatusCode::OK, body);
    }
    let problem = Problem::NotCancellable(before.explain());
    answer::problem(shared, &problem, message.id())
}

fn acknowledged(own: Option<&RawValue>) -> Response<Body> {
    let body = reply::result(own, &json!({ "resultType": "complete" }));
    answer::json(StatusCode::OK, body)
}
