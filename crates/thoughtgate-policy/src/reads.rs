//! What policies read of a call's arguments, and of which type each argument must be.
//!
//! Cedar wants types declared; MCP tools declare theirs elsewhere, and an agent may send anything.
//! So the types come from the policies' own use of an argument (`<` wants a number, `like` a text),
//! and a call whose argument has another type is refused rather than compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

/// The type of an argument, as far as the policies tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// Only asked for with `has`.
    Any,
    Bool,
    Long,
    Text,
    Set(Box<Type>),
    Record(Fields),
}

/// The arguments that are read, by name.
pub type Fields = BTreeMap<String, Type>;

/// What one or more policies read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// Fields of `context.arguments`.
    pub arguments: Fields,
    /// Whether `context.now` is read.
    pub now: bool,
}

/// Why a policy's reading cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// `context` or `context.arguments` as one value.
    Whole(String),
    /// One argument, two types.
    Conflict {
        argument: String,
        first: String,
        second: String,
    },
}

impl Reads {
    /// Whether nothing of the call is read, so that the decision holds for every call.
    pub fn is_nothing(&self) -> bool {
        self.arguments.is_empty() && !self.now
    }

    /// Adds what `other` reads.
    pub fn join(&mut self, other: &Reads) -> Result<(), Unreadable> {
        self.now |= other.now;
        join_fields(&mut self.arguments, &other.arguments, "")
    }

    /// What a policy reads, from its JSON form (Cedar's EST).
    pub fn of(policy: &Value) -> Result<Reads, Unreadable> {
        let mut reads = Reads::default();
        for condition in policy["conditions"].as_array().into_iter().flatten() {
            reads.expression(&condition["body"], &Type::Bool)?;
        }
        Ok(reads)
    }

    /// Follows one expression, which its surroundings want to be `wanted`.
    fn expression(&mut self, expression: &Value, wanted: &Type) -> Result<(), Unreadable> {
        if let Some(path) = context_path(expression) {
            return self.read(&path, valued(wanted));
        }
        let Some((operator, operands)) = expression
            .as_object()
            .and_then(|fields| fields.iter().next())
        else {
            return Ok(());
        };
        let (left, right) = (&operands["left"], &operands["right"]);
        match operator.as_str() {
            "Value" | "Var" => Ok(()),
            "has" => self.presence(left, &operands["attr"]),
            "." | "is" | "like" => self.expression(
                left,
                if operator == "like" {
                    &Type::Text
                } else {
                    &Type::Any
                },
            ),
            "&&" | "||" => self.both(left, right, &Type::Bool),
            "!" => self.expression(&operands["arg"], &Type::Bool),
            "neg" => self.expression(&operands["arg"], &Type::Long),
            "<" | "<=" | ">" | ">=" | "+" | "-" | "*" => {
                let number = if is_extension(left) || is_extension(right) {
                    Type::Any
                } else {
                    Type::Long
                };
                self.both(left, right, &number)
            }
            "==" | "!=" => {
                self.expression(left, &literal_type(right))?;
                self.expression(right, &literal_type(left))
            }
            "contains" => {
                self.expression(left, &Type::Set(Box::new(literal_type(right))))?;
                let element = match literal_type(left) {
                    Type::Set(element) => *element,
                    _ => Type::Any,
                };
                self.expression(right, &element)
            }
            "containsAll" | "containsAny" => {
                let set = |other: &Value| match literal_type(other) {
                    set @ Type::Set(_) => set,
                    _ => Type::Set(Box::new(Type::Any)),
                };
                self.expression(left, &set(right))?;
                self.expression(right, &set(left))
            }
            "isEmpty" => {
                // The elements are counted and not compared, so they may be of any type.
                let list = Type::Set(Box::new(Type::Any));
                match context_path(&operands["arg"]) {
                    Some(path) => self.read(&path, list),
                    None => self.expression(&operands["arg"], &list),
                }
            }
            "if-then-else" => {
                self.expression(&operands["if"], &Type::Bool)?;
                self.expression(&operands["then"], wanted)?;
                self.expression(&operands["else"], wanted)
            }
            "Set" => {
                let element = match wanted {
                    Type::Set(element) => element.as_ref().clone(),
                    _ => Type::Any,
                };
                self.each(operands, &element)
            }
            // Records and extension functions: `ip(…)`, `datetime(…)` take text.
            _ => self.each(
                operands,
                if operands.is_array() {
                    &Type::Text
                } else {
                    &Type::Any
                },
            ),
        }
    }

    fn both(&mut self, left: &Value, right: &Value, wanted: &Type) -> Result<(), Unreadable> {
        self.expression(left, wanted)?;
        self.expression(right, wanted)
    }

    fn each(&mut self, operands: &Value, wanted: &Type) -> Result<(), Unreadable> {
        match operands {
            Value::Array(items) => items
                .iter()
                .try_for_each(|item| self.expression(item, wanted)),
            Value::Object(fields) => fields
                .values()
                .try_for_each(|item| self.expression(item, wanted)),
            _ => Ok(()),
        }
    }

    /// `left has attr`: the attribute is looked at, its value is not.
    fn presence(&mut self, left: &Value, attribute: &Value) -> Result<(), Unreadable> {
        // `has a.b` names several at once.
        let names: Vec<&str> = match attribute {
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            name => name.as_str().into_iter().collect(),
        };
        match context_path(left) {
            Some(mut path) => {
                path.extend(names.into_iter().map(str::to_owned));
                if path.len() == 1 {
                    Ok(())
                } else {
                    self.read(&path, Type::Any)
                }
            }
            None => self.expression(left, &Type::Any),
        }
    }

    fn read(&mut self, path: &[String], wanted: Type) -> Result<(), Unreadable> {
        match path {
            [first] if first == "now" => {
                self.now = true;
                Ok(())
            }
            [first, rest @ ..] if first == "arguments" && !rest.is_empty() => {
                let leaf = rest.iter().skip(1).rev().fold(wanted, |inner, name| {
                    Type::Record(Fields::from([(name.clone(), inner)]))
                });
                join_fields(
                    &mut self.arguments,
                    &Fields::from([(rest[0].clone(), leaf)]),
                    "",
                )
            }
            [] => Err(Unreadable::Whole("context".to_owned())),
            [first, ..] if first == "arguments" => {
                Err(Unreadable::Whole("context.arguments".to_owned()))
            }
            // Not a field of ours: the validator says so better.
            _ => Ok(()),
        }
    }
}

/// The type of an argument whose value is used: a text where its use does not tell another.
///
/// [`Type::Any`] has no value at evaluation, so comparing it would compare nothing: a forbid on it
/// would never hold. Any other value than a text is then an error, and so a refusal.
fn valued(wanted: &Type) -> Type {
    match wanted {
        Type::Any => Type::Text,
        Type::Set(element) => Type::Set(Box::new(valued(element))),
        known => known.clone(),
    }
}

/// The names behind `context`, outermost first, when `expression` is such a path.
fn context_path(expression: &Value) -> Option<Vec<String>> {
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

fn is_extension(expression: &Value) -> bool {
    const OTHERS: [&str; 6] = ["Value", "Var", ".", "+", "-", "*"];
    if context_path(expression).is_some_and(|path| path == ["now"]) {
        return true;
    }
    expression
        .as_object()
        .and_then(|fields| fields.keys().next())
        .is_some_and(|operator| {
            !OTHERS.contains(&operator.as_str()) && operator != "neg" && operator != "if-then-else"
        })
}

/// The type that is plain from an expression itself.
fn literal_type(expression: &Value) -> Type {
    let of_value = |value: &Value| match value {
        Value::Bool(_) => Type::Bool,
        Value::Number(_) => Type::Long,
        Value::String(_) => Type::Text,
        _ => Type::Any,
    };
    if let Some(value) = expression.get("Value") {
        return of_value(value);
    }
    if let Some(items) = expression.get("Set").and_then(Value::as_array) {
        let element = items
            .iter()
            .map(literal_type)
            .find(|element| *element != Type::Any);
        return Type::Set(Box::new(element.unwrap_or(Type::Any)));
    }
    match expression
        .as_object()
        .and_then(|fields| fields.keys().next())
        .map(String::as_str)
    {
        Some(
            "<" | "<=" | ">" | ">=" | "==" | "!=" | "&&" | "||" | "!" | "has" | "like" | "contains"
            | "is",
        ) => Type::Bool,
        Some("+" | "-" | "*" | "neg") => Type::Long,
        _ => Type::Any,
    }
}

fn join_fields(into: &mut Fields, from: &Fields, path: &str) -> Result<(), Unreadable> {
    for (name, found) in from {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        match into.get_mut(name) {
            None => {
                into.insert(name.clone(), found.clone());
            }
            Some(known) => join_type(known, found, &path)?,
        }
    }
    Ok(())
}

fn join_type(known: &mut Type, found: &Type, path: &str) -> Result<(), Unreadable> {
    match (&mut *known, found) {
        (_, Type::Any) => Ok(()),
        (Type::Any, _) => {
            *known = found.clone();
            Ok(())
        }
        (Type::Set(known), Type::Set(found)) => join_type(known, found, path),
        (Type::Record(known), Type::Record(found)) => join_fields(known, found, path),
        (known, found) if known == found => Ok(()),
        (known, found) => Err(Unreadable::Conflict {
            argument: path.to_owned(),
            first: name_of(known).to_owned(),
            second: name_of(found).to_owned(),
        }),
    }
}

/// A type's name in messages.
pub fn name_of(found: &Type) -> &'static str {
    match found {
        Type::Any => "anything",
        Type::Bool => "a boolean",
        Type::Long => "a whole number",
        Type::Text => "a text",
        Type::Set(_) => "an array",
        Type::Record(_) => "an object",
    }
}

/// The arguments as a Cedar record type; every one is optional, since an agent may leave any out.
pub fn record_type(fields: &Fields) -> String {
    let mut text = String::from("{");
    for (name, found) in fields {
        write!(text, "{name:?}?: {}, ", type_text(found)).expect("a String takes any text");
    }
    text.push('}');
    text
}

fn type_text(found: &Type) -> String {
    match found {
        // Of an argument that is only asked for, no value is ever looked at.
        Type::Any | Type::Text => "String".to_owned(),
        Type::Bool => "Bool".to_owned(),
        Type::Long => "Long".to_owned(),
        Type::Set(element) => format!("Set<{}>", type_text(element)),
        Type::Record(fields) => record_type(fields),
    }
}
