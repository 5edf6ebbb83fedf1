//! Declarations of the claims that policies may read: their names, types, and places in a token.
//!
//! Reads no token: `claims.rs` does.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::ops::Deref;
use std::sync::Arc;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::error::LoadError;

/// Claims that policies may read, by the names that policies have for them.
///
/// Copies share one map: decisions compare the declarations of policies with those of a token's claims, which
/// is one comparison of pointers if both are of one configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    from = "BTreeMap<String, DeclaredClaim>",
    into = "BTreeMap<String, DeclaredClaim>"
)]
pub struct Declared(Arc<BTreeMap<String, DeclaredClaim>>);

impl From<BTreeMap<String, DeclaredClaim>> for Declared {
    fn from(claims: BTreeMap<String, DeclaredClaim>) -> Declared {
        Declared(Arc::new(claims))
    }
}

impl From<Declared> for BTreeMap<String, DeclaredClaim> {
    fn from(declared: Declared) -> Self {
        Arc::unwrap_or_clone(declared.0)
    }
}

impl Deref for Declared {
    type Target = BTreeMap<String, DeclaredClaim>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Most keys of a path: no identity provider nests claims as deeply.
const KEYS_MAX: usize = 8;

/// Words that Cedar does not accept behind `principal.`.
const RESERVED: [&str; 9] = [
    "true", "false", "if", "then", "else", "in", "is", "like", "has",
];

/// Type of a claim, and its place in the token.
///
/// Written as the type alone, for a claim that has its name in the token, or as a mapping of `path` and
/// `type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredClaim {
    /// Type of its value.
    pub kind: ClaimType,
    /// The keys that lead to it, the outermost first; `None` for the claim with the declared name.
    pub path: Option<Vec<String>>,
}

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

impl ClaimType {
    /// The type in the configuration.
    pub(crate) fn name(self) -> &'static str {
        match self {
            ClaimType::Set => "set",
            ClaimType::Text => "text",
            ClaimType::Bool => "bool",
            ClaimType::Number => "number",
        }
    }

    /// The type in Cedar's schema.
    fn schema_name(self) -> &'static str {
        match self {
            ClaimType::Set => "Set<String>",
            ClaimType::Text => "String",
            ClaimType::Bool => "Bool",
            ClaimType::Number => "Long",
        }
    }
}

impl From<ClaimType> for DeclaredClaim {
    fn from(kind: ClaimType) -> DeclaredClaim {
        DeclaredClaim { kind, path: None }
    }
}

impl DeclaredClaim {
    /// The last key of its place; `name` is the declared name.
    pub(crate) fn key<'c>(&'c self, name: &'c str) -> &'c str {
        let path = self.path.as_deref();
        path.and_then(<[String]>::last).map_or(name, String::as_str)
    }

    /// Its place in the token, as messages show it: `realm_access.roles`.
    pub(crate) fn place(&self, name: &str) -> String {
        let path = self.path.as_ref();
        path.map_or_else(|| name.to_owned(), |path| path.join("."))
    }
}

/// The form with a path, in the configuration.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Placed {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Vec<String>>,
    r#type: ClaimType,
}

impl Serialize for DeclaredClaim {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let path = self.path.clone();
        match path {
            None => self.kind.serialize(serializer),
            path => {
                let r#type = self.kind;
                Placed { path, r#type }.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for DeclaredClaim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<DeclaredClaim, D::Error> {
        struct TypeOrMapping;

        impl<'de> Visitor<'de> for TypeOrMapping {
            type Value = DeclaredClaim;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(
                    "the type of the claim (set, text, bool or number), or a mapping of `path` and `type`",
                )
            }

            fn visit_str<E: serde::de::Error>(self, kind: &str) -> Result<DeclaredClaim, E> {
                ClaimType::deserialize(StrDeserializer::new(kind)).map(DeclaredClaim::from)
            }

            fn visit_map<A: MapAccess<'de>>(self, mapping: A) -> Result<DeclaredClaim, A::Error> {
                let Placed { path, r#type } =
                    Placed::deserialize(MapAccessDeserializer::new(mapping))?;
                Ok(DeclaredClaim { kind: r#type, path })
            }
        }

        deserializer.deserialize_any(TypeOrMapping)
    }
}

/// Adds the declarations that cannot be used to `errors`.
pub fn check(declared: &Declared, errors: &mut Vec<LoadError>) {
    for (name, claim) in declared.iter() {
        if let Some(problem) = problem(name, claim) {
            errors.push(LoadError::Declaration {
                claim: name.clone(),
                problem,
            });
        }
    }
}

/// The declaration to write for an attribute of `principal` that a policy reads at `path`.
pub fn help(path: &[String]) -> String {
    match path {
        [.., last] if path.len() > 1 => {
            let keys = path.join(", ");
            format!(
                "name the nested claim in `agent.jwt.claims`, such as `{last}: {{path: [{keys}], type: set}}` (set, \
                 text, bool or number), and read it as `principal.{last}`"
            )
        }
        path => {
            let name = path.join("");
            let own = if ["agent", "id", "name"].contains(&name.as_str()) {
                "the agent's id is compared as `principal == Agent::\"…\"`; if the claim is meant, "
            } else {
                ""
            };
            format!(
                "{own}declare it with its type in `agent.jwt.claims`, such as `{name}: set` (set, text, bool or \
                 number)"
            )
        }
    }
}

fn problem(name: &str, claim: &DeclaredClaim) -> Option<String> {
    let Some(path) = &claim.path else {
        return name
            .trim()
            .is_empty()
            .then(|| "the name is empty".to_owned());
    };
    if !is_identifier(name) {
        return Some(
            "a claim with a `path` is named for policies, by letters, digits and `_`, such as `roles`, which \
             they read as `principal.roles`"
                .to_owned(),
        );
    }
    if path.is_empty() || path.iter().any(|key| key.trim().is_empty()) {
        return Some(
            "`path` has an empty key, or none; list the keys that lead to the claim in the token, such as \
             `[realm_access, roles]`"
                .to_owned(),
        );
    }
    (path.len() > KEYS_MAX).then(|| {
        let count = path.len();
        format!("`path` has {count} keys; the limit is {KEYS_MAX}")
    })
}

/// Whether policies can read `name` behind `principal.`.
fn is_identifier(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.bytes().next().is_some_and(letter)
        && name
            .bytes()
            .all(|byte| letter(byte) || byte.is_ascii_digit())
        && !RESERVED.contains(&name)
}

/// The attributes of an agent in Cedar's schema. All are optional: a token may lack any of them.
pub fn schema_text(declared: &Declared) -> String {
    let mut text = String::new();
    for (name, claim) in declared.iter() {
        write!(text, "{name:?}?: {}, ", claim.kind.schema_name()).expect("a String takes any text");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_is_a_type_or_a_path_with_a_type() {
        let text = r#"{"groups":"set","roles":{"path":["realm_access","roles"],"type":"set"}}"#;
        let declared: Declared = serde_json::from_str(text).unwrap();
        assert_eq!(declared["groups"], ClaimType::Set.into());
        let path = Some(vec!["realm_access".to_owned(), "roles".to_owned()]);
        let kind = ClaimType::Set;
        assert_eq!(declared["roles"], DeclaredClaim { kind, path });
        assert_eq!(declared["roles"].place("roles"), "realm_access.roles");
        assert_eq!(serde_json::to_string(&declared).unwrap(), text);
        for wrong in [
            r#""list""#,
            "1",
            "null",
            "[]",
            r#"{"path":["a"]}"#,
            r#"{"path":"a.b","type":"set"}"#,
            r#"{"pth":["a"],"type":"set"}"#,
        ] {
            serde_json::from_str::<DeclaredClaim>(wrong).unwrap_err();
        }
    }

    #[test]
    fn a_name_that_policies_cannot_read_and_an_empty_path_are_refused() {
        let found = |name: &str, path: &[&str]| {
            let path = Some(path.iter().map(|key| (*key).to_owned()).collect());
            let kind = ClaimType::Set;
            problem(name, &DeclaredClaim { kind, path }).unwrap_or_default()
        };
        for name in ["roles", "_", "realm_roles2"] {
            assert_eq!(found(name, &["https://example.com/roles"]), "", "{name}");
        }
        for name in ["", "my-roles", "2", "a.b", "https://a/b", "in", "é"] {
            assert!(found(name, &["a"]).contains("named for policies"), "{name}");
        }
        for path in [&[][..], &[""], &["a", " "]] {
            assert!(found("roles", path).contains("empty key"), "{path:?}");
        }
        assert!(found("roles", &["a"; 9]).contains("9 keys; the limit is 8"));
        assert_eq!(
            problem("https://idp/role", &ClaimType::Text.into()),
            None,
            "policies read it in brackets"
        );
        assert!(problem(" ", &ClaimType::Text.into()).is_some());
    }
}
