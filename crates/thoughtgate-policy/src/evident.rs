//! The type of an expression as far as it is evident from the expression alone: from literals,
//! operators and methods.
//!
//! Expressions are in Cedar's JSON form. Does not look at the use of an expression: `infer.rs` does.

use serde_json::Value;

use crate::extension::{Extension, Function, Operand};
use crate::paths::is_path;
use crate::types::{Extent, Text, Type, join_type};

/// The type of an expression as far as it is evident without its context.
pub fn evident_type(expression: &Value) -> Type {
    if let Some(value) = expression.get("Value") {
        return match value {
            Value::Bool(_) => Type::Bool,
            Value::Number(_) => Type::Long,
            Value::String(text) => Type::Text(Text {
                path: is_path(text),
                ..Text::PLAIN
            }),
            _ => Type::Any,
        };
    }
    if let Some(items) = expression.get("Set").and_then(Value::as_array) {
        return Type::Set(Box::new(joined(items)));
    }
    if let Some(choice) = expression.get("if-then-else") {
        return joined([&choice["then"], &choice["else"]]);
    }
    if context_path(expression).is_some_and(|path| path == ["now"]) {
        return Type::Extension(Extension::Datetime);
    }
    let fields = expression.as_object();
    match fields.and_then(|fields| fields.keys().next()) {
        Some(operator) => result_type(operator),
        None => Type::Any,
    }
}

/// The type of what an operator or a method results in, as far as the name alone says it.
fn result_type(operator: &str) -> Type {
    match operator {
        "<" | "<=" | ">" | ">=" | "==" | "!=" | "&&" | "||" | "!" | "has" | "like" | "contains"
        | "is" => Type::Bool,
        "+" | "-" | "*" | "neg" => Type::Long,
        _ => match Function::named(operator) {
            Some(Function::Constructor(extension)) => Type::Extension(extension),
            Some(Function::Method { result, .. }) => match result {
                Operand::Bool => Type::Bool,
                Operand::Long => Type::Long,
                Operand::Of(extension) => Type::Extension(extension),
            },
            None => Type::Any,
        },
    }
}

/// The types that a comparison of order needs its sides to have. Cedar orders whole numbers, dates and
/// durations: numbers, unless a side shows otherwise.
pub fn ordered(operator: &str, left: &Value, right: &Value) -> [Type; 2] {
    let wanted = match (evident_type(left), evident_type(right)) {
        (wanted @ Type::Extension(_), _) | (_, wanted @ Type::Extension(_)) => wanted,
        _ => Type::Long,
    };
    if wanted != Type::Extension(Extension::Datetime) {
        return [wanted.clone(), wanted];
    }
    // For whole milliseconds `w`, `x < w` and `x >= w` are those of `x` rounded down to milliseconds, `x <= w` and
    // `x > w` those of `x` rounded up.
    let left_floors = matches!(operator, "<" | ">=");
    [
        (is_whole(right), left_floors),
        (is_whole(left), !left_floors),
    ]
    .map(|(is_whole, floors)| {
        Type::Extension(match (is_whole, floors) {
            (true, true) => Extension::DatetimeFloor,
            (true, false) => Extension::DatetimeCeil,
            (false, _) => Extension::Datetime,
        })
    })
}

/// Whether a time evidently has whole milliseconds: it contains no argument.
fn is_whole(time: &Value) -> bool {
    if let Some(operands) = time.get("offset") {
        return is_whole(&operands[0]) && operands[1].get("duration").is_some();
    }
    time.get("datetime").is_some()
        || time.get("toDate").is_some()
        || context_path(time).is_some_and(|path| path == ["now"])
}

/// The type that all these expressions share, as far as it is evident.
fn joined<'e>(expressions: impl IntoIterator<Item = &'e Value>) -> Type {
    let mut all = Type::Any;
    for expression in expressions {
        // If types differ, the validator refuses the policy.
        let _ = join_type(&mut all, &evident_type(expression));
    }
    all
}

/// The type that `like` with this pattern needs.
pub fn matched(pattern: &Value) -> Type {
    let (start, rest) = pattern_start(pattern);
    // Whether `start*` matches depends on the string's start alone.
    let extent = if !rest.is_empty() && rest.iter().all(|element| element == "Wildcard") {
        Extent::Start(start.chars().count())
    } else {
        Extent::Whole
    };
    Type::Text(Text {
        extent,
        matched: true,
        path: is_path(&start),
    })
}

/// The text of a pattern before its first `*`, and the elements from that on.
pub fn pattern_start(pattern: &Value) -> (String, &[Value]) {
    let elements = pattern.as_array().map_or(&[][..], Vec::as_slice);
    let literals = elements
        .iter()
        .map_while(|element| element["Literal"].as_str());
    let rest = elements.get(literals.clone().count()..);
    (literals.collect(), rest.unwrap_or_default())
}

/// The attribute names after `context`, in source order, if `expression` is such a path.
pub fn context_path(expression: &Value) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut current = expression;
    loop {
        if current["Var"] == "context" {
            names.reverse();
            return Some(names);
        }
        let access = current.get(".")?;
        names.push(access["attr"].as_str()?.to_owned());
        current = &access["left"];
    }
}
