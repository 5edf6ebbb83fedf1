//! The MCP endpoint: reads a message, has it decided, and forwards or refuses it.
//!
//! There is one way to the upstream for each HTTP method, and a decision stands on each. Bytes go on
//! as they came. Approvals are carried out in [`crate::approve`], lists cut in [`crate::listing`].

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use thoughtgate_mcp::{Envelope, Era, Kind, Refusal, check_headers, codes, parse};
use thoughtgate_policy::{Decision, Outcome, Plain, Query, Target};

use crate::answer;
use crate::approve::{self, Addressed, Request};
use crate::audit::{Asked, Place, Record, Subject};
use crate::body::Body;
use crate::forward::{self, Call};
use crate::guard::Rejected;
use crate::headers::{governed, is_encoded, is_media_type};
use crate::inbound;
use crate::metrics::Verdict;
use crate::slots::Busy;
use crate::state::{Shared, Snapshot};
use crate::upstream::Pool;

/// What one worker thread serves requests with.
pub struct Worker {
    /// Shared by all workers.
    pub shared: Arc<Shared>,
    /// This worker's own connections.
    pub pool: Arc<Pool>,
}

/// Answers one request to the MCP endpoint, whose body is put into `message` once it has been read.
pub async fn serve(
    worker: &Arc<Worker>,
    request: http::Request<Incoming>,
    busy: &Busy,
    message: &mut Bytes,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    // Boxed, since it is moved half a dozen times on its way.
    let mut parts = Box::new(parts);
    let snapshot = worker.shared.snapshot();
    if let Err(rejected) = snapshot.rules.guard.check(&parts.headers) {
        return turn_away(&worker.shared, rejected);
    }
    parts.uri = Uri::from(worker.shared.settings.upstream.path(parts.uri.query()));
    match parts.method {
        Method::POST => post(worker, snapshot, parts, (body, busy), message).await,
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
        _ => {
            let mut response = refuse(
                &worker.shared,
                StatusCode::METHOD_NOT_ALLOWED,
                codes::INVALID_REQUEST,
                "use POST, GET or DELETE",
            );
            response
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static("POST, GET, DELETE"));
            response
        }
    }
}

async fn post(
    worker: &Arc<Worker>,
    mut snapshot: Arc<Snapshot>,
    parts: Box<Parts>,
    (body, busy): (Incoming, &Busy),
    message: &mut Bytes,
) -> Response<Body> {
    let shared = &worker.shared;
    let in_flight = shared.enter();
    if !is_media_type(&parts.headers, "application/json") {
        return refuse(
            shared,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            codes::INVALID_REQUEST,
            "Content-Type must be application/json, in UTF-8",
        );
    }
    if is_encoded(&parts.headers) {
        return refuse(
            shared,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            codes::INVALID_REQUEST,
            "request bodies with a Content-Encoding are not read",
        );
    }
    let rules = &snapshot.rules;
    let read = inbound::read(
        &shared.budget,
        rules.limits.body_bytes,
        rules.body_timeout,
        body,
        Some(busy),
    );
    let inbound = match read.await {
        Ok(inbound) => inbound,
        Err(unread) => return answer::unread(shared, unread),
    };
    message.clone_from(&inbound.bytes);
    #[cfg(test)]
    assert!(!message.ends_with(b"\"panic\"}"), "a test asked for this");
    let bytes = &inbound.bytes;
    let place = match admit(shared, &mut snapshot, &parts, bytes).await {
        Ok(place) => place,
        Err(response) => return *response,
    };
    #[cfg(feature = "slowdown")]
    crate::slowdown::at_call().await;
    let snapshot = &*snapshot;
    let (call, decision, addressed) = match understand(shared, snapshot, &parts, bytes) {
        Ok(understood) => understood,
        Err(response) => return *response,
    };
    let mut trail = place.map(|place| {
        let asked = Asked::Message(bytes.clone());
        let record = record(snapshot, asked, &call.principal, &decision);
        place.trail(record, in_flight.since())
    });
    let listens = call.listens;
    let response = match (&decision.outcome, addressed) {
        (Outcome::Forward, Addressed::Upstream) => {
            forward::send(worker, &snapshot.rules, parts, bytes.clone(), &call).await
        }
        (Outcome::Reject, Addressed::Upstream) => answer::rejected(bytes, &call, &decision),
        (outcome, addressed) => {
            let request = Request {
                parts,
                bytes: bytes.clone(),
                call,
            };
            match outcome {
                Outcome::Forward => {
                    Box::pin(approve::answer(worker, snapshot, request, addressed)).await
                }
                Outcome::Reject => {
                    approve::withdraw(worker, &request, &decision);
                    answer::rejected(bytes, &request.call, &decision)
                }
                Outcome::Approve { .. } => {
                    let responding =
                        approve::respond(worker, snapshot, request, &decision, trail.as_mut());
                    Box::pin(responding).await
                }
            }
        }
    };
    if let Some(trail) = trail {
        trail.answered(response.status().as_u16());
    }
    // A stream that only listens may stay open for hours: drain does not wait for it.
    if listens {
        response
    } else {
        response.map(|body| body.counted(in_flight))
    }
}

/// Takes room for the audit's line on a complete request, then the snapshot that decides it.
///
/// In this order: neither a client that holds back its last byte nor a disk that is full may keep
/// the rights that a reload has taken away.
async fn admit<'a>(
    shared: &'a Shared,
    snapshot: &mut Arc<Snapshot>,
    parts: &Parts,
    message: &[u8],
) -> Result<Option<Place<'a>>, Box<Response<Body>>> {
    let place = shared.place().await.map_err(|full| {
        let status = StatusCode::SERVICE_UNAVAILABLE.as_u16();
        shared.metrics.refused(status);
        Box::new(answer::busy(message, true, &full.to_string()))
    })?;
    if shared.renew(snapshot)
        && let Err(rejected) = snapshot.rules.guard.check(&parts.headers)
    {
        return Err(Box::new(turn_away(shared, rejected)));
    }
    Ok(place)
}

/// Parses, checks and decides; what is refused on the way comes back as the answer.
fn understand(
    shared: &Shared,
    snapshot: &Snapshot,
    parts: &Parts,
    bytes: &Bytes,
) -> Result<(Call, Decision, Addressed), Box<Response<Body>>> {
    let limits = thoughtgate_mcp::Limits {
        depth: snapshot.rules.limits.depth,
    };
    let refused = |refusal: Refusal| Box::new(answer::refusal(shared, &refusal));
    let envelope = parse(bytes, &limits).map_err(refused)?;
    let era = check_headers(&envelope, &governed(&parts.headers)).map_err(refused)?;
    let identity = &snapshot.rules.identity;
    let principal = identity
        .of(&parts.headers)
        .map_err(|error| Box::new(answer::unidentified(shared, identity, bytes, &error)))?;
    let target = target(&envelope);
    shared.metrics.request(label(&target));
    let decision = decide(snapshot, &principal, &target, &envelope);
    shared.metrics.decision(verdict(&decision));
    let listens = envelope.method == "subscriptions/listen";
    let call = Call {
        era,
        lists: listens || envelope.method == "tools/list",
        listens,
        expects_answer: envelope.kind == Kind::Request,
        principal: principal.into_owned(),
    };
    Ok((call, decision, approve::addressed(&envelope)))
}

/// GET opens a stream, DELETE ends a session; neither carries a message, and none is let through.
async fn bodiless(
    worker: &Arc<Worker>,
    mut snapshot: Arc<Snapshot>,
    parts: Box<Parts>,
    body: &Incoming,
    asks: Plain,
) -> Response<Body> {
    let shared = &worker.shared;
    if !http_body::Body::is_end_stream(body) {
        return refuse(
            shared,
            StatusCode::BAD_REQUEST,
            codes::INVALID_REQUEST,
            "GET and DELETE carry no body",
        );
    }
    let started = Instant::now();
    let place = match admit(shared, &mut snapshot, &parts, &[]).await {
        Ok(place) => place,
        Err(response) => return *response,
    };
    let snapshot = &*snapshot;
    let identity = &snapshot.rules.identity;
    let principal = match identity.of(&parts.headers) {
        Ok(principal) => principal.into_owned(),
        Err(error) => return answer::unidentified(shared, identity, &[], &error),
    };
    shared.metrics.request(asks.action());
    let query = Query {
        principal: &principal,
        target: Target::Plain(asks),
        arguments: None,
        now: SystemTime::now(),
    };
    let decision = snapshot
        .engine
        .as_ref()
        .map_or_else(answer::no_policy, |engine| engine.decide(&query));
    shared.metrics.decision(verdict(&decision));
    let call = Call {
        era: Era::Modern,
        lists: asks == Plain::Stream,
        listens: asks == Plain::Stream,
        expects_answer: false,
        principal,
    };
    let trail = place.map(|place| {
        let asked = Asked::Known(Subject::bodiless(asks.action()));
        let record = record(snapshot, asked, &call.principal, &decision);
        place.trail(record, started)
    });
    let response = match decision.outcome {
        Outcome::Forward => {
            forward::send(worker, &snapshot.rules, parts, Bytes::new(), &call).await
        }
        Outcome::Reject | Outcome::Approve { .. } => answer::rejected(&[], &call, &decision),
    };
    if let Some(trail) = trail {
        trail.answered(response.status().as_u16());
    }
    response
}

/// What the audit says of a request, but for how it ends.
fn record(snapshot: &Snapshot, asked: Asked, principal: &str, decision: &Decision) -> Record {
    Record {
        time: SystemTime::now(),
        principal: principal.to_owned(),
        asked,
        decision: decision.clone(),
        generation: snapshot.generation,
    }
}

/// Decides by the policies in force; arguments that policies read must have one reading only.
pub fn decide(
    snapshot: &Snapshot,
    principal: &str,
    target: &Target<'_>,
    envelope: &Envelope<'_>,
) -> Decision {
    let Some(engine) = &snapshot.engine else {
        return answer::no_policy();
    };
    let query = Query {
        principal,
        target: *target,
        arguments: envelope.params.arguments,
        now: SystemTime::now(),
    };
    engine.decide(&query)
}

/// What a message asks to use.
pub fn target<'a>(envelope: &'a Envelope<'_>) -> Target<'a> {
    let params = &envelope.params;
    match (envelope.kind, envelope.method.as_ref()) {
        (Kind::Response, _) => Target::Plain(Plain::Response),
        // With an id it is a request, whatever its name says, and a server may answer it.
        (Kind::Notification, method) if method.starts_with("notifications/") => {
            Target::Plain(Plain::Notification)
        }
        (_, "tools/call") => Target::Tool(params.name.as_deref().unwrap_or_default()),
        (_, "prompts/get") => Target::Prompt(params.name.as_deref().unwrap_or_default()),
        (_, method @ ("resources/read" | "resources/subscribe" | "resources/unsubscribe")) => {
            Target::Resource {
                method,
                uri: params.uri.as_deref().unwrap_or_default(),
            }
        }
        (_, method) => Target::Method(method),
    }
}

/// The name under which a target is counted.
fn label<'a>(target: &Target<'a>) -> &'a str {
    match *target {
        Target::Tool(_) => "tools/call",
        Target::Prompt(_) => "prompts/get",
        Target::Plain(plain) => plain.action(),
        Target::Method(method) if Plain::ALL.iter().any(|plain| plain.action() == method) => {
            "other"
        }
        Target::Resource { method, .. } | Target::Method(method) => method,
    }
}

fn verdict(decision: &Decision) -> Verdict {
    match decision.outcome {
        Outcome::Forward => Verdict::Forward,
        Outcome::Approve { .. } => Verdict::Approve,
        Outcome::Reject if decision.error.is_some() => Verdict::Error,
        Outcome::Reject => Verdict::Reject,
    }
}

fn turn_away(shared: &Shared, rejected: Rejected) -> Response<Body> {
    let message = match rejected {
        Rejected::Host => "this Host is not served (configure `allowed_hosts` to accept it)",
        Rejected::Origin => {
            "this Origin is not accepted (configure `allowed_origins` to accept it)"
        }
    };
    refuse(
        shared,
        StatusCode::FORBIDDEN,
        codes::INVALID_REQUEST,
        message,
    )
}

/// Refuses a request whose body is not read.
fn refuse(shared: &Shared, status: StatusCode, code: i64, message: &'static str) -> Response<Body> {
    let refusal = Refusal {
        status: status.as_u16(),
        code,
        message: message.into(),
        id: None,
    };
    answer::closing(answer::refusal(shared, &refusal))
}
