//! Cedar's messages, with the way out in the terms of this proxy where Cedar's own help has none.
//!
//! A table from Cedar's messages to what to write instead. A message that is not in it stays as it is, so
//! that a new release of Cedar costs advice at most.

use miette::Diagnostic;

use crate::similar::nearest;

/// Functions that other languages have for texts, and what to write for them.
const METHODS: [(&[&str], &str); 5] = [
    (
        &[
            "startsWith",
            "startswith",
            "starts_with",
            "hasPrefix",
            "beginsWith",
        ],
        "write `… like \"x*\"`",
    ),
    (
        &["endsWith", "endswith", "ends_with", "hasSuffix"],
        "write `… like \"*x\"`",
    ),
    (
        &["includes", "indexOf", "matches", "match", "test", "regex"],
        "there are no regular expressions; write `… like \"*x*\"`, where `*` is any text",
    ),
    (&["equals", "eq"], "write `… == …`"),
    (
        &["hour", "hours", "getHours", "getUTCHours", "toHour"],
        HOUR,
    ),
];

/// Advice on the parts of a time.
const HOUR: &str = "the hour of the day, in UTC, is `context.now.toTime().toHours()`; other parts are \
                    `.toDate()`, and `.toMinutes()` and `.toSeconds()` of `.toTime()`";

/// Part of a message of Cedar's, and the help that replaces Cedar's own.
const MESSAGES: [(&str, &str); 29] = [
    (
        "or Long but saw decimal",
        "decimals are compared by methods, as in `….lessThan(decimal(\"9.99\"))`; there are also \
         `.lessThanOrEqual`, `.greaterThan` and `.greaterThanOrEqual`",
    ),
    (
        "expected Long but saw decimal",
        "decimals are not calculated with; write the result, such as `decimal(\"-1.0\")`",
    ),
    (
        "expected Long but saw String",
        "texts have no order, and are not joined; a date is `datetime(\"2026-12-31\")`, a number has no quotes",
    ),
    (
        "expected String but saw Tool",
        "compare the tool's name: `resource.name like \"…*\"`",
    ),
    (
        "expected String but saw Prompt",
        "compare the prompt's name: `resource.name like \"…*\"`",
    ),
    (
        "expected String but saw Resource",
        "compare the resource's URI: `resource.uri like \"…*\"`",
    ),
    (
        "expected String but saw Agent",
        "ids of agents have no patterns; list them in a group of `agent.groups`, and write `principal in \
         Group::\"…\"`",
    ),
    (
        "invalid string literal",
        "lists are sets, without an order: write `….contains(…)`",
    ),
    ("or a record but saw datetime", HOUR),
    ("expected duration but saw datetime", HOUR),
    (
        "expected Long but saw datetime",
        "compare with a time, as in `context.now < datetime(\"2026-12-31\")`; the hour of the day, in UTC, is \
         `context.now.toTime().toHours()`",
    ),
    (
        "expected Long but saw duration",
        "compare with a duration, as in `… < duration(\"1h30m\")`, or write `….toHours()`, `….toMinutes()`",
    ),
    (
        "expected a set of entities",
        "`in` compares entities with groups; for texts and numbers write `[\"a\", \"b\"].contains(…)`",
    ),
    (
        "the types String and Tool",
        "compare with the entity `Tool::\"…\"`, or the tool's name: `resource.name == \"…\"`",
    ),
    (
        "the types String and Prompt",
        "compare with the entity `Prompt::\"…\"`, or the prompt's name: `resource.name == \"…\"`",
    ),
    (
        "the types String and Resource",
        "compare with the entity `Resource::\"…\"`, or the resource's URI: `resource.uri == \"…\"`",
    ),
    (
        "the types String and Agent",
        "compare with the entity, `principal == Agent::\"…\"`",
    ),
    (
        "found set of entity uids",
        "a scope names one entity or group: list the tools in a group of `tool_groups` (agents in one of \
         `agent.groups`), or write a condition, `when { [Tool::\"a\", Tool::\"b\"].contains(resource) }`",
    ),
    (
        "unable to find an applicable action",
        "no request has these: a principal is an `Agent` (or in a `Group`); a resource is a `Tool` (or in a \
         `ToolGroup`) of `tools/call`, a `Prompt` of `prompts/get`, a `Resource` of `resources/…`, and the \
         `Upstream` of all other actions",
    ),
    ("invalid variable: now", "the time is `context.now`"),
    (
        "invalid variable: arguments",
        "the arguments of a call are `context.arguments`",
    ),
    (
        "invalid variable: tool",
        "the tool is `resource`, its name `resource.name`",
    ),
    ("invalid variable: agent", "the agent is `principal`"),
    (
        "invalid variable: null",
        "there is no null; an argument that is null counts as absent: write `context.arguments has …`",
    ),
    (
        "expected an entity but saw String",
        "`in` and `is` are for entities; for texts write `== \"…\"`, `like \"…\"` or `[\"a\", \"b\"].contains(…)`",
    ),
    (
        "expected ipaddr but saw String",
        "write `ip(\"10.0.0.0/8\")`",
    ),
    ("expected decimal but saw", "write `decimal(\"9.99\")`"),
    (
        "expected duration but saw String",
        "write `duration(\"1h30m\")`",
    ),
    (
        "expected datetime but saw String",
        "write `datetime(\"2026-01-05T23:00:00Z\")`",
    ),
];

/// Names of Cedar's own types, which are no part of its language, and what they mean; longer ones first.
const INTERNAL: [(&str, &str); 4] = [
    ("Set<__cedar::internal::AnyEntity>", "a set of entities"),
    ("Set<__cedar::internal::Any>", "a set"),
    ("__cedar::internal::AnyEntity", "an entity"),
    ("__cedar::internal::OpenRecord{}", "a record"),
];

/// The attributes of resources.
const NAMES: &str = "tools and prompts have a `name`, resources a `uri`, and the upstream has neither; test the \
                     type first, as in `resource is Tool && resource.name like \"db_*\"`";

/// The types of principals and resources, and of the groups that they can be in.
pub const TYPES: [&str; 7] = [
    "Agent",
    "Group",
    "Tool",
    "ToolGroup",
    "Prompt",
    "Resource",
    "Upstream",
];

/// The message of `error` with the way out; the text and the offset of the error in it show more than
/// Cedar's message.
pub fn message(error: &(impl Diagnostic + ?Sized), text: &str, offset: Option<usize>) -> String {
    let mut message = error.to_string();
    for (name, words) in INTERNAL {
        if message.contains(name) {
            message = message.replace(name, words);
        }
    }
    let (before, after) = offset
        .and_then(|offset| Some((text.get(..offset)?, text.get(offset..)?)))
        .unwrap_or_default();
    let own = || error.help().map(|help| help.to_string());
    match advice(&message, before, after).or_else(own) {
        Some(help) => format!("{message}; {help}"),
        None => message,
    }
}

fn advice(message: &str, before: &str, after: &str) -> Option<String> {
    if let Some(name) = quoted(message).filter(|_| message.ends_with("is not a valid method")) {
        return Some(method(name));
    }
    if message.ends_with("is not a valid function") {
        let known = "functions are `ip`, `decimal`, `datetime` and `duration`, of text literals; texts and \
                     sets have no length";
        return Some(known.to_owned());
    }
    if message.contains("found literal") {
        return entity(message, before);
    }
    if message.contains("unrecognized entity type `") {
        return Some(entity_type(message, before));
    }
    if ["Tool", "Prompt", "Resource", "Upstream"]
        .iter()
        .any(|kind| message.contains(&format!("on entity type `{kind}` not found")))
    {
        return Some(NAMES.to_owned());
    }
    if message.ends_with("invalid token") {
        return character(after).map(str::to_owned);
    }
    if message.contains(" in context ") && message.ends_with(" not found") {
        let name = message.split("attribute `").nth(1)?.split('`').next()?;
        return Some(context(name));
    }
    if message.starts_with("unexpected token") {
        return token(before, after).map(str::to_owned);
    }
    let known = MESSAGES.iter().find(|(part, _)| message.contains(part));
    known.map(|(_, help)| (*help).to_owned())
}

/// Advice for a method that Cedar does not have.
fn method(name: &str) -> String {
    let known = METHODS.iter().find(|(names, _)| names.contains(&name));
    known.map_or_else(
        || {
            "methods of sets are `contains`, `containsAll`, `containsAny` and `isEmpty`; texts are compared \
             with `==` and `like`"
                .to_owned()
        },
        |(_, help)| (*help).to_owned(),
    )
}

/// The entity for a text in a scope: `resource == "deploy"`.
fn entity(message: &str, before: &str) -> Option<String> {
    let literal = quoted(message)?;
    let scope = before.rsplit('(').next()?;
    let part = scope.rsplit(',').next()?;
    let (variable, kind) = [
        ("principal", "Agent"),
        ("action", "Action"),
        ("resource", "Tool"),
    ]
    .into_iter()
    .find(|(variable, _)| part.contains(variable))?;
    let operator = if part.contains("==") { "==" } else { "in" };
    let kind = match (operator, kind) {
        ("in", "Agent") => "Group",
        ("in", "Tool") => "ToolGroup",
        (_, kind) => kind,
    };
    Some(format!(
        "write the type, too: `{variable} {operator} {kind}::{literal}`"
    ))
}

/// The type that was probably meant: one that can be where it is. Cedar looks at the spelling alone, and names
/// any of equally similar types.
fn entity_type(message: &str, before: &str) -> String {
    let name = message.rsplit('`').nth(1).unwrap_or_default();
    let before = before.trim_end();
    let operator = ["==", "!=", " in", " is"]
        .into_iter()
        .find(|operator| before.ends_with(operator));
    let variable = operator.and_then(|operator| before.strip_suffix(operator));
    let variable = variable.unwrap_or_default().trim_end();
    let (known, usual) = match (variable, operator) {
        (variable, Some(" in"))
            if variable.ends_with("principal") || variable.ends_with("is Agent") =>
        {
            (&TYPES[1..2], Some("Group"))
        }
        (variable, _) if variable.ends_with("principal") => (&TYPES[0..1], Some("Agent")),
        (variable, Some(" in"))
            if variable.ends_with("resource") || variable.ends_with("is Tool") =>
        {
            (&TYPES[3..4], Some("ToolGroup"))
        }
        (variable, _) if variable.ends_with("resource") => (&TYPES[2..], Some("Tool")),
        _ => (&TYPES[..], None),
    };
    match nearest(name, known.iter().copied()).or(usual) {
        Some(kind) => format!("did you mean `{kind}`?"),
        None => format!("types are `{}`", TYPES.join("`, `")),
    }
}

/// Advice for an operator of another language, or a number with a fraction.
fn token(before: &str, after: &str) -> Option<&'static str> {
    let word = after.split(|letter: char| !letter.is_alphanumeric()).next();
    match word.unwrap_or_default() {
        "and" => Some("write `&&`"),
        "or" => Some("write `||`"),
        "not" => Some("write `!`"),
        digits if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let number = before.strip_suffix('.')?;
            number
                .ends_with(|digit: char| digit.is_ascii_digit())
                .then_some(
                    "a number with a fraction is `decimal(\"1.5\")`, compared with `.lessThan(…)`, \
                 `.greaterThan(…)`",
                )
        }
        _ => None,
    }
}

/// Advice for a character that begins no token.
fn character(after: &str) -> Option<&'static str> {
    match after.chars().next()? {
        '#' => Some("comments begin with `//`"),
        '?' => Some("write `if … then … else …`"),
        '“' | '”' | '„' | '‘' | '’' | '«' | '»' => {
            Some("write plain quotation marks, `\"`")
        }
        _ => None,
    }
}

/// Advice for an attribute that `context` does not have. Cedar knows `arguments` only if a policy reads one.
fn context(name: &str) -> String {
    nearest(name, ["arguments", "now"]).map_or_else(
        || "there are `context.arguments`, those of a call, and the time, `context.now`".to_owned(),
        |known| format!("did you mean `{known}`?"),
    )
}

/// The text in the first pair of back quotes.
fn quoted(message: &str) -> Option<&str> {
    message.split('`').nth(1)
}
