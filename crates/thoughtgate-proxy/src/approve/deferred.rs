//! Calls that run as tasks, without their client: stored with their approval, made when it is given,
//! and their outcomes stored for requests about the task.
//!
//! A stored call has the request's headers, credentials included. The store can be read only by its
//! owner, and it keeps the call only while that may still be made.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thoughtgate_approval::{Approvals, Id, State, chain};
use thoughtgate_mcp::reply::{self, Answer};
use thoughtgate_mcp::{Era, Limits, parse, sse, tasks, without};
use thoughtgate_policy::Claims;

use super::fields::Fields;
use super::no_answer::NoAnswer;
use super::waiting;
use crate::abandoned::Abandoned;
use crate::budget::{Budget, Reserved};
use crate::contained;
use crate::forward::{self, Head};
use crate::headers::{ask_for_identity, is_encoded, is_media_type};
use crate::message::{Message, OnRedirect};
use crate::worker::Worker;

/// Members that ask for a task. They are taken out of the call: this proxy has made the task, and the
/// upstream only has to make the call.
const TASK: [&str; 2] = ["params", "task"];
const TASKS_EXTENSION: [&str; 5] = [
    "params",
    "_meta",
    "io.modelcontextprotocol/clientCapabilities",
    "extensions",
    "io.modelcontextprotocol/tasks",
];

/// Pause before another try to find room for an approved call, and the first one before another try to use
/// its approval.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Longest pause before another try to use an approval: hundreds may wait for Slack or the disk.
const TRY_AGAIN_MAX: Duration = Duration::from_secs(30);

/// Pause before another try to find room for an answer; the upstream waits meanwhile.
const ROOM_AGAIN: Duration = Duration::from_millis(50);

/// A request as it is stored.
#[derive(Serialize, Deserialize)]
struct Kept {
    uri: String,
    modern: bool,
    /// Values are bytes: not every header is text.
    headers: Vec<(String, Vec<u8>)>,
    message: String,
    /// The claims that the agent's token had: when the call is made, the token may have expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claims: Option<Claims>,
}

/// Outcome of a call as it is stored: member `result` or `error` of its answer.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Result(Box<RawValue>),
    Error(Box<RawValue>),
}

/// Serialises a call, so that it can be made later.
pub fn keep(message: &Message) -> Vec<u8> {
    let path = match message.era {
        Era::Legacy => &TASK[..],
        Era::Modern => &TASKS_EXTENSION,
    };
    let (head, body) = (&message.parts, &message.bytes);
    let plain = without(body, path).unwrap_or_else(|| body.to_vec());
    let kept = Kept {
        uri: head.uri.to_string(),
        modern: message.era == Era::Modern,
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
            .collect(),
        // Loses nothing: the parser refuses what is not UTF-8.
        message: String::from_utf8_lossy(&plain).into_owned(),
        claims: message.claims.as_deref().cloned(),
    };
    serde_json::to_vec(&kept).expect("text and bytes always serialise")
}

/// Makes each stored call when it is approved, until dropped.
pub async fn run(worker: Arc<Worker>) {
    let Some(approvals) = worker.shared.approvals() else {
        return;
    };
    let mut ready = approvals.ready();
    while let Some(id) = ready.recv().await {
        let (worker, approvals) = (Arc::clone(&worker), approvals.clone());
        // One task per call: while one waits for room or for the upstream, others go on.
        contained::spawn(async move {
            // Counted as in flight, so that drain waits for it.
            let _in_flight = worker.shared.drain.enter();
            make(&worker, &approvals, id).await;
        });
    }
}

async fn make(worker: &Arc<Worker>, approvals: &Approvals, id: Id) {
    // Kept only while the call may still be made: by now it may be cancelled or expired.
    let Some(kept) = approvals.kept(id) else {
        return;
    };
    let shared = &worker.shared;
    let mut room = shared.budget.lend();
    // Twice: for the stored form, and for the call that is sent.
    while room.grow(kept.body.len().saturating_mul(2)).is_err() {
        // Nothing is claimed yet, so the next process can make the call from the store.
        if shared.drain.has_started() {
            return;
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
    let principal = &kept.principal;
    let restored = restore(&kept.body, principal, &shared.abandoned)
        .filter(|(_, fields)| fields.digest(principal) == kept.digest);
    let Some((mut message, fields)) = restored else {
        // Otherwise the client would poll a task whose call no process can make.
        approvals.revoke(id, principal, "the stored call cannot be read");
        return;
    };
    let mut pause = TRY_AGAIN;
    let (snapshot, claim) = loop {
        match waiting::settle(worker, message.asker(), &fields, id, &kept.digest).await {
            Ok(settled) => break settled,
            // The votes could not be read, or the use not be stored, which may pass: repeated until the
            // approval expires or is given up. At a stop it is left to the next process.
            Err(_) if is_unused(approvals, id, principal) && !shared.drain.has_started() => {
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2).min(TRY_AGAIN_MAX);
            }
            // The reason has become the approval's state, which the client polls.
            Err(_) => return,
        }
    };
    let rules = &snapshot.rules;
    message.on_redirect = OnRedirect::Follow;
    let read = async {
        let head = forward::exchange(worker, rules, &mut message)
            .await
            .map_err(|failed| chain(&failed))?;
        let deadline = rules.response_timeout;
        let outcome = outcome(head, approvals.result_bytes_max(), &mut room);
        let read = tokio::time::timeout(deadline, outcome).await;
        read.unwrap_or(Err(NoAnswer::Slow(deadline)))
            .map_err(|error| error.reason())
    };
    match read.await {
        Ok(outcome) => {
            let text = serde_json::to_vec(&outcome).expect("raw values always serialise");
            claim.complete(Some(text)).await;
        }
        // The upstream may have carried the call out, so it is never repeated.
        Err(reason) => claim.fail(&reason),
    }
}

/// Whether the call of the approval may still be made.
fn is_unused(approvals: &Approvals, id: Id, principal: &str) -> bool {
    let view = approvals.find(id, principal);
    view.is_some_and(|view| view.state == State::Approved)
}

/// Reads the call of `principal` that [`keep`] has stored, and parses its body: the only time in this
/// process, which may be another than the one that stored it.
fn restore(kept: &[u8], principal: &str, abandoned: &Abandoned) -> Option<(Message, Fields)> {
    let kept: Kept = serde_json::from_slice(kept).ok()?;
    let mut request = http::Request::new(());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = kept.uri.parse::<Uri>().ok()?;
    for (name, value) in kept.headers {
        let name: HeaderName = name.parse().ok()?;
        let value = HeaderValue::from_bytes(&value).ok()?;
        request.headers_mut().try_append(name, value).ok()?;
    }
    // The answer is read by this proxy, which decodes no encoding.
    ask_for_identity(request.headers_mut());
    // hyper sets it from the body, which may be shorter than the client's.
    request.headers_mut().remove(http::header::CONTENT_LENGTH);
    let era = if kept.modern {
        Era::Modern
    } else {
        Era::Legacy
    };
    let parts = Box::new(request.into_parts().0);
    let body = Bytes::from(kept.message);
    // The limit of nesting in force when it was stored has let it pass.
    let envelope = parse(&body, &Limits { depth: usize::MAX }).ok()?;
    // Nothing else is stored, and policies decide about it as a call of a tool.
    if envelope.method != "tools/call" {
        return None;
    }
    let fields = Fields::stored(&envelope, &body);
    let principal = principal.to_owned();
    let mut message = Message::of(parts, body.clone(), &envelope, era, principal, abandoned);
    message.claims = kept.claims.map(Arc::new);
    Some((message, fields))
}

/// Reads the outcome of a call from the upstream's answer, JSON or a stream. Gathered bytes are counted in
/// `room`; while there is no room, the upstream waits.
pub async fn outcome(
    head: Head,
    bytes_max: usize,
    room: &mut Reserved<&Budget>,
) -> Result<Outcome, NoAnswer> {
    let (response, lease) = head;
    let (parts, mut body) = response.into_parts();
    if is_encoded(&parts.headers) {
        return Err(NoAnswer::Encoded);
    }
    if is_media_type(&parts.headers, "text/event-stream") {
        return in_events(body, bytes_max, room).await;
    }
    let mut message = Vec::new();
    while let Some(data) = next(&mut body).await? {
        if message.len().saturating_add(data.len()) > bytes_max {
            return Err(NoAnswer::TooLarge(bytes_max));
        }
        grow(room, data.len()).await;
        message.extend_from_slice(&data);
    }
    // Only after the last byte: a connection with a rest of this answer on it cannot be used again.
    lease.release();
    outcome_in(&message).unwrap_or(Err(NoAnswer::NoMessage(parts.status)))
}

/// The first answer in a stream of events. Other messages (progress, requests to the client) are
/// dropped, because no client is connected.
async fn in_events(
    mut body: Incoming,
    bytes_max: usize,
    room: &mut Reserved<&Budget>,
) -> Result<Outcome, NoAnswer> {
    let mut splitter = sse::Splitter::new(bytes_max);
    // The room of the call itself, which must not be given back with that of the events.
    let before = room.bytes();
    while let Some(data) = next(&mut body).await? {
        room.shrink_to(before.saturating_add(splitter.held()));
        grow(room, data.len()).await;
        splitter.push(&data);
        while let Some(event) = splitter.event()? {
            if let Some(outcome) = in_event(event) {
                return outcome;
            }
        }
    }
    let last = splitter.rest().and_then(in_event);
    last.unwrap_or(Err(NoAnswer::StreamEnded))
}

fn in_event(event: sse::Event<'_>) -> Option<Result<Outcome, NoAnswer>> {
    outcome_in(event.data()?.as_ref())
}

/// Waits for room. The call was made, so its answer is not given up for lack of room; the caller's
/// deadline ends the wait.
async fn grow(room: &mut Reserved<&Budget>, more: usize) {
    while room.grow(more).is_err() {
        tokio::time::sleep(ROOM_AGAIN).await;
    }
}

async fn next(body: &mut Incoming) -> Result<Option<Bytes>, NoAnswer> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(NoAnswer::Broken)?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Outcome of the call in a message of the upstream; `None` if that is not an answer.
fn outcome_in(message: &[u8]) -> Option<Result<Outcome, NoAnswer>> {
    match reply::answer(message)? {
        Answer::Error(error) => Some(Ok(Outcome::Error(error.to_owned()))),
        Answer::Result(result) if tasks::is_complete(result) => {
            Some(Ok(Outcome::Result(result.to_owned())))
        }
        // A request for input, or a task of the upstream: nobody is connected who could go on with it.
        Answer::Result(_) => Some(Err(NoAnswer::Unfinished)),
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, header};
    use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

    use super::*;

    #[test]
    fn a_stored_call_is_the_same_call_without_the_request_for_a_task() {
        let abandoned = Abandoned::new(1, Gauge::default(), Counter::default());
        let body = Bytes::from_static(
            br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"t","arguments":{"n": 1.0},"task":{}}}"#,
        );
        let envelope = parse(&body, &Limits::default()).unwrap();
        let request = Request::post("/mcp")
            .header("x-key", &b"\xff"[..])
            .header(header::CONTENT_LENGTH, body.len());
        let parts = Box::new(request.body(()).unwrap().into_parts().0);
        let message = Message::of(
            parts,
            body.clone(),
            &envelope,
            Era::Legacy,
            "a".to_owned(),
            &abandoned,
        );
        let (restored, fields) = restore(&keep(&message), "a", &abandoned).unwrap();
        assert_eq!(
            restored.bytes,
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"t","arguments":{"n": 1.0}}}"#
        );
        assert_eq!(restored.parts.uri, "/mcp");
        assert_eq!(restored.parts.headers["x-key"], &b"\xff"[..]);
        assert!(!restored.parts.headers.contains_key(header::CONTENT_LENGTH));
        assert_eq!(restored.era, Era::Legacy);
        assert_eq!(restored.on_disconnect, message.on_disconnect);
        assert_eq!(&*fields.tool, "t");
        let before = Fields::stored(&envelope, &body).digest("a");
        assert!(
            fields.digest("a") == before,
            "the approval is for this call"
        );
    }

    #[test]
    fn a_stored_body_that_is_not_a_call_is_not_sent() {
        let abandoned = Abandoned::new(1, Gauge::default(), Counter::default());
        let with = |message: &str| {
            let kept = Kept {
                uri: "/mcp".to_owned(),
                modern: true,
                headers: Vec::new(),
                message: message.to_owned(),
                claims: None,
            };
            restore(&serde_json::to_vec(&kept).unwrap(), "a", &abandoned).is_some()
        };
        let call = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"t"}}"#;
        assert!(with(call));
        assert!(!with(&call.replace("tools/call", "prompts/get")));
        assert!(!with("{}"));
    }
}
