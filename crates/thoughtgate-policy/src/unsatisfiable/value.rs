//! Values and expressions of policies in their JSON form, as `unsatisfiable.rs` compares them.

use cedar_policy_core::ast::{Pattern, PatternElem};
use serde_json::Value;

use crate::evident::context_path;
use crate::milliseconds::milliseconds;

/// The time of day in conditions.
pub const TIME: &str = "context.now.toTime()";

/// A value in a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    Bool(bool),
    /// A whole number, or milliseconds.
    Number(i128),
    Text(String),
    Entity(String, String),
}

/// An expression that is tested: the key of its comparisons, and as policies write it.
pub type Name = (String, String);

impl Literal {
    /// The text, or the name or URI of a resource.
    pub fn text(&self) -> Option<&str> {
        match self {
            Literal::Text(text) | Literal::Entity(_, text) => Some(text),
            Literal::Bool(_) | Literal::Number(_) => None,
        }
    }

    /// Whether both can be of one request: a resource and its name have one subject.
    pub fn is_same(&self, other: &Literal) -> bool {
        self == other || self.is_named(other) || other.is_named(self)
    }

    /// Whether a request with this literal always has the other one.
    pub fn is_always(&self, other: &Literal) -> bool {
        self == other || self.is_named(other)
    }

    fn is_named(&self, name: &Literal) -> bool {
        matches!((self, name), (Literal::Entity(_, id), Literal::Text(text)) if id == text)
    }
}

/// Whether an entity is only itself, and no group of others.
pub fn is_single(literal: &Literal) -> bool {
    matches!(literal, Literal::Entity(kind, _) if ["Agent", "Tool", "Prompt", "Resource"].contains(&kind.as_str()))
}

/// The tested expression, if it is a value of the request.
pub fn name(expression: &Value) -> Option<Name> {
    if let Some(time) = expression["toTime"].get(0) {
        let is_now = context_path(time).is_some_and(|path| path == ["now"]);
        return is_now.then(|| (TIME.to_owned(), TIME.to_owned()));
    }
    if let Some(path) = context_path(expression) {
        // By its JSON, since names may have dots in them.
        return (!path.is_empty()).then(|| {
            (
                expression.to_string(),
                format!("context.{}", path.join(".")),
            )
        });
    }
    if let Some(name) = expression["Var"].as_str() {
        return matches!(name, "principal" | "resource").then(|| variable(name));
    }
    let access = expression.get(".")?;
    match (access["left"]["Var"].as_str()?, access["attr"].as_str()?) {
        ("resource", "name" | "uri") => Some(variable("resource")),
        ("principal", claim) => Some((expression.to_string(), format!("principal.{claim}"))),
        _ => None,
    }
}

/// `principal` or `resource` itself.
pub fn variable(name: &str) -> Name {
    (name.to_owned(), name.to_owned())
}

/// The value of an expression that is one.
pub fn literal(expression: &Value) -> Option<Literal> {
    if let Some(milliseconds) = milliseconds(expression) {
        return Some(Literal::Number(milliseconds.into()));
    }
    match expression.get("Value")? {
        Value::Bool(value) => Some(Literal::Bool(*value)),
        Value::Number(number) => Some(Literal::Number(number.as_i64()?.into())),
        Value::String(text) => Some(Literal::Text(text.clone())),
        value => entity(&value["__entity"]),
    }
}

/// An entity in its JSON form.
pub fn entity(value: &Value) -> Option<Literal> {
    let (kind, id) = (value["type"].as_str()?, value["id"].as_str()?);
    Some(Literal::Entity(kind.to_owned(), id.to_owned()))
}

/// The pattern of a `like`.
pub fn pattern(elements: &Value) -> Pattern {
    let elements = elements.as_array().into_iter().flatten();
    let elements = elements.flat_map(|element| match element["Literal"].as_str() {
        Some(text) => text.chars().map(PatternElem::Char).collect(),
        None => vec![PatternElem::Wildcard],
    });
    elements.collect()
}
