//! Claims of an agent's token: the declared ones, as attributes of its entity that policies can read.
//!
//! Verifies no token; only takes typed values out of the claims of one. A claim of another type than the
//! declared one is an error, and not absent: a `forbid` that reads it would not apply.

use std::collections::{BTreeMap, HashMap};

use cedar_policy::RestrictedExpression;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::declared::{ClaimType, Declared, DeclaredClaim};
use crate::similar::nearest;

/// Largest size of the declared claims of a token, in bytes; each element of a set counts as 8 more.
pub const BYTES_MAX: usize = 16 * 1024;
/// Bytes that an element of a set counts as besides its text.
const ELEMENT_BYTES: usize = 8;

/// Value of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Claim {
    Bool(bool),
    Number(i64),
    Text(String),
    Set(Vec<String>),
}

/// The declared claims of one token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Claims {
    declared: Declared,
    values: BTreeMap<String, Claim>,
    /// The same for equal values, and for no others.
    key: Box<str>,
}

/// Claims as they are stored with a call that is made later.
#[derive(Serialize, Deserialize)]
struct Stored {
    declared: Declared,
    values: BTreeMap<String, Claim>,
}

/// A claim that cannot be used. Names it, and quotes nothing of the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// `wanted` is a type with its article.
    #[error("claim `{name}` of the token is not {wanted}")]
    Type {
        /// The claim by its place in the token, such as `realm_access.roles`.
        name: String,
        /// Its declared type.
        wanted: &'static str,
    },
    /// All declared claims together.
    #[error("the claims in `agent.jwt.claims` take more than {BYTES_MAX} bytes in the token")]
    TooLarge,
}

/// A mistake in claims that an author states, for a call that has no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatedError {
    /// A name that is not declared.
    #[error("claim `{name}` is not declared; {help}")]
    Undeclared {
        /// The name.
        name: String,
        /// The way out.
        help: String,
    },
    /// A value of another type.
    #[error(
        "claim `{name}` is declared as `{declared}`, but is not {wanted}; leave it out for a token without it"
    )]
    Type {
        /// The name.
        name: String,
        /// Its declared type in the configuration.
        declared: &'static str,
        /// The same with its article.
        wanted: &'static str,
    },
    /// All together.
    #[error("the claims take more than {BYTES_MAX} bytes; a token with as many is refused")]
    TooLarge,
}

impl DeclaredClaim {
    /// The value in a token, if it has one.
    fn find<'t>(
        &self,
        name: &str,
        token: &'t Map<String, Value>,
    ) -> Result<Option<&'t Value>, ClaimError> {
        let Some(path) = &self.path else {
            return Ok(token.get(name));
        };
        let (last, parents) = path.split_last().unzip();
        let mut within = token;
        for (depth, key) in parents.into_iter().flatten().enumerate() {
            within = match within.get(key) {
                Some(Value::Object(within)) => within,
                None => return Ok(None),
                // Not absent, as a claim of another type is not.
                Some(_) => {
                    return Err(ClaimError::Type {
                        name: path[..=depth].join("."),
                        wanted: "an object",
                    });
                }
            };
        }
        Ok(last.and_then(|key| within.get(key)))
    }
}

impl ClaimType {
    /// The type in messages.
    fn shown(self, key: &str) -> &'static str {
        match self {
            ClaimType::Set if is_scope(key) => "a list of strings or a string of words",
            ClaimType::Set => "a list of strings",
            ClaimType::Text => "a string",
            ClaimType::Bool => "a boolean",
            ClaimType::Number => "a whole number of 64 bits",
        }
    }

    /// `value` as a claim of this type.
    fn read(self, key: &str, value: &Value) -> Option<Claim> {
        match (self, value) {
            (ClaimType::Set, Value::Array(items)) => {
                let items = items.iter().map(|item| item.as_str().map(str::to_owned));
                items.collect::<Option<Vec<_>>>().map(Claim::set)
            }
            // OAuth has its scopes in one string (RFC 8693 §4.2).
            (ClaimType::Set, Value::String(text)) if is_scope(key) => {
                let words = text.split(' ').filter(|word| !word.is_empty());
                Some(Claim::set(words.map(str::to_owned).collect()))
            }
            (ClaimType::Text, Value::String(text)) => Some(Claim::Text(text.clone())),
            (ClaimType::Bool, Value::Bool(truth)) => Some(Claim::Bool(*truth)),
            (ClaimType::Number, Value::Number(number)) => number.as_i64().map(Claim::Number),
            _ => None,
        }
    }
}

/// The way out for a stated claim that is not declared.
fn undeclared(declared: &Declared, name: &str, value: &Value) -> String {
    let first =
        |claim: &DeclaredClaim| claim.path.iter().flatten().next() == Some(&name.to_owned());
    if let Some((meant, _)) = declared.iter().find(|(_, claim)| first(claim)) {
        return format!("state what is read from it by its declared name, such as `{meant}`");
    }
    let attribute = name.strip_prefix("principal.").unwrap_or(name);
    if let Some(meant) = nearest(attribute, declared.keys().map(String::as_str)) {
        return format!("did you mean `{meant}`?");
    }
    let kind = match value {
        Value::String(_) => ClaimType::Text,
        Value::Bool(_) => ClaimType::Bool,
        Value::Number(_) => ClaimType::Number,
        _ => ClaimType::Set,
    };
    let kind = kind.name();
    format!(
        "declare it with its type in `agent.jwt.claims` (set, text, bool or number), such as `{name}: {kind}`"
    )
}

/// `key` is the last one of the claim's place.
fn is_scope(key: &str) -> bool {
    matches!(key, "scope" | "scp")
}

impl Claim {
    /// In one order, so that equal sets have equal keys.
    fn set(mut items: Vec<String>) -> Claim {
        items.sort_unstable();
        items.dedup();
        Claim::Set(items)
    }

    fn bytes(&self) -> usize {
        match self {
            Claim::Bool(_) | Claim::Number(_) => ELEMENT_BYTES,
            Claim::Text(text) => text.len(),
            Claim::Set(items) => items.iter().map(|item| item.len() + ELEMENT_BYTES).sum(),
        }
    }

    fn expression(&self) -> RestrictedExpression {
        match self {
            Claim::Bool(truth) => RestrictedExpression::new_bool(*truth),
            Claim::Number(number) => RestrictedExpression::new_long(*number),
            Claim::Text(text) => RestrictedExpression::new_string(text.clone()),
            Claim::Set(items) => {
                let items = items.iter().cloned().map(RestrictedExpression::new_string);
                RestrictedExpression::new_set(items)
            }
        }
    }
}

impl Claims {
    /// Takes the declared claims out of those of a token.
    ///
    /// # Errors
    /// A claim has another type than the declared one, or all together are too large.
    pub fn read(declared: &Declared, token: &Map<String, Value>) -> Result<Self, ClaimError> {
        let mut values = BTreeMap::new();
        let mut bytes = 0;
        for (name, claim) in declared.iter() {
            let Some(value) = claim.find(name, token)? else {
                continue;
            };
            let (wanted, key) = (claim.kind, claim.key(name));
            let value = wanted.read(key, value).ok_or_else(|| ClaimError::Type {
                name: claim.place(name),
                wanted: wanted.shown(key),
            })?;
            bytes += value.bytes();
            values.insert(name.clone(), value);
        }
        if bytes > BYTES_MAX {
            return Err(ClaimError::TooLarge);
        }
        Ok(Claims::new(declared.clone(), values))
    }

    /// The claims that an author states by their declared names; those that are left out are absent, as in
    /// a token.
    ///
    /// # Errors
    /// All mistakes: names that are not declared, values of another type, and too many of them.
    pub fn stated(
        declared: &Declared,
        stated: &Map<String, Value>,
    ) -> Result<Self, Vec<StatedError>> {
        let mut values = BTreeMap::new();
        let mut wrong = Vec::new();
        for (name, value) in stated {
            let name = name.clone();
            let Some(claim) = declared.get(&name) else {
                let help = undeclared(declared, &name, value);
                wrong.push(StatedError::Undeclared { name, help });
                continue;
            };
            let (kind, key) = (claim.kind, claim.key(&name));
            match kind.read(key, value) {
                Some(value) => {
                    values.insert(name, value);
                }
                None => wrong.push(StatedError::Type {
                    declared: kind.name(),
                    wanted: kind.shown(key),
                    name,
                }),
            }
        }
        if values.values().map(Claim::bytes).sum::<usize>() > BYTES_MAX {
            wrong.push(StatedError::TooLarge);
        }
        if wrong.is_empty() {
            Ok(Claims::new(declared.clone(), values))
        } else {
            Err(wrong)
        }
    }

    fn new(declared: Declared, values: BTreeMap<String, Claim>) -> Claims {
        // JSON distinguishes text from numbers, and the map has one order.
        let key = serde_json::to_string(&values).expect("text and numbers always serialise");
        Claims {
            declared,
            values,
            key: key.into(),
        }
    }

    /// Whether they were read by this declaration, so that an absent claim is one that the token lacks.
    pub(crate) fn are_of(&self, declared: &Declared) -> bool {
        self.declared == *declared
    }

    /// Identifies the values: the same for equal ones, and for no others.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The attributes of the agent's entity.
    pub(crate) fn attributes(&self) -> HashMap<String, RestrictedExpression> {
        let values = self.values.iter();
        values
            .map(|(name, claim)| (name.clone(), claim.expression()))
            .collect()
    }

    /// Number of the values, elements of sets included.
    pub(crate) fn count(&self) -> usize {
        let count = |claim: &Claim| match claim {
            Claim::Set(items) => items.len() + 1,
            _ => 1,
        };
        self.values.values().map(count).sum()
    }
}

impl From<Stored> for Claims {
    fn from(Stored { declared, values }: Stored) -> Claims {
        Claims::new(declared, values)
    }
}

impl From<Claims> for Stored {
    fn from(claims: Claims) -> Stored {
        Stored {
            declared: claims.declared,
            values: claims.values,
        }
    }
}
