//! Asks the policies in force for the decision on a message.
//!
//! Decides nothing itself, and carries nothing out.

use std::time::SystemTime;

use thoughtgate_mcp::{Envelope, JsonText, Kind};
use thoughtgate_policy::{Decision, Outcome, Plain, Principal, Query, Target};

use crate::logged;
use crate::metrics::Verdict;
use crate::state::{Shared, Snapshot};

/// Decides a request by the policies of `snapshot`, counts the decision, and logs a refusal
/// that is carried out.
pub fn decided(
    shared: &Shared,
    snapshot: &Snapshot,
    principal: Principal<'_>,
    target: &Target<'_>,
    arguments: Option<JsonText<'_>>,
) -> Decision {
    let decision = decide(snapshot, principal, target, arguments);
    let verdict = verdict(&decision);
    if snapshot.observes() {
        shared.metrics.observed(verdict);
        return decision;
    }
    shared.metrics.decision(verdict);
    if let Target::Tool(tool) = *target {
        shared.metrics.tools.decided(tool, verdict);
    }
    if decision.outcome == Outcome::Reject {
        logged::rejected(principal.id, label(target), target, &decision);
    }
    decision
}

/// Decides by the policies of `snapshot`. Arguments that they read must be unambiguous, or the decision
/// is an error.
pub fn decide(
    snapshot: &Snapshot,
    principal: Principal<'_>,
    target: &Target<'_>,
    arguments: Option<JsonText<'_>>,
) -> Decision {
    let Some(engine) = &snapshot.engine else {
        return no_policy();
    };
    let query = Query {
        principal,
        target: *target,
        arguments,
        // Few policies read the time, and a request does not ask the clock for the others.
        now: if engine.reads_now() {
            SystemTime::now()
        } else {
            SystemTime::UNIX_EPOCH
        },
    };
    engine.decide(&query)
}

/// The tool, prompt, resource or method that a message asks for.
pub fn target<'a>(envelope: &'a Envelope<'_>) -> Target<'a> {
    let params = &envelope.params;
    match (envelope.kind, envelope.method.as_ref()) {
        (Kind::Response, _) => Target::Plain(Plain::Response),
        // With an id it is a request, whatever its method is called, and a server may answer it.
        (Kind::Notification, method) if method.starts_with("notifications/") => {
            Target::Plain(Plain::Notification)
        }
        (_, method) => Target::of_request(method, params.name.as_deref(), params.uri.as_deref()),
    }
}

/// Label of a target in `thoughtgate_requests_total`.
pub fn label<'a>(target: &Target<'a>) -> &'a str {
    match *target {
        Target::Tool(_) => "tools/call",
        Target::Prompt(_) => "prompts/get",
        Target::Plain(plain) => plain.action(),
        // A JSON-RPC method with the name of an action, such as `stream`, is not counted as that action.
        Target::Method(method) if Plain::ALL.iter().any(|plain| plain.action() == method) => {
            "other"
        }
        Target::Resource { method, .. } | Target::Method(method) => method,
    }
}

/// Label of a decision in `thoughtgate_decisions_total`.
fn verdict(decision: &Decision) -> Verdict {
    match decision.outcome {
        Outcome::Forward => Verdict::Forward,
        Outcome::Approve { .. } => Verdict::Approve,
        Outcome::Reject if decision.error.is_some() => Verdict::Error,
        Outcome::Reject => Verdict::Reject,
    }
}

/// The decision while no policy is in force.
fn no_policy() -> Decision {
    Decision::error("no policy is configured, so everything is refused")
}
