//! The reasons for refusing a request that cannot be decided.
//!
//! They are returned to agents and written to the audit, so they name arguments as the policies do and
//! never quote what the agent sent. The reasons for not accepting policies are in `error.rs`.

use std::error::Error;
use std::fmt;

/// The reason why the policies for a principal, action and resource cannot be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum ResidualError {
    /// A server could take the method for one with an action of its own.
    #[error("the method differs from a known one only in case or white space")]
    Lookalike,
    /// The agent's token was read by another declaration of claims, or the agent has no token.
    #[error(
        "policies read claims of the agent's token that are not known for this call; send it again"
    )]
    Claims,
    /// A scope cannot be evaluated.
    #[error(transparent)]
    Scope(EvaluationFault),
    /// The name or URI of the resource, with its article, and the property that makes it ambiguous.
    #[error(
        "{name} is read as a path by policies and contains {problem}, so that a server could read it as a different path; send the plain path"
    )]
    Path {
        name: &'static str,
        problem: &'static str,
    },
    /// A resource that is named by a path, where policies name files by URIs.
    #[error(
        "the resource's URI has no scheme, and policies compare it with `file:` URIs, so that a server could read it as a path that they name otherwise; send a `file:///` URI"
    )]
    Scheme,
    /// Policies that were loaded together need different types of an argument; a bug.
    #[error("policies disagree on the type of an argument")]
    Types,
    /// Cedar refused entities that this crate built; a bug.
    #[error("internal error: the entities of the request are inconsistent")]
    Entities(#[source] Box<dyn Error + Send + Sync>),
}

/// The reason why Cedar cannot evaluate a scope or a condition. Cedar's own message is not used: it
/// quotes values that the agent sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationFault {
    #[error("a condition is not a boolean")]
    NotABoolean,
    #[error("a calculation overflows")]
    Overflow,
    #[error("a value has the wrong type")]
    Type,
    #[error("a condition reads an attribute that does not exist")]
    Attribute,
    #[error("a condition reads an entity that does not exist")]
    Entity,
    #[error("an extension function was called with an invalid value")]
    Extension,
    #[error("a condition is nested too deeply")]
    Depth,
    #[error("a condition cannot be evaluated")]
    Other,
}

/// The reason why no Cedar context can be made of a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    #[error("the arguments cannot be represented in Cedar")]
    Unrepresentable,
    #[error("the system clock is before 1970 or after 9999")]
    Clock,
}

impl ContextError {
    /// The argument that is the reason, as a path below `context.arguments`.
    pub fn argument(&self) -> Option<&str> {
        match self {
            ContextError::Argument(error) if !error.path.is_empty() => Some(&error.path),
            _ => None,
        }
    }
}

/// An argument that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentError {
    /// Path below `context.arguments`, such as `a.b`; empty for the arguments as a whole.
    pub path: String,
    /// Whether it is about an element of this argument, which is an array.
    pub of_element: bool,
    pub problem: Problem,
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ArgumentError {
            path,
            of_element,
            problem,
        } = self;
        if path.is_empty() {
            write!(formatter, "`arguments` {problem}")
        } else if *of_element {
            write!(formatter, "an element of argument `{path}` {problem}")
        } else {
            write!(formatter, "argument `{path}` {problem}")
        }
    }
}

impl Error for ArgumentError {}

/// The problem with an argument, worded to follow its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("cannot be read")]
    Unreadable,
    #[error("is not an object")]
    NotAnObject,
    #[error("cannot be represented in Cedar")]
    Unrepresentable,
    #[error("contains an invalid number or escape sequence")]
    Invalid,
    /// `found` and `wanted` are types with their article.
    #[error("is {found}, but policies read it as {wanted}")]
    Type {
        found: &'static str,
        wanted: &'static str,
    },
    #[error(
        "is a number outside the range of 64-bit integers (-2^63 to 2^63 - 1), with which policies compare"
    )]
    OutOfRange,
    /// `wanted` is a type with its article, `form` what is expected.
    #[error("is not {wanted}, as which policies read it; expected {form}")]
    Extension {
        wanted: &'static str,
        form: &'static str,
    },
    #[error(
        "is a number outside the range of decimal numbers (-922337203685477.5808 to 922337203685477.5807), as which policies read it"
    )]
    DecimalRange,
    #[error(
        "is a number with more than four decimal places, but policies read it as a decimal number, which has at most four; round it"
    )]
    DecimalPlaces,
    /// A time that cannot be compared exactly as Cedar holds it.
    #[error(
        "is a time with more than three decimal places of a second, but policies compare it in whole milliseconds; send at most three"
    )]
    Microseconds,
    /// An array has `null` where policies read elements; `null` is only an absent member of an object.
    #[error("has an element that is null, but policies read each as {wanted}; leave it out")]
    NullElement { wanted: &'static str },
    /// The name of the key, if policies read it.
    #[error("has {}", duplicate(.0.as_deref()))]
    DuplicateKey(Option<String>),
    /// An object with a duplicate key somewhere in an argument that no policy reads.
    #[error("contains an object with a duplicate key")]
    DuplicateKeyInside,
    /// The name that a server could take the key for.
    #[error(
        "has a key that differs from `{0}`, which policies read, only in case, width or invisible characters"
    )]
    Lookalike(String),
    #[error("has a key that contains U+0000, where some servers end a string")]
    KeyWithNul,
    #[error("contains U+0000, where some servers end a string")]
    Nul,
    /// The property that lets a server read the path differently.
    #[error(
        "is read as a path by policies and contains {0}, so that a server could read it as a different path; send the plain path"
    )]
    Path(&'static str),
    #[error(
        "has too many elements: the arguments that policies read may have at most {max} elements in all, nested ones included"
    )]
    TooManyElements { max: usize },
    #[error("has {bytes} bytes, but policies match at most {bytes_max} bytes with `like`")]
    TooLong { bytes: usize, bytes_max: usize },
}

fn duplicate(name: Option<&str>) -> String {
    match name {
        Some(name) => format!("the duplicate key `{name}`"),
        None => "a duplicate key".to_owned(),
    }
}
