//! `thoughtgate explain`: the decision on one call, the policies that made it, and those that nearly did.
//!
//! The engine of the proxy decides and explains; here is its answer in words and as JSON. Who would be
//! asked is taken from the configuration. Asks neither the upstream nor Slack.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail, ensure};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use thoughtgate_mcp::visible;
use thoughtgate_policy::{Considered, Effect, Explanation, Finding, rfc3339};

use super::asked::Asked;
use super::audit_line::{self, Line};
use crate::call::{self, Call};
use crate::cases::{Expect, in_words};
use crate::config::Config;
use crate::flags::{Explain, Flags, Format};
use crate::text::print;

/// Prints the explanation. The exit code is 0 whatever the decision is.
pub fn explain(
    flags: &Flags,
    environment: &[(String, String)],
    options: &Explain,
) -> anyhow::Result<ExitCode> {
    let asked = Asked::read(flags, environment)?;
    let line = options.audit.as_deref().map(audit_line::read).transpose()?;
    let (call, known) = call(options, line.as_ref(), asked.agent())?;
    let explanation = asked.engine.explain(&call.query(), known);
    let text = match options.format {
        Format::Text => text(&call, &explanation, &asked.config, line.as_ref()),
        Format::Json => format!(
            "{:#}\n",
            as_json(&call, &explanation, &asked.config, line.as_ref())
        ),
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The call, and whether its arguments are known.
fn call(
    options: &Explain,
    line: Option<&Line>,
    agent: Option<&str>,
) -> anyhow::Result<(Call, bool)> {
    let given = options.arguments.as_deref();
    let arguments = given.map(|text| RawValue::from_string(text.to_owned()));
    // The text is left out of errors, as all values are.
    let arguments = arguments.transpose().map_err(|_| {
        anyhow!(
            r#"`--arguments` is not valid JSON; expected an object, such as '{{"path": "/srv/a"}}'"#
        )
    })?;
    let is_call = |method: &str| method == "tools/call";
    if let Some(line) = line {
        let known = arguments.is_some() || !is_call(&line.method);
        let (agent, asked, at) = (line.agent.clone(), line.asked.clone(), Some(line.at));
        return Ok((
            Call {
                agent,
                asked,
                arguments,
                at,
            },
            known,
        ));
    }
    let method = options.method.as_deref().unwrap_or("tools/call");
    ensure!(
        is_call(method) || arguments.is_none(),
        "only `tools/call` has `--arguments`"
    );
    if options.tool.is_none() && options.method.is_none() {
        bail!("nothing to explain; pass --tool NAME, --method METHOD, or --audit LINE");
    }
    let asked = call::Asked::of(method, options.tool.as_deref()).map_err(|problem| {
        let advice = match options.tool {
            Some(_) => "leave --tool out",
            None => "pass it with --tool",
        };
        anyhow!("{problem}; {advice}")
    })?;
    let time = options.time.as_deref().map(call::time).transpose();
    let at = time.map_err(|problem| anyhow!("`--time`: {problem}"))?;
    let agent = options.agent.as_deref().or(agent);
    let agent =
        agent.context("pass --agent: the configuration takes the agent's id from each request")?;
    let agent = agent.to_owned();
    Ok((
        Call {
            agent,
            asked,
            arguments,
            at,
        },
        true,
    ))
}

fn text(call: &Call, explanation: &Explanation, config: &Config, line: Option<&Line>) -> String {
    let mut text = String::new();
    let mut say = |line: String| writeln!(text, "{line}").expect("a String takes any text");
    // An agent has chosen what the audit line has, and could control the terminal by it.
    let head = format!("{} by agent `{}`", call.asked.in_words(), call.agent);
    say(visible(&head).into_owned());
    match &explanation.decision {
        Some(decision) => say(format!("decision: {}", in_words(decision))),
        None => say(
            "decision: unknown, since it depends on the arguments, which the audit line does not have; pass \
             them with --arguments"
                .to_owned(),
        ),
    }
    if let Some(approvers) = approvers(explanation, config) {
        say(approvers);
    }
    if let Some(line) = line {
        say(format!(
            "the audit line says: {} (its policies may have been others than those of this configuration)",
            visible(&line.decision)
        ));
    }
    let determining = determining(explanation);
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
    if explanation.policies.iter().all(|policy| policy.built_in) {
        say("no policy names this agent, action and resource".to_owned());
    }
    text
}

/// Ids of the policies that made the decision.
fn determining(explanation: &Explanation) -> Vec<&str> {
    let decision = explanation.decision.iter();
    decision
        .flat_map(|decision| decision.policies.iter().map(|id| &**id))
        .collect()
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
        Finding::Unknown => format!("{would}, depending on {}", quoted(&policy.arguments)),
        Finding::OtherAgent => format!("{would}, but for another agent"),
        Finding::OtherAction => format!("{would}, but for another action"),
    }
}

fn quoted(arguments: &[String]) -> String {
    let quoted: Vec<String> = arguments
        .iter()
        .map(|path| format!("`context.arguments.{path}`"))
        .collect();
    quoted.join(", ")
}

/// The approvers that would be asked, if an approval is needed.
fn approvers(explanation: &Explanation, config: &Config) -> Option<String> {
    let (channel, approvers) = asked_of(explanation, config)?;
    let who = match approvers {
        // As without a configuration; a proxy does not start without approvers.
        0 => "an approver (`approval.slack.approvers` is empty)".to_owned(),
        count => format!("one of {count} configured approvers (`approval.slack.approvers`)"),
    };
    Some(format!("approval: asks {who}, in {channel}"))
}

/// The channel in words, and the number of approvers.
fn asked_of(explanation: &Explanation, config: &Config) -> Option<(String, usize)> {
    use thoughtgate_policy::Outcome;
    let Outcome::Approve { channel } = &explanation.decision.as_ref()?.outcome else {
        return None;
    };
    let channel = match channel {
        Some(channel) => format!("the policy's channel {channel}"),
        None => "the channel of `approval.slack.channel`".to_owned(),
    };
    Some((channel, config.approval.slack.approvers.len()))
}

fn as_json(call: &Call, explanation: &Explanation, config: &Config, line: Option<&Line>) -> Value {
    let determining = determining(explanation);
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
            "finding": finding,
            "condition": part,
            "condition_place": place,
            "error": error,
        })
    });
    let asked = asked_of(explanation, config);
    json!({
        "agent": call.agent,
        "request": call.asked.in_words(),
        "time": call.at.and_then(rfc3339),
        "decision": explanation.decision.as_ref().map(|decision| Expect::of(decision).to_string()),
        "error": explanation.decision.as_ref().and_then(|decision| decision.error.as_deref()),
        "approval": asked.map(|(channel, approvers)| json!({"channel": channel, "approvers": approvers})),
        "audited": line.map(|line| &line.decision),
        "policies": policies.collect::<Vec<_>>(),
    })
}
