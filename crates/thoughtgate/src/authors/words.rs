//! The answer of `thoughtgate explain` in words, one line for each fact and policy.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use thoughtgate_mcp::visible;
use thoughtgate_policy::{Considered, Effect, Finding, Outcome, rfc3339};

use super::answer::Answer;
use crate::cases::in_words;

/// Where the baseline permits a request, and no other policy concerns it.
const BUILT_IN_ONLY: &str = "`thoughtgate:baseline` is built in: it permits MCP's handshake, listings and notifications; \
                             no configured policy names this agent, action and resource";

/// The answer in words.
pub fn words(answer: &Answer<'_>) -> String {
    let Answer {
        call,
        explanation,
        line,
        ..
    } = answer;
    let mut text = String::new();
    let mut say = |line: String| writeln!(text, "{line}").expect("a String takes any text");
    // An agent has chosen what the audit line has, and could control the terminal by it.
    let head = format!("{} by agent `{}`", call.asked.in_words(), call.agent);
    say(visible(&head).into_owned());
    if answer.is_present
        && let Some(time) = call.at.and_then(rfc3339)
    {
        say(format!("time: {time}, the present; --time gives another"));
    }
    match &explanation.decision {
        Some(decision) => say(format!("decision: {}", in_words(decision))),
        None => say(unknown(answer)),
    }
    say(mode(answer).to_owned());
    if let Some(note) = without_claims(answer) {
        say(note);
    }
    if let Some(approvers) = approvers(answer) {
        say(approvers);
    }
    if let Some(line) = line {
        let observed = if line.observed {
            ", not carried out, since the mode was `observe`"
        } else {
            ""
        };
        say(format!(
            "the audit line says: {}{observed} (its policies may have been others than those of this configuration)",
            visible(&line.decision)
        ));
    }
    let determining = answer.determining();
    for policy in explanation
        .policies
        .iter()
        .filter(|policy| !policy.built_in)
    {
        let mark = if determining.contains(&&*policy.id) {
            "*"
        } else {
            "-"
        };
        let reason = policy.reason.iter().map(|reason| format!(" ({reason})"));
        say(format!(
            "{mark} `{}` at {}: {}{}",
            policy.id,
            policy.place,
            found(policy),
            reason.collect::<String>()
        ));
    }
    if explanation.policies.is_empty() {
        say("no policy names this agent, action and resource".to_owned());
    } else if explanation.policies.iter().all(|policy| policy.built_in) {
        say(BUILT_IN_ONLY.to_owned());
    }
    text
}

/// The part of a policy in the decision, in words.
fn found(policy: &Considered) -> String {
    let does = match policy.effect {
        Effect::Permit => "permits",
        Effect::Approve => "permits after approval",
        Effect::Forbid => "forbids",
    };
    let would = match policy.effect {
        Effect::Permit => "would permit",
        Effect::Approve => "would permit after approval",
        Effect::Forbid => "would forbid",
    };
    match &policy.finding {
        Finding::Applies => does.to_owned(),
        Finding::False { part, place } => {
            let part = match part {
                Some(part) => format!("this is false: {part}"),
                None => "its condition is false".to_owned(),
            };
            let place = place.iter().map(|place| format!(" at {place}"));
            format!("{would}, but {part}{}", place.collect::<String>())
        }
        Finding::Failed { reason, part } => {
            let part = part.iter().map(|part| format!(", in {part}"));
            format!(
                "{would}, but cannot be evaluated: {reason}{}",
                part.collect::<String>()
            )
        }
        Finding::Unknown => format!("{would}, depending on {}", read_parts(policy)),
        Finding::OtherAgent => format!("{would}, but for another agent"),
        Finding::OtherAction => format!("{would}, but for another action"),
    }
}

/// The parts of the call that a policy reads, as it names them.
fn read_parts(policy: &Considered) -> String {
    let arguments = policy.arguments.iter();
    let arguments = arguments.map(|path| format!("`context.arguments.{path}`"));
    let claims = policy.claims.iter().map(|name| claim(name));
    arguments.chain(claims).collect::<Vec<_>>().join(", ")
}

/// A claim, as policies read it.
fn claim(name: &str) -> String {
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain {
        format!("`principal.{name}`")
    } else {
        format!("`principal[\"{name}\"]`")
    }
}

/// The decision that is not known, and what is missing for it.
fn unknown(answer: &Answer<'_>) -> String {
    let names: Vec<String> = answer
        .missing_arguments()
        .iter()
        .map(|path| format!("`{path}`"))
        .collect();
    let noun = if names.len() == 1 {
        "argument"
    } else {
        "arguments"
    };
    let arguments = format!("the {noun} {}", names.join(", "));
    let (what, flags) = match answer.missing() {
        [true, true] => (
            format!("{arguments}, and on claims of the agent's token"),
            "--arguments and --claims",
        ),
        [false, true] => ("claims of the agent's token".to_owned(), "--claims"),
        _ => (arguments, "--arguments"),
    };
    // Of arguments, the line may have a part.
    let lacks = match answer.missing() {
        [true, _] => "does not have in full",
        _ => "does not have",
    };
    format!(
        "decision: unknown, since it depends on {what}, which the audit line {lacks}; pass them with {flags}"
    )
}

/// The mode, and what follows from it.
fn mode(answer: &Answer<'_>) -> &'static str {
    match (answer.observes(), &answer.explanation.decision) {
        (false, _) => "mode: enforce, so decisions are carried out",
        (true, Some(decision)) if matches!(decision.outcome, Outcome::Forward) => {
            "mode: observe, so decisions are only counted, logged and audited; here both modes forward the request"
        }
        (true, _) => {
            "mode: observe, so this is what `mode: enforce` would do; the request is forwarded all the same, and the \
             decision counted, logged and audited"
        }
    }
}

/// A note for a call without claims whose decision may depend on some.
fn without_claims(answer: &Answer<'_>) -> Option<String> {
    let policies = answer.explanation.policies.iter().filter(|policy| {
        !matches!(
            policy.finding,
            Finding::OtherAgent | Finding::OtherAction | Finding::Unknown
        )
    });
    let read: BTreeSet<&String> = policies.flat_map(|policy| &policy.claims).collect();
    if answer.claims_stated || !answer.known.claims || read.is_empty() {
        return None;
    }
    let read: Vec<String> = read.into_iter().map(|name| claim(name)).collect();
    Some(format!(
        "claims: none, as in a token without {}; pass others with --claims",
        read.join(", ")
    ))
}

/// The approvers that would be asked, if an approval is needed.
fn approvers(answer: &Answer<'_>) -> Option<String> {
    let (channel, approvers) = answer.approval()?;
    let who = match approvers {
        // As without a configuration; a proxy does not start without approvers.
        0 => "an approver (`approval.slack.approvers` is empty)".to_owned(),
        1 => "the one configured approver (`approval.slack.approvers`)".to_owned(),
        count => format!("one of {count} configured approvers (`approval.slack.approvers`)"),
    };
    let asks = if answer.observes() {
        "would ask"
    } else {
        "asks"
    };
    Some(format!("approval: {asks} {who}, in {channel}"))
}
