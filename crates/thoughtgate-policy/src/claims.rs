//! Claims of an agent's token: the declared ones, as attributes of its entity that policies can read.
//!
//! Verifies no token; only takes typed values out of the claims of one. A claim of another type than the
//! declared one is an error, and not absent: a `forbid` that reads it would not apply.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use cedar_policy::RestrictedExpression;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Claims that policies may read, with their types.
pub type Declared = BTreeMap<String, ClaimType>;

/// Largest size of the declared claims of a token, in bytes; each element of a set counts as 8 more.
pub const BYTES_MAX: usize = 16 * 1024;
/// Bytes that an element of a set counts as besides its text.
const ELEMENT_BYTES: usize = 8;

/// Type of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClaimType {
    /// A list of strings, or the words of `scope` or `scp`.
    Set,
    /// A string.
    Text,
    /// `true` or `false`.
    Bool,
    /// A whole number of 64 bits.
    Number,
}

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
    declared: Arc<Declared>,
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
        /// The claim.
        name: String,
        /// Its declared type.
        wanted: &'static str,
    },
    /// All declared claims together.
    #[error("the claims in `agent.jwt.claims` take more than {BYTES_MAX} bytes in the token")]
    TooLarge,
}

impl ClaimType {
    /// The type in Cedar's schema.
    fn schema_name(self) -> &'static str {
        match self {
            ClaimType::Set => "Set<String>",
            ClaimType::Text => "String",
            ClaimType::Bool => "Bool",
            ClaimType::Number => "Long",
        }
    }

    /// The type in messages.
    fn shown(self, name: &str) -> &'static str {
        match self {
            ClaimType::Set if is_scope(name) => "a list of strings or a string of words",
            ClaimType::Set => "a list of strings",
            ClaimType::Text => "a string",
            ClaimType::Bool => "a boolean",
            ClaimType::Number => "a whole number of 64 bits",
        }
    }

    /// `value` as a claim of this type.
    fn read(self, name: &str, value: &Value) -> Option<Claim> {
        match (self, value) {
            (ClaimType::Set, Value::Array(items)) => {
                let items = items.iter().map(|item| item.as_str().map(str::to_owned));
                items.collect::<Option<Vec<_>>>().map(Claim::set)
            }
            // OAuth has its scopes in one string (RFC 8693 §4.2).
            (ClaimType::Set, Value::String(text)) if is_scope(name) => {
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

fn is_scope(name: &str) -> bool {
    matches!(name, "scope" | "scp")
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
    pub fn read(declared: &Arc<Declared>, token: &Map<String, Value>) -> Result<Self, ClaimError> {
        let mut values = BTreeMap::new();
        let mut bytes = 0;
        for (name, wanted) in &**declared {
            let Some(value) = token.get(name) else {
                continue;
            };
            let claim = wanted.read(name, value).ok_or_else(|| ClaimError::Type {
                name: name.clone(),
                wanted: wanted.shown(name),
            })?;
            bytes += claim.bytes();
            values.insert(name.clone(), claim);
        }
        if bytes > BYTES_MAX {
            return Err(ClaimError::TooLarge);
        }
        Ok(Claims::new(Arc::clone(declared), values))
    }

    fn new(declared: Arc<Declared>, values: BTreeMap<String, Claim>) -> Claims {
        // JSON tells text from numbers, and the map has one order.
        let key = serde_json::to_string(&values).expect("text and numbers always serialise");
        Claims {
            declared,
            values,
            key: key.into(),
        }
    }

    /// Whether they were read by this declaration, so that an absent claim is one that the token lacks.
    pub(crate) fn are_of(&self, declared: &Arc<Declared>) -> bool {
        Arc::ptr_eq(&self.declared, declared) || self.declared == *declared
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
        Claims::new(Arc::new(declared), values)
    }
}

impl From<Claims> for Stored {
    fn from(claims: Claims) -> Stored {
        Stored {
            declared: Declared::clone(&claims.declared),
            values: claims.values,
        }
    }
}

/// The claims that one policy reads.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ReadClaims {
    /// Whether a declared one may be read.
    pub any: bool,
    /// An attribute of `principal` that is not declared.
    pub undeclared: Option<String>,
}

impl ReadClaims {
    /// The claims that a policy reads; `policy` is its JSON form (Cedar's EST). Whatever has the name of a
    /// claim counts as one, whose attribute it may be.
    pub fn of(policy: &Value, declared: &Declared) -> ReadClaims {
        let mut found = ReadClaims::default();
        found.collect(&policy["conditions"], declared);
        found
    }

    fn collect(&mut self, part: &Value, declared: &Declared) {
        match part {
            Value::Array(items) => items.iter().for_each(|item| self.collect(item, declared)),
            Value::Object(members) => {
                for (operator, operands) in members {
                    if matches!(operator.as_str(), "." | "has") {
                        self.attribute(operands, declared);
                    }
                    self.collect(operands, declared);
                }
            }
            _ => {}
        }
    }

    fn attribute(&mut self, operands: &Value, declared: &Declared) {
        // `has a.b` names several at once.
        let names: Vec<&str> = match &operands["attr"] {
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            name => name.as_str().into_iter().collect(),
        };
        self.any |= names.iter().any(|name| declared.contains_key(*name));
        if let Some(first) = names.first()
            && operands["left"]["Var"] == "principal"
            && !declared.contains_key(*first)
        {
            self.undeclared.get_or_insert_with(|| (*first).to_owned());
        }
    }
}

/// The attributes of an agent in Cedar's schema. All are optional: a token may lack any of them.
pub fn schema_text(declared: &Declared) -> String {
    let mut text = String::new();
    for (name, wanted) in declared {
        write!(text, "{name:?}?: {}, ", wanted.schema_name()).expect("a String takes any text");
    }
    text
}
