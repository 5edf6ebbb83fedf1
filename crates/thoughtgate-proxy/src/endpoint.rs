//! The MCP endpoint: reads a message, gets a policy decision on it, and forwards or refuses it.
//!
//! Each HTTP method has exactly one path to the upstream, and every path passes a policy decision. Bytes
//! are forwarded unchanged. Approvals are handled in [`crate::approve`], tool lists filtered in
//! [`crate::listing`].

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use serde_json::value::RawValue;
use thoughtgate_mcp::{Era, JsonText, Refusal, check_headers, parse};
use thoughtgate_policy::{Decision, Engine, Outcome, Plain, Target};

use crate::approve::{self, Fields};
use crate::audit::{Asked, Caller, Place, Record, Subject, Trail};
use crate::body::Body;
use crate::decide::{decided, label, target};
use crate::headers::{governed, is_encoded, is_last, is_media_type};
use crate::identity::Unidentified;
use crate::message::{Message, id_of};
use crate::patience::Patience;
use crate::problem::Problem;
use crate::settings::Rules;
use crate::slots::Busy;
use crate::state::{Shared, Snapshot};
use crate::worker::Worker;
use crate::{answer, cors, forward, inbound, observe};

/// Answers one request to the MCP endpoint. `seen` is set to its body once that has been read.
pub async fn serve(
    worker: &Arc<Worker>,
    request: http::Request<Incoming>,
    busy: &Busy,
    seen: &mut Bytes,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    // Boxed, because it is moved half a dozen times until it is sent.
    let mut parts = Box::new(parts);
    let snapshot = worker.shared.snapshot();
    if let Err(rejected) = snapshot.rules.guard.check(&parts.headers) {
        let problem = Problem::Guard(rejected);
        return turned_away(&worker.shared, &parts, &problem);
    }
    // The path is always the configured one, so that a client reaches no other; the query is the client's.
    parts.uri = Uri::from(worker.shared.settings.upstream.path(parts.uri.query()));
    match parts.method {
        Method::POST => post(worker, snapshot, parts, (body, busy), seen).await,
        Method::GET => Box::pin(bodiless(worker, snapshot, parts, &body, Plain::Stream)).await,
        Method::DELETE => {
            Box::pin(bodiless(
                worker,
                snapshot,
                parts,
                &body,
                Plain::SessionDelete,
            ))
            .await
        }
        // No other method has a way to the upstream, so none can carry an undecided message.
        _ => otherwise(&worker.shared, &snapshot, &parts, &body),
    }
}

/// The answer to a preflight, or to a method that the endpoint does not have.
#[cold]
fn otherwise(
    shared: &Shared,
    snapshot: &Snapshot,
    parts: &Parts,
    body: &Incoming,
) -> Response<Body> {
    let has_body = !http_body::Body::is_end_stream(body);
    cors::preflight(parts, has_body, &snapshot.rules.identity)
        .unwrap_or_else(|| turned_away(shared, parts, &Problem::Method))
}

async fn post(
    worker: &Arc<Worker>,
    mut snapshot: Arc<Snapshot>,
    parts: Box<Parts>,
    (body, busy): (Incoming, &Busy),
    seen: &mut Bytes,
) -> Response<Body> {
    let shared = &worker.shared;
    // First of all: drain must see a request whose body is still on its way.
    let in_flight = shared.drain.enter();
    if let Err(problem) = check_content(&parts.headers) {
        return turned_away(shared, &parts, &problem);
    }
    let rules = &snapshot.rules;
    let (bytes_max, at_most) = (rules.limits.body_bytes, rules.body_timeout);
    let read = inbound::read(&shared.budget, bytes_max, at_most, body, Some(busy));
    let inbound = match read.await {
        Ok(inbound) => inbound,
        Err(unread) => return turned_away(shared, &parts, &Problem::Unread(unread)),
    };
    seen.clone_from(&inbound.bytes);
    #[cfg(test)]
    assert!(!seen.ends_with(b"\"panic\"}"), "a test asked for this");
    let place = match admit(shared, &mut snapshot, &parts, seen).await {
        Ok(place) => place,
        Err(response) => return *response,
    };
    #[cfg(feature = "slowdown")]
    crate::slowdown::at_call().await;
    let snapshot = &*snapshot;
    let understood = understand(shared, snapshot, parts, (seen, inbound.bytes));
    let (mut message, decision, fields) = match understood {
        Ok(understood) => understood,
        Err(stopped) => match Box::pin(renewed(stopped, shared, snapshot, seen)).await {
            Ok(understood) => understood,
            Err(response) => return *response,
        },
    };
    // Begun before the call is forwarded: if the client disconnects, the drop leaves the line.
    let mut trail = place.map(|place| {
        let asked = Asked::Message(seen.clone());
        let since = in_flight.since();
        begin_trail(place, snapshot, asked, &message, &decision, since)
    });
    let decision = observe::carried_out(snapshot, decision);
    let listens = message.listens;
    let response = match fields {
        None if decision.outcome == Outcome::Forward => {
            busy.be_patient(patience(&message));
            forward::send(worker, &snapshot.rules, &mut message).await
        }
        None => answer::rejected(shared, snapshot, &message, &decision),
        Some(fields) => {
            let trail = trail.as_mut();
            let carried_out = approve::serve(worker, snapshot, message, fields, &decision, trail);
            Box::pin(carried_out).await
        }
    };
    if let Some(trail) = trail {
        trail.answered(response.status().as_u16());
    }
    // A stream that only listens may stay open for hours: drain does not wait for it.
    if listens {
        in_flight.untimed();
        return response;
    }
    response.map(|body| body.counted(in_flight))
}

/// Patience with a client that closes its sending side while its message is forwarded.
fn patience(message: &Message) -> Patience {
    let headers = &message.parts.headers;
    if message.listens {
        Patience::None
    } else if message.era == Era::Legacy && is_last(headers) {
        // It has announced that it sends no more, and in this era going away cancels nothing.
        Patience::Unlimited
    } else {
        Patience::Short
    }
}

/// Checks the headers that say how a message is encoded.
fn check_content(headers: &HeaderMap) -> Result<(), Problem<'static>> {
    if !is_media_type(headers, "application/json") {
        return Err(Problem::MediaType);
    }
    if is_encoded(headers) {
        return Err(Problem::ContentEncoding);
    }
    Ok(())
}

/// Reserves room for the audit line of a complete request, then takes the snapshot that decides it.
///
/// In this order, because waiting for room takes time: neither a client that withholds its last byte
/// nor a full disk may prolong rights that a reload has taken away.
async fn admit<'a>(
    shared: &'a Shared,
    snapshot: &mut Arc<Snapshot>,
    parts: &Parts,
    message: &[u8],
) -> Result<Option<Place<'a>>, Box<Response<Body>>> {
    let place = shared.place().await.map_err(|full| {
        let (problem, id) = (Problem::AuditFull(full), id_of(message));
        Box::new(answer::problem(shared, &problem, id.as_deref()))
    })?;
    // The new rules may accept fewer hosts and origins than those that let the request in.
    if shared.renew(snapshot)
        && let Err(rejected) = snapshot.rules.guard.check(&parts.headers)
    {
        let problem = Problem::Guard(rejected);
        let response = turned_away(shared, parts, &problem);
        return Err(Box::new(response));
    }
    Ok(place)
}

/// A message, the decision on it, and the members that approvals read, if it needs or concerns one.
type Understood = (Message, Decision, Option<Box<Fields>>);

/// Reason why there is no decision on a message.
enum Stopped {
    /// The answer to it.
    Refused(Box<Response<Body>>),
    /// Its token may be signed with a key that is not known yet.
    LacksKey(Box<Parts>, Unidentified),
}

/// Parses and checks a message and gets the decision on it.
/// Of the two handles of its body one is borrowed for that, and the message takes the other.
///
/// Only the audit's writer parses the message again: all else that is needed of it later is taken here.
fn understand(
    shared: &Shared,
    snapshot: &Snapshot,
    parts: Box<Parts>,
    (bytes, taken): (&Bytes, Bytes),
) -> Result<Understood, Stopped> {
    let limits = thoughtgate_mcp::Limits {
        depth: snapshot.rules.limits.depth,
    };
    let refused = |refusal: Refusal| {
        let id = refusal.id.as_deref();
        let problem = Problem::Invalid(&refusal);
        let response = answer::turned_away(shared, &parts.headers, &problem, id);
        Stopped::Refused(Box::new(response))
    };
    let envelope = parse(bytes, &limits).map_err(refused)?;
    let era = check_headers(&envelope, &governed(&parts.headers)).map_err(refused)?;
    let identity = &snapshot.rules.identity;
    let agent = match identity.of(&parts.headers) {
        Ok(agent) => agent,
        Err(why) if why.lacks_key() => return Err(Stopped::LacksKey(parts, why)),
        Err(why) => {
            let sent = (&parts.headers, &**bytes);
            let id = envelope.id.map(JsonText::raw);
            let response = unidentified(shared, &snapshot.rules, sent, id, &why);
            return Err(Stopped::Refused(Box::new(response)));
        }
    };
    let target = target(&envelope);
    shared.metrics.request(label(&target));
    let arguments = envelope.params.arguments;
    let decision = decided(shared, snapshot, agent.principal(), &target, arguments);
    let outcome = if snapshot.observes() {
        &Outcome::Forward
    } else {
        &decision.outcome
    };
    let collects = shared.parked.any() && approve::awaits(shared, &envelope, era, &agent.id);
    let fields = Fields::of(&envelope, bytes, outcome, collects);
    let (principal, claims) = (agent.id.into_owned(), agent.claims);
    let mut message = Message::of(parts, taken, &envelope, era, principal, &shared.abandoned);
    message.claims = claims;
    Ok((message, decision, fields))
}

/// Repeats [`understand`] once the keys of tokens have been fetched again, if a key was lacking.
#[cold]
async fn renewed(
    stopped: Stopped,
    shared: &Shared,
    snapshot: &Snapshot,
    bytes: &Bytes,
) -> Result<Understood, Box<Response<Body>>> {
    let parts = match stopped {
        Stopped::Refused(response) => return Err(response),
        Stopped::LacksKey(parts, _) => parts,
    };
    snapshot.rules.identity.renewed().await;
    understand(shared, snapshot, parts, (bytes, bytes.clone())).map_err(|stopped| match stopped {
        Stopped::Refused(response) => response,
        Stopped::LacksKey(parts, why) => {
            let (id, sent) = (id_of(bytes), (&parts.headers, &**bytes));
            let id = id.as_deref();
            Box::new(unidentified(shared, &snapshot.rules, sent, id, &why))
        }
    })
}

/// Handles GET, which opens a stream, and DELETE, which ends a session. Neither may have a body, so that
/// no message passes undecided this way.
async fn bodiless(
    worker: &Arc<Worker>,
    mut snapshot: Arc<Snapshot>,
    parts: Box<Parts>,
    body: &Incoming,
    asks: Plain,
) -> Response<Body> {
    let shared = &worker.shared;
    if !http_body::Body::is_end_stream(body) {
        return turned_away(shared, &parts, &Problem::UnexpectedBody);
    }
    let started = Instant::now();
    let place = match admit(shared, &mut snapshot, &parts, &[]).await {
        Ok(place) => place,
        Err(response) => return *response,
    };
    let snapshot = &*snapshot;
    let agent = match snapshot.rules.identity.of_renewed(&parts.headers).await {
        Ok(agent) => agent,
        Err(why) => {
            let sent = (&parts.headers, &[][..]);
            return unidentified(shared, &snapshot.rules, sent, None, &why);
        }
    };
    shared.metrics.request(asks.action());
    let target = Target::Plain(asks);
    let decision = decided(shared, snapshot, agent.principal(), &target, None);
    let (principal, claims) = (agent.id.into_owned(), agent.claims);
    let mut message = Message::bodiless(parts, principal, asks == Plain::Stream);
    message.claims = claims;
    let trail = place.map(|place| {
        let asked = Asked::Known(Subject::bodiless(asks.action()));
        begin_trail(place, snapshot, asked, &message, &decision, started)
    });
    let decision = observe::carried_out(snapshot, decision);
    let response = match decision.outcome {
        Outcome::Forward => forward::send(worker, &snapshot.rules, &mut message).await,
        // Approvers are asked about tool calls only.
        Outcome::Reject | Outcome::Approve { .. } => {
            answer::rejected(shared, snapshot, &message, &decision)
        }
    };
    // The line is complete with the head of the answer: a stream may stay open for hours.
    if let Some(trail) = trail {
        trail.answered(response.status().as_u16());
    }
    response
}

/// Begins the audit trail of a decided request; its end adds status and latency.
fn begin_trail<'a>(
    place: Place<'a>,
    snapshot: &Snapshot,
    asked: Asked,
    message: &Message,
    decision: &Decision,
    started: Instant,
) -> Trail<'a> {
    let record = Record {
        time: SystemTime::now(),
        principal: message.principal.clone(),
        caller: Caller::of(&message.parts.headers),
        asked,
        decision: decision.clone(),
        observed: snapshot.observes(),
        generation: snapshot.generation,
        policies_sha256: snapshot.engine.as_ref().map(Engine::sha256),
    };
    place.trail(record, started)
}

/// The answer to a request that is refused before its body is parsed.
#[cold]
fn turned_away(shared: &Shared, parts: &Parts, problem: &Problem<'_>) -> Response<Body> {
    answer::turned_away(shared, &parts.headers, problem, None)
}

/// The answer to a request with these headers and this body, which names no valid agent; `id` is the
/// message's in it.
fn unidentified(
    shared: &Shared,
    rules: &Rules,
    (headers, body): (&HeaderMap, &[u8]),
    id: Option<&RawValue>,
    why: &Unidentified,
) -> Response<Body> {
    let problem = Problem::Unidentified { why, message: body };
    let mut response = answer::turned_away(shared, headers, &problem, id);
    if let Some(own) = &rules.protected
        && response.status() == StatusCode::UNAUTHORIZED
    {
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, own.challenge(why));
    }
    response
}
