//! Makes a Cedar context of what policies read of a call: those arguments, and the time.
//!
//! An argument of another type than the policies use it as, or one that Cedar cannot hold, is an
//! error, and so a refusal: compared as it is, it could slip past a `forbid`.

use std::time::SystemTime;

use cedar_policy::{Context, RestrictedExpression};
use serde_json::Value;
use serde_json::value::RawValue;
use thoughtgate_mcp::{Unclear, members};

use crate::reads::{Fields, Reads, Type, name_of};

/// The context of one call, or why it has none.
pub fn context(
    reads: &Reads,
    arguments: Option<&RawValue>,
    now: SystemTime,
) -> Result<Context, String> {
    let mut pairs = Vec::with_capacity(2);
    let record = match arguments {
        Some(raw) if !reads.arguments.is_empty() => read_fields(raw, &reads.arguments)?,
        _ => RestrictedExpression::new_record([]).map_err(|error| error.to_string())?,
    };
    pairs.push(("arguments".to_owned(), record));
    if reads.now {
        let text = humantime::format_rfc3339_millis(now).to_string();
        pairs.push(("now".to_owned(), RestrictedExpression::new_datetime(text)));
    }
    Context::from_pairs(pairs).map_err(|error| error.to_string())
}

fn read_fields(raw: &RawValue, fields: &Fields) -> Result<RestrictedExpression, String> {
    let members =
        members(raw.get(), fields.keys().map(String::as_str)).map_err(|unclear| match unclear {
            Unclear::NotAnObject => "`arguments` is not an object".to_owned(),
            Unclear::Duplicate(name) => format!("argument `{name}` stands twice"),
            // A server that ignores case would take it for the one that policies read.
            Unclear::Lookalike(name) => {
                format!("argument `{name}` differs only in case from one that policies read")
            }
            Unclear::Nul(name) => format!(
                "argument `{}` contains U+0000, where some servers end a name",
                name.escape_debug()
            ),
        })?;
    let mut pairs = Vec::with_capacity(fields.len());
    for (name, raw) in members {
        if let Some(wanted) = fields.get(name.as_ref()) {
            let value: Value = serde_json::from_str(raw.get())
                .map_err(|error| format!("argument `{name}`: {error}"))?;
            let expression = expression(value, wanted, &name)?;
            pairs.push((name.into_owned(), expression));
        }
    }
    RestrictedExpression::new_record(pairs).map_err(|error| error.to_string())
}

fn expression(value: Value, wanted: &Type, path: &str) -> Result<RestrictedExpression, String> {
    Ok(match (value, wanted) {
        // Only its presence is asked for, so any value stands for it.
        (_, Type::Any) => RestrictedExpression::new_string(String::new()),
        (Value::Bool(value), Type::Bool) => RestrictedExpression::new_bool(value),
        (Value::String(value), Type::Text) => RestrictedExpression::new_string(value),
        (Value::Number(value), Type::Long) => match value.as_i64() {
            Some(value) => RestrictedExpression::new_long(value),
            None => {
                return Err(format!(
                    "argument `{path}` is {value}, which is not a whole number that policies can compare"
                ));
            }
        },
        (Value::Array(items), Type::Set(element)) => {
            let items: Result<Vec<_>, _> = items
                .into_iter()
                .map(|item| element_of(item, element, path))
                .collect();
            RestrictedExpression::new_set(items?)
        }
        (Value::Object(mut found), Type::Record(fields)) => {
            let mut pairs = Vec::with_capacity(fields.len());
            for (name, wanted) in fields {
                if let Some(value) = found.remove(name) {
                    pairs.push((
                        name.clone(),
                        expression(value, wanted, &format!("{path}.{name}"))?,
                    ));
                }
            }
            RestrictedExpression::new_record(pairs).map_err(|error| error.to_string())?
        }
        (value, wanted) => {
            return Err(format!(
                "argument `{path}` is {}, and policies read it as {}",
                kind_of(&value),
                name_of(wanted)
            ));
        }
    })
}

/// Elements that no policy looks into are kept apart all the same, so that a set stays its size.
fn element_of(item: Value, element: &Type, path: &str) -> Result<RestrictedExpression, String> {
    match element {
        Type::Any => Ok(RestrictedExpression::new_string(item.to_string())),
        element => expression(item, element, path),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
