//! Finds the arguments that policies read, and infers the type that each must have.
//!
//! Cedar requires declared types, but MCP tools declare theirs elsewhere, and an agent may send
//! anything. So types are inferred from the policies' use of an argument (`<` needs a number, `like` a
//! string), and a call whose argument has another type is refused rather than compared. Does not check
//! policies otherwise: Cedar's validator does.

use serde_json::Value;

use crate::paths::is_path;
use crate::types::{Conflict, Extent, Fields, Text, Type, join_fields, join_type};

/// The parts of a call that one or more policies read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// Fields of `context.arguments`.
    pub arguments: Fields,
    /// Whether `context.now` is read.
    pub now: bool,
}

/// The reason why the types that a policy needs cannot be inferred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// `context` or `context.arguments` is used as one value.
    Whole(String),
    /// An argument is used as two types.
    Conflict(Conflict),
}

impl From<Conflict> for Unreadable {
    fn from(conflict: Conflict) -> Unreadable {
        Unreadable::Conflict(conflict)
    }
}

impl Reads {
    /// Whether nothing of the call is read, so that one decision holds for every call.
    pub fn is_nothing(&self) -> bool {
        self.arguments.is_empty() && !self.now
    }

    /// Adds what `other` reads.
    pub fn join(&mut self, other: &Reads) -> Result<(), Unreadable> {
        self.now |= other.now;
        Ok(join_fields(&mut self.arguments, &other.arguments, "")?)
    }

    /// The reads of a policy in its JSON form (Cedar's EST).
    pub fn of(policy: &Value) -> Result<Reads, Unreadable> {
        let mut reads = Reads::default();
        for condition in policy["conditions"].as_array().into_iter().flatten() {
            reads.expression(&condition["body"], &Type::Bool)?;
        }
        Ok(reads)
    }

    /// Collects the reads of one expression, of which its context needs the type `wanted`.
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
            // A member of a record literal is one of the literal's expressions.
            "." => match operands["attr"].as_str() {
                Some(name) => {
                    let record = Fields::from([(name.to_owned(), wanted.clone())]);
                    self.expression(left, &Type::Record(record))
                }
                None => self.expression(left, &Type::Any),
            },
            "is" => self.expression(left, &Type::Any),
            "like" => self.expression(left, &matched(&operands["pattern"])),
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
            "if-then-else" => {
                self.expression(&operands["if"], &Type::Bool)?;
                self.expression(&operands["then"], wanted)?;
                self.expression(&operands["else"], wanted)
            }
            _ => self.collection(operator, operands, wanted),
        }
    }

    /// The same for what reads or makes sets and records, and for extension functions.
    fn collection(
        &mut self,
        operator: &str,
        operands: &Value,
        wanted: &Type,
    ) -> Result<(), Unreadable> {
        let (left, right) = (&operands["left"], &operands["right"]);
        match operator {
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
                // Elements are counted and not compared, so they may have any type.
                let list = Type::Set(Box::new(Type::Any));
                match context_path(&operands["arg"]) {
                    Some(path) => self.read(&path, list),
                    None => self.expression(&operands["arg"], &list),
                }
            }
            "Set" => {
                let element = match wanted {
                    Type::Set(element) => element.as_ref().clone(),
                    _ => Type::Any,
                };
                self.each(operands, &element)
            }
            "Record" => {
                let nothing = Fields::new();
                let fields = match wanted {
                    Type::Record(fields) => fields,
                    _ => &nothing,
                };
                let members = operands.as_object().into_iter().flatten();
                members.into_iter().try_for_each(|(name, member)| {
                    self.expression(member, fields.get(name).unwrap_or(&Type::Any))
                })
            }
            // Extension functions: `ip(…)` and `datetime(…)` take strings.
            _ => self.each(
                operands,
                if operands.is_array() {
                    &Type::Text(Text::PLAIN)
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

    /// Collects the reads of `left has attr`, which reads the attribute's presence and not its value.
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
                let found = Fields::from([(rest[0].clone(), leaf)]);
                Ok(join_fields(&mut self.arguments, &found, "")?)
            }
            [] => Err(Unreadable::Whole("context".to_owned())),
            [first, ..] if first == "arguments" => {
                Err(Unreadable::Whole("context.arguments".to_owned()))
            }
            // Not a field of the context: the validator has a better message for this.
            _ => Ok(()),
        }
    }
}

/// The type of an argument whose value is used: a string unless its use implies another type.
///
/// [`Type::Any`] has no value at evaluation, so a comparison would be meaningless and a `forbid` on it
/// would never hold. As a string, any other value is an error, and so a refusal.
fn valued(wanted: &Type) -> Type {
    match wanted {
        Type::Any => Type::Text(Text::PLAIN),
        Type::Set(element) => Type::Set(Box::new(valued(element))),
        Type::Record(fields) => {
            let fields = fields
                .iter()
                .map(|(name, wanted)| (name.clone(), valued(wanted)));
            Type::Record(fields.collect())
        }
        known => known.clone(),
    }
}

/// The type that `like` with this pattern needs.
fn matched(pattern: &Value) -> Type {
    let elements = pattern.as_array().map_or(&[][..], Vec::as_slice);
    let literals = elements
        .iter()
        .map_while(|element| element["Literal"].as_str());
    let start: String = literals.clone().collect();
    // Whether `start*` matches depends on the string's start alone.
    let rest = elements.get(literals.count()..).unwrap_or_default();
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

/// The attribute names after `context`, in source order, if `expression` is such a path.
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

/// Whether `expression` may have an extension type, such as `datetime`, which `<` compares too.
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

/// The type of an expression as far as it is evident without its context.
fn literal_type(expression: &Value) -> Type {
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

/// The type that all these expressions share, as far as it is evident.
fn joined<'e>(expressions: impl IntoIterator<Item = &'e Value>) -> Type {
    let mut all = Type::Any;
    for expression in expressions {
        // If types differ, the validator refuses the policy.
        let _ = join_type(&mut all, &literal_type(expression), "");
    }
    all
}
