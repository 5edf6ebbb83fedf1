//! The answer of `thoughtgate explain` as a JSON object.

use serde_json::{Value, json};
use thoughtgate_policy::{Effect, Finding, rfc3339};

use super::answer::Answer;
use crate::cases::Expect;

/// The answer as JSON. `missing` names the parts of the call that are not known and could change the
/// decision, `missing_arguments` the paths of the arguments among them.
pub fn json(answer: &Answer<'_>) -> Value {
    let Answer {
        call,
        explanation,
        config,
        line,
        ..
    } = answer;
    let determining = answer.determining();
    let policies = explanation.policies.iter().map(|policy| {
        let (finding, part, place, error) = match &policy.finding {
            Finding::Applies => ("applies", None, None, None),
            Finding::False { part, place } => ("false", part.as_ref(), place.as_ref(), None),
            Finding::Failed { reason, part } => ("error", part.as_ref(), None, Some(reason)),
            Finding::Unknown => ("unknown", None, None, None),
            Finding::OtherAgent => ("other_agent", None, None, None),
            Finding::OtherAction => ("other_action", None, None, None),
        };
        json!({
            "id": *policy.id,
            "place": *policy.place,
            "effect": match policy.effect {
                Effect::Permit => "permit",
                Effect::Approve => "approve",
                Effect::Forbid => "forbid",
            },
            "built_in": policy.built_in,
            "determining": determining.contains(&&*policy.id),
            "reason": policy.reason,
            "arguments": policy.arguments,
            "claims": policy.claims,
            "finding": finding,
            "condition": part,
            "condition_place": place,
            "error": error,
        })
    });
    let [arguments, claims] = answer.missing();
    let missing = [(arguments, "arguments"), (claims, "claims")];
    let missing = missing.into_iter().filter(|(missing, _)| *missing);
    let missing: Vec<&str> = missing.map(|(_, part)| part).collect();
    let decision = explanation.decision.as_ref();
    json!({
        "agent": call.agent,
        "request": call.asked.in_words(),
        "time": call.at.and_then(rfc3339),
        "decision": decision.map(|decision| Expect::of(decision).to_string()),
        "missing": missing,
        "missing_arguments": answer.missing_arguments(),
        "error": decision.and_then(|decision| decision.error.as_deref()),
        "mode": config.mode,
        "enforcing": !answer.observes(),
        "approval": answer.approval().map(|(channel, approvers)| {
            json!({"channel": channel, "approvers": approvers})
        }),
        "audited": line.map(|line| &line.decision),
        "observed": line.map(|line| line.observed),
        "policies": policies.collect::<Vec<_>>(),
    })
}
