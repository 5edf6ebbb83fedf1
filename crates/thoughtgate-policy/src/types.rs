//! The types of arguments that policies need, and the union of those of several policies.
//!
//! Knows no policy: `infer.rs` infers these types from expressions.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::extension::Extension;

/// The type that policies need an argument to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// Used only with `has`: the value does not matter.
    Any,
    Bool,
    Long,
    Text(Text),
    Extension(Extension),
    Set(Box<Type>),
    Record(Fields),
}

/// The use of a string in policies, which decides about its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// The part that can affect a decision.
    pub extent: Extent,
    /// Matched with `like`, whose time and memory grow with the string's length.
    pub matched: bool,
    /// Compared with a path, so that it must be unambiguous as a path.
    pub path: bool,
}

/// The part of a string that can affect a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// This many characters at its start.
    Start(usize),
    /// The whole string.
    Whole,
}

/// The arguments that are read, by name.
pub type Fields = BTreeMap<String, Type>;

/// An argument that is used as two types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Path below `context.arguments`, such as `a.b`.
    pub argument: String,
    pub first: &'static str,
    pub second: &'static str,
}

impl Text {
    /// A string without further limits.
    pub const PLAIN: Text = Text {
        extent: Extent::Whole,
        matched: false,
        path: false,
    };

    /// The limits of both uses.
    pub fn join(self, other: Text) -> Text {
        Text {
            extent: self.extent.max(other.extent),
            matched: self.matched || other.matched,
            path: self.path || other.path,
        }
    }
}

/// The first argument that `known` and `found` use as different types.
pub fn conflict(known: &Fields, found: &Fields) -> Option<Conflict> {
    found.iter().find_map(|(name, found)| {
        let mut conflict = conflict_of(known.get(name)?, found)?;
        conflict.argument = if conflict.argument.is_empty() {
            name.clone()
        } else {
            format!("{name}.{}", conflict.argument)
        };
        Some(conflict)
    })
}

fn conflict_of(known: &Type, found: &Type) -> Option<Conflict> {
    match (known, found) {
        // `Any` asks for presence alone, which fits every type.
        (_, Type::Any) | (Type::Any, _) | (Type::Text(_), Type::Text(_)) => None,
        (Type::Set(known), Type::Set(found)) => conflict_of(known, found),
        (Type::Record(known), Type::Record(found)) => conflict(known, found),
        (Type::Extension(known), Type::Extension(found))
            if known.schema_name() == found.schema_name() =>
        {
            None
        }
        (known, found) if known == found => None,
        (known, found) => Some(Conflict {
            argument: String::new(),
            first: name_of(known),
            second: name_of(found),
        }),
    }
}

/// Adds `from` to `into`, unless they have a conflict.
pub fn join_fields(into: &mut Fields, from: &Fields) -> Result<(), Conflict> {
    // Compared as a whole first, so that a conflict leaves `into` as it was.
    if let Some(conflict) = conflict(into, from) {
        return Err(conflict);
    }
    merge_fields(into, from);
    Ok(())
}

/// Widens `known` to a type that also satisfies `found`, unless they have a conflict.
pub fn join_type(known: &mut Type, found: &Type) -> Result<(), Conflict> {
    if let Some(conflict) = conflict_of(known, found) {
        return Err(conflict);
    }
    merge(known, found);
    Ok(())
}

fn merge_fields(into: &mut Fields, from: &Fields) {
    for (name, found) in from {
        match into.get_mut(name) {
            Some(known) => merge(known, found),
            None => {
                into.insert(name.clone(), found.clone());
            }
        }
    }
}

fn merge(known: &mut Type, found: &Type) {
    match (&mut *known, found) {
        (Type::Any, _) => *known = found.clone(),
        (Type::Text(known), Type::Text(found)) => *known = known.join(*found),
        (Type::Set(known), Type::Set(found)) => merge(known, found),
        (Type::Record(known), Type::Record(found)) => merge_fields(known, found),
        (Type::Extension(known), Type::Extension(found)) => *known = known.join(*found),
        // Equal, or `found` is `Any`.
        _ => {}
    }
}

/// A type's name in messages.
pub fn name_of(found: &Type) -> &'static str {
    match found {
        Type::Any => "anything",
        Type::Bool => "a boolean",
        Type::Long => "a whole number",
        Type::Text(_) => "a string",
        Type::Extension(extension) => extension.name(),
        Type::Set(_) => "an array",
        Type::Record(_) => "an object",
    }
}

/// The paths of all arguments in `fields`, such as `a.b`.
pub fn paths(fields: &Fields) -> Vec<String> {
    let mut found = Vec::new();
    for (name, wanted) in fields {
        match wanted {
            Type::Record(inner) => {
                let inner = paths(inner).into_iter();
                found.extend(inner.map(|path| format!("{name}.{path}")));
            }
            _ => found.push(name.clone()),
        }
    }
    found
}

/// The arguments as a Cedar record type. All are optional, since an agent may leave out any of them.
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
        // `Any` is used only with `has`, so its type here does not matter.
        Type::Any | Type::Text(_) => "String".to_owned(),
        Type::Bool => "Bool".to_owned(),
        Type::Long => "Long".to_owned(),
        Type::Extension(extension) => extension.schema_name().to_owned(),
        Type::Set(element) => format!("Set<{}>", type_text(element)),
        Type::Record(fields) => record_type(fields),
    }
}
