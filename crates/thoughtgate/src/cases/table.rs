//! The form of a file of cases: its keys, and what each may be.
//!
//! Decides nothing. Cases are no secrets, so mistakes may name what is written.

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use serde_saphyr::{Location, Spanned};
use thoughtgate_policy::Claims;

use super::case::{Case, Expect};
use crate::call::{Agents, Asked, Call, time};
use crate::config::outline::{Kind, Node, outline};
use crate::config::yaml::{self, Fault};
use crate::mistakes::Mistakes;

/// More mistakes help nobody, and to look for each takes a parse of the file.
const MAX: usize = 100;

/// A case as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    call: Option<String>,
    prompt: Option<String>,
    resource: Option<String>,
    method: Option<String>,
    agent: Option<String>,
    claims: Option<Spanned<Map<String, Value>>>,
    arguments: Option<Spanned<Value>>,
    at: Option<Spanned<String>>,
    expect: Option<Spanned<String>>,
    by: Option<Vec<String>>,
    why: Option<String>,
}

/// The cases in `text`; `name` and `agents` are as in [`super::parse`].
pub fn read(name: &str, text: &str, agents: &Agents<'_>) -> Result<Vec<Case>, Mistakes> {
    let one = |mistake: String| Err(Mistakes::from_iter([mistake]));
    if text.trim().is_empty() {
        return one(format!(
            "{name}: no cases; write a list, each with `call` and `expect`"
        ));
    }
    let mut mistakes = Mistakes::default();
    let rows = yaml::read(text).unwrap_or_else(|first| {
        let (rows, faults) = each(text, first);
        for fault in &faults {
            mistakes.add(told(name, fault));
        }
        rows
    });
    if rows.is_empty() && mistakes.is_empty() {
        return one(format!(
            "{name}: no cases; write at least one, with `call` and `expect`"
        ));
    }
    let mut cases = Vec::new();
    for row in rows {
        let place = |at: &Location| format!("{name}:{}:{}", at.line(), at.column());
        let at = row.referenced;
        let mut wrong = |at: &Location, problem: &str| {
            mistakes.add(format!("{}: {problem}", place(at)));
        };
        cases.extend(case(row.value, &at, agents, &mut wrong));
    }
    mistakes.or(cases)
}

/// The rows of a list that can be read, and the faults of the others; `first` is the one that a parser of the
/// whole stops at.
fn each(text: &str, first: Fault) -> (Vec<Spanned<Row>>, Vec<Fault>) {
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    let items = match outline(text).map(|root| root.kind) {
        Some(Kind::List(_, items)) => items,
        _ => Vec::new(),
    };
    for item in items.iter().take(MAX) {
        match yaml::read(&alone(text, item)) {
            Ok(row) => rows.push(row),
            // The anchor may be in another row.
            Err(fault) if fault.problem == yaml::UNDEFINED => {}
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() {
        faults.push(first);
    }
    (rows, faults)
}

/// `text` with spaces in place of all but `item`, which keeps its place.
fn alone(text: &str, item: &Node) -> String {
    let kept = item.start.index..item.end;
    let letters = text.chars().enumerate();
    letters
        .map(|(at, letter)| match letter {
            '\n' => '\n',
            letter if kept.contains(&at) => letter,
            _ => ' ',
        })
        .collect()
}

fn told(name: &str, fault: &Fault) -> String {
    let at = fault.place;
    let at = at.map_or_else(String::new, |(line, column)| format!(":{line}:{column}"));
    let key = key(fault).map(|key| format!("`{key}`: "));
    format!("{name}{at}: {}{}", key.unwrap_or_default(), fault.problem)
}

/// The key of the case that has the value with the fault, unless the fault is the key.
fn key(fault: &Fault) -> Option<&str> {
    // A row and its values have their places, so that the path is `value.claims.value`, after that of the row.
    let path = &fault.path;
    let key = path.split_once("].value.").map(|(_, key)| key);
    let key = key.or_else(|| path.strip_prefix("value."))?;
    let key = key.split(['.', '[']).next()?;
    // A key whose value was not reached is `?` in the path.
    let is_named = key != "?" && !fault.problem.contains(&format!("key `{key}`"));
    is_named.then_some(key)
}

/// The case of one row; `wrong` takes all its mistakes.
fn case(
    row: Row,
    at: &Location,
    agents: &Agents<'_>,
    wrong: &mut impl FnMut(&Location, &str),
) -> Option<Case> {
    let asked = asked(&row).map_err(|problem| wrong(at, problem)).ok();
    let claims = claims(row.claims, at, agents, wrong);
    let agent = row.agent.or_else(|| agents.fixed.map(str::to_owned));
    match agent.as_deref() {
        None => wrong(
            at,
            "the case needs `agent`, since the configuration takes the agent's id from each request",
        ),
        Some(id) if id.trim().is_empty() => wrong(at, "`agent` is empty, which no request's is"),
        Some(_) => {}
    }
    let expect = match &row.expect {
        None => {
            wrong(at, "the case needs `expect`: permit, refuse or approve");
            None
        }
        Some(word) => {
            let known = Expect::ALL.iter().find(|(known, _)| *known == word.value);
            if known.is_none() {
                wrong(
                    &word.referenced,
                    "`expect`: expected permit, refuse or approve",
                );
            }
            known.map(|(_, expect)| *expect)
        }
    };
    let time = row.at.as_ref().and_then(|text| {
        let parsed = time(&text.value);
        parsed
            .map_err(|problem| wrong(&text.referenced, &format!("`at`: {problem}")))
            .ok()
    });
    let arguments = row.arguments.as_ref().and_then(|value| {
        if !matches!(asked, None | Some(Asked::Tool(_))) {
            wrong(&value.referenced, "only a `call` has `arguments`");
        }
        let parsed = arguments(&value.value);
        parsed
            .map_err(|problem| wrong(&value.referenced, problem))
            .ok()
            .flatten()
    });
    let mut by = row.by;
    if let Some(ids) = &mut by {
        ids.sort();
    }
    Some(Case {
        line: at.line(),
        call: Call {
            agent: agent?,
            claims,
            asked: asked?,
            arguments,
            at: time,
        },
        expect: expect?,
        by,
        why: row.why,
    })
}

/// The claims of the agent; without any, those of a token that has none of the declared ones.
fn claims(
    stated: Option<Spanned<Map<String, Value>>>,
    at: &Location,
    agents: &Agents<'_>,
    wrong: &mut impl FnMut(&Location, &str),
) -> Option<Claims> {
    let (stated, at) = match stated {
        Some(stated) => (stated.value, stated.referenced),
        None => (Map::new(), *at),
    };
    agents.claims(&stated).unwrap_or_else(|mistakes| {
        for mistake in mistakes {
            wrong(&at, &mistake.to_string());
        }
        None
    })
}

fn asked(row: &Row) -> Result<Asked, &'static str> {
    let Row {
        call,
        prompt,
        resource,
        method,
        ..
    } = row;
    match (call, prompt, resource, method) {
        (Some(tool), None, None, None) => Asked::of("tools/call", Some(tool)),
        (None, Some(prompt), None, None) => Asked::of("prompts/get", Some(prompt)),
        (None, None, Some(uri), method) => {
            Asked::of(method.as_deref().unwrap_or("resources/read"), Some(uri))
        }
        (None, None, None, Some(method)) => Asked::of(method, None),
        _ => Err(
            "the case needs one of `call` (a tool), `prompt`, `resource` (perhaps with `method`) and \
             `method`",
        ),
    }
}

/// The arguments as JSON; `None` for null. A text is the JSON as an agent would send it.
fn arguments(value: &Value) -> Result<Option<Box<RawValue>>, &'static str> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => RawValue::from_string(text.clone())
            .map(Some)
            .map_err(|_| "`arguments`: the text is not valid JSON"),
        value => to_raw_value(value)
            .map(Some)
            .map_err(|_| "`arguments`: cannot be written as JSON"),
    }
}
