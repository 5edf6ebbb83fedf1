//! Texts that a policy compares with the resource's name or URI, or with an argument, anywhere in its
//! condition, and the refusal of those that no request can have.
//!
//! Follows direct comparisons only: what counts as a path in a call, `infer.rs` finds in every form.

use cedar_policy::Policy;
use serde_json::Value;

use crate::error::LoadError;
use crate::evident::{context_path, pattern_start};
use crate::options::Source;
use crate::paths::{FILE_URI, ambiguity, is_file, is_path};
use crate::place;

/// Message for a name with a `*`.
pub const NO_PATTERN: &str = "contains `*`, but names are matched literally and not as patterns; list \
                              each name";

/// A text in a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal {
    pub compared: Compared,
    pub form: Form,
    /// The text, or the part of a pattern before its first `*`.
    pub text: String,
}

/// The value that a text is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// `resource.name`, of a tool or a prompt.
    Name,
    /// `resource.uri`.
    Uri,
    /// An argument of the call.
    Argument,
}

/// The way in which a text is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// With `==`, `!=` or as an element of a set.
    Equal,
    /// With `like`, by a pattern without `*`.
    Matched,
    /// With `like`, as the start of a pattern.
    Start,
}

/// The texts in the conditions of a policy in its JSON form.
pub fn of(policy: &Value) -> Vec<Literal> {
    let mut found = Vec::new();
    for condition in policy["conditions"].as_array().into_iter().flatten() {
        collect(&condition["body"], &mut found);
    }
    found
}

fn collect(expression: &Value, found: &mut Vec<Literal>) {
    match expression {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => {
            for (operator, operands) in fields {
                comparison(operator, operands, found);
                collect(operands, found);
            }
        }
        _ => {}
    }
}

/// Adds the texts of one comparison.
fn comparison(operator: &str, operands: &Value, found: &mut Vec<Literal>) {
    let (left, right) = (&operands["left"], &operands["right"]);
    match operator {
        "==" | "!=" | "contains" | "containsAll" | "containsAny" => {
            for (value, literal) in [(left, right), (right, left)] {
                if let Some(compared) = compared(value) {
                    texts(literal, compared, found);
                }
            }
        }
        "like" => {
            if let Some(compared) = compared(left) {
                let (text, rest) = pattern_start(&operands["pattern"]);
                let form = if rest.is_empty() {
                    Form::Matched
                } else {
                    Form::Start
                };
                found.push(Literal {
                    compared,
                    form,
                    text,
                });
            }
        }
        _ => {}
    }
}

fn compared(expression: &Value) -> Option<Compared> {
    if let Some(path) = context_path(expression) {
        let is_argument = path.first().is_some_and(|first| first == "arguments");
        return is_argument.then_some(Compared::Argument);
    }
    let access = expression.get(".")?;
    match (access["left"]["Var"].as_str()?, access["attr"].as_str()?) {
        ("resource", "name") => Some(Compared::Name),
        ("resource", "uri") => Some(Compared::Uri),
        _ => None,
    }
}

/// Adds the texts that `expression` can be, or be a set of.
fn texts(expression: &Value, compared: Compared, found: &mut Vec<Literal>) {
    if let Some(text) = expression["Value"].as_str() {
        found.push(Literal {
            compared,
            form: Form::Equal,
            text: text.to_owned(),
        });
    }
    let items = expression["Set"].as_array().into_iter().flatten();
    let choice = &expression["if-then-else"];
    for item in items.chain([&choice["then"], &choice["else"]]) {
        if !item.is_null() {
            texts(item, compared, found);
        }
    }
}

/// Refuses `literals` of `policy` that no request can have.
pub fn check(
    literals: &[Literal],
    policy: &Policy,
    id: &str,
    source: &Source,
    errors: &mut Vec<LoadError>,
) {
    for literal in literals {
        let Some(problem) = literal.problem() else {
            continue;
        };
        let star = if literal.form == Form::Start { "*" } else { "" };
        errors.push(LoadError::Reference {
            place: place::of_text(source, policy, &literal.text),
            policy: id.to_owned(),
            entity: format!("\"{}{star}\"", literal.text.escape_debug()),
            problem,
        });
    }
}

impl Literal {
    fn problem(&self) -> Option<String> {
        let text = &self.text;
        match (self.compared, self.form) {
            (Compared::Name, Form::Equal) if text.contains('*') => Some(starred("name", text)),
            (Compared::Uri, Form::Equal) if text.contains('*') => Some(starred("uri", text)),
            (_, Form::Start) if FILE_URI.starts_with(text.as_str()) => None,
            // The last segment of a pattern goes on behind the `*`.
            (_, Form::Start) if !is_file(text) => {
                let end = text.rfind('/').map_or(0, |slash| slash + 1);
                no_path(text.get(..end).unwrap_or_default())
            }
            _ => no_path(text),
        }
    }
}

/// The problem with a `*` in a text that is compared with the attribute of a resource.
pub fn starred(attribute: &str, text: &str) -> String {
    format!(
        "which {NO_PATTERN}, or compare with a pattern in a condition: `resource.{attribute} like {text:?}` \
         (a `*` of the name itself is `\\*` in a pattern)"
    )
}

/// The problem with a path that no request can have, since those with such a text are refused.
pub fn no_path(text: &str) -> Option<String> {
    let problem = ambiguity(text).filter(|_| is_path(text))?;
    Some(format!(
        "which no request can have: it contains {problem}, for which requests are refused; write the plain path"
    ))
}
