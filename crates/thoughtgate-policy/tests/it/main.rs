//! Integration tests of policy decisions, through the public API.

mod advice;
mod agreement;
mod arguments;
mod claims;
mod decide;
mod differential;
mod explain;
mod extension;
mod load;
mod names;
mod null;
mod numbers;
mod paths;
mod unsatisfiable;

use std::time::{Duration, SystemTime};

use serde_json::value::RawValue;
use thoughtgate_policy::{
    Claims, Decision, Engine, LoadErrors, Options, Outcome, Principal, Query, Source, Target,
};

fn options() -> Options {
    Options {
        approvals: true,
        agent_groups: [
            ("ops".to_owned(), vec!["alice".to_owned()]),
            ("strangers".to_owned(), vec!["mallory".to_owned()]),
        ]
        .into(),
        annotations: vec!["team".to_owned(), "aprove".to_owned()],
        tool_groups: [
            (
                "read-only".to_owned(),
                vec!["list".to_owned(), "get".to_owned()],
            ),
            ("writing".to_owned(), vec!["delete".to_owned()]),
        ]
        .into(),
        ..Options::default()
    }
}

fn load(text: &str) -> Result<Engine, LoadErrors> {
    let source = Source {
        name: "test.cedar".to_owned(),
        text: text.to_owned(),
    };
    Engine::load(&[source], &options())
}

fn engine(text: &str) -> Engine {
    load(text).unwrap_or_else(|error| panic!("{error}"))
}

/// 2026-11-24T09:30:00Z.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_512_600)
}

fn ask(engine: &Engine, principal: &str, target: Target<'_>, arguments: &str) -> Decision {
    decide(engine, principal.into(), target, arguments)
}

/// The decision on what an agent with these claims asks.
fn ask_with(
    engine: &Engine,
    id: &str,
    claims: &Claims,
    target: Target<'_>,
    arguments: &str,
) -> Decision {
    let claims = Some(claims);
    decide(engine, Principal { id, claims }, target, arguments)
}

fn decide(
    engine: &Engine,
    principal: Principal<'_>,
    target: Target<'_>,
    arguments: &str,
) -> Decision {
    let raw: Option<Box<RawValue>> =
        (!arguments.is_empty()).then(|| RawValue::from_string(arguments.to_owned()).unwrap());
    engine.decide(&Query {
        principal,
        target,
        arguments: raw.as_deref().map(Into::into),
        now: now(),
    })
}

/// The decision, as a word, on a call of `tool` by `alice`.
fn call(engine: &Engine, tool: &str, arguments: &str) -> &'static str {
    word(&ask(engine, "alice", Target::Tool(tool), arguments))
}

fn word(decision: &Decision) -> &'static str {
    match (&decision.outcome, &decision.error) {
        (Outcome::Forward, None) => "forward",
        (Outcome::Approve { .. }, None) => "approve",
        (Outcome::Reject, None) => "reject",
        (Outcome::Reject, Some(_)) => "error",
        (outcome, error) => panic!("{outcome:?} with {error:?}"),
    }
}
