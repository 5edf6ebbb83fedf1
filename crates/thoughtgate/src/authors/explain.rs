//! `thoughtgate explain`: the decision on one call, the policies that made it, and those that nearly did.
//!
//! The engine of the proxy decides and explains; here is its answer in words and as JSON. Who would be
//! asked is taken from the configuration. Asks neither the upstream nor Slack.

use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context, anyhow, bail, ensure};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use thoughtgate_mcp::unique_keys;
use thoughtgate_policy::{Claims, Engine, Explanation, Known};

use super::answer::{Answer, unknown_arguments};
use super::asked::Asked;
use super::audit_line::{self, Line};
use super::json::json;
use super::words::words;
use crate::call::{self, Agents, Call};
use crate::flags::{Explain, Flags, Format};
use crate::mistakes::Mistakes;
use crate::text::print;

/// The method that is explained unless another is given.
const CALL: &str = "tools/call";

/// Prints the explanation. The exit code is 0 whatever the decision is.
pub fn explain(
    flags: &Flags,
    environment: &[(String, String)],
    options: &Explain,
) -> anyhow::Result<ExitCode> {
    let asked = Asked::read(flags, environment)?;
    let line = options.audit.as_deref().map(audit_line::read).transpose()?;
    let agents = asked.agents();
    let claims = claims(options.claims.as_deref(), &agents)?;
    let claims_stated = options.claims.is_some();
    let (mut call, arguments) = call(options, line.as_ref(), agents.fixed, claims)?;
    let is_present = call.at.is_none() && asked.engine.reads_time(&call.query());
    if is_present {
        call.at = Some(SystemTime::now());
    }
    let known = Known {
        arguments,
        // The audit has none.
        claims: claims_stated || line.is_none(),
    };
    let (call, known, explanation) = explained(&asked.engine, call, known, line.as_ref());
    let answer = Answer {
        call,
        is_present,
        known,
        claims_stated,
        explanation,
        config: &asked.config,
        line: line.as_ref(),
    };
    let text = match options.format {
        Format::Text => words(&answer),
        Format::Json => format!("{:#}\n", json(&answer)),
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The explanation of `call`. Where arguments are unknown, and the audit line has all that policies read, it is
/// that of a call with those.
fn explained(
    engine: &Engine,
    mut call: Call,
    mut known: Known,
    line: Option<&Line>,
) -> (Call, Known, Explanation) {
    let explanation = engine.explain(&call.query(), known);
    let Some(shown) = line.map(|line| &line.shown) else {
        return (call, known, explanation);
    };
    let read: Vec<&str> = unknown_arguments(&explanation).collect();
    if known.arguments || read.is_empty() || !read.iter().all(|path| shown.has(path)) {
        return (call, known, explanation);
    }
    call.arguments = Some(shown.arguments());
    known.arguments = true;
    let explanation = engine.explain(&call.query(), known);
    (call, known, explanation)
}

/// The call, and whether its arguments are known.
fn call(
    options: &Explain,
    line: Option<&Line>,
    agent: Option<&str>,
    claims: Option<Claims>,
) -> anyhow::Result<(Call, bool)> {
    let given = options.arguments.as_deref();
    let arguments = given.map(|text| RawValue::from_string(text.to_owned()));
    // The text is left out of errors, as all values are.
    let arguments = arguments.transpose().map_err(|_| {
        anyhow!(
            r#"`--arguments` is not valid JSON; expected an object, such as '{{"path": "/srv/a"}}'"#
        )
    })?;
    let (agent, asked, at, known) = if let Some(line) = line {
        let known = arguments.is_some() || line.method != CALL;
        (line.agent.clone(), line.asked.clone(), Some(line.at), known)
    } else {
        let (agent, asked, at) = asked(options, agent)?;
        (agent, asked, at, true)
    };
    let call = Call {
        agent,
        claims,
        asked,
        arguments,
        at,
    };
    Ok((call, known))
}

/// The agent, request and time that the flags describe.
fn asked(
    options: &Explain,
    agent: Option<&str>,
) -> anyhow::Result<(String, call::Asked, Option<SystemTime>)> {
    let method = options.method.as_deref().unwrap_or(CALL);
    ensure!(
        method == CALL || options.arguments.is_none(),
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
    ensure!(
        !agent.trim().is_empty(),
        "`--agent` is empty, which no request's agent is"
    );
    Ok((agent.to_owned(), asked, at))
}

/// The claims of the agent's token that `--claims` gives; `None` if none are declared.
fn claims(given: Option<&str>, agents: &Agents<'_>) -> anyhow::Result<Option<Claims>> {
    let stated = given.map(object).transpose()?.unwrap_or_default();
    agents.claims(&stated).map_err(|mistakes| {
        let mistakes: Mistakes = mistakes.iter().map(ToString::to_string).collect();
        anyhow::Error::new(mistakes).context("`--claims`")
    })
}

/// A JSON object whose keys are unique, as those of a token have to be.
fn object(text: &str) -> anyhow::Result<Map<String, Value>> {
    // serde's error is dropped: it quotes the text.
    let read = serde_json::from_str::<Box<RawValue>>(text).ok();
    let read = read.filter(|raw| unique_keys(raw).is_ok());
    read.and_then(|raw| serde_json::from_str(raw.get()).ok())
        .context(
            r#"`--claims` is not a JSON object with unique keys, such as '{"groups": ["dev"]}'"#,
        )
}
