//! The types that policies' use of an argument demands, and how those of several policies are joined.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The type of an argument, as far as the policies tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// Only asked for with `has`.
    Any,
    Bool,
    Long,
    Text(Text),
    Set(Box<Type>),
    Record(Fields),
}

/// How a text is used, which is more or less than any text may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// How much of it can make a difference.
    pub extent: Extent,
    /// Matched with `like`, which takes time and memory by its length.
    pub matched: bool,
    /// Compared with a path, so that it must be one that has no other spelling.
    pub path: bool,
}

/// How much of a text can make a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// This many characters at its start.
    Start(usize),
    /// All of it.
    Whole,
}

/// The arguments that are read, by name.
pub type Fields = BTreeMap<String, Type>;

/// One argument, two types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub argument: String,
    pub first: &'static str,
    pub second: &'static str,
}

impl Text {
    /// Any text.
    pub const PLAIN: Text = Text {
        extent: Extent::Whole,
        matched: false,
        path: false,
    };

    fn join(self, other: Text) -> Text {
        Text {
            extent: self.extent.max(other.extent),
            matched: self.matched || other.matched,
            path: self.path || other.path,
        }
    }
}

/// Adds `from` to `into`; `path` is where both are.
pub fn join_fields(into: &mut Fields, from: &Fields, path: &str) -> Result<(), Conflict> {
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

/// Makes of `known` a type that also meets `found`.
pub fn join_type(known: &mut Type, found: &Type, path: &str) -> Result<(), Conflict> {
    match (&mut *known, found) {
        (_, Type::Any) => Ok(()),
        (Type::Any, _) => {
            *known = found.clone();
            Ok(())
        }
        (Type::Text(known), Type::Text(found)) => {
            *known = known.join(*found);
            Ok(())
        }
        (Type::Set(known), Type::Set(found)) => join_type(known, found, path),
        (Type::Record(known), Type::Record(found)) => join_fields(known, found, path),
        (known, found) if known == found => Ok(()),
        (known, found) => Err(Conflict {
            argument: path.to_owned(),
            first: name_of(known),
            second: name_of(found),
        }),
    }
}

/// A type's name in messages.
pub fn name_of(found: &Type) -> &'static str {
    match found {
        Type::Any => "anything",
        Type::Bool => "a boolean",
        Type::Long => "a whole number",
        Type::Text(_) => "a text",
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
        Type::Any | Type::Text(_) => "String".to_owned(),
        Type::Bool => "Bool".to_owned(),
        Type::Long => "Long".to_owned(),
        Type::Set(element) => format!("Set<{}>", type_text(element)),
        Type::Record(fields) => record_type(fields),
    }
}
