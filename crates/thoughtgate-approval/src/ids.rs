//! Identity of an approval: an unguessable id, and a digest of the call that it is for. Knows
//! nothing of states, stores or people.

use std::fmt;

use data_encoding::HEXLOWER;
use ring::digest::{Context, SHA256};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Marks the ids of approvals, so that a proxy can tell them from task ids of the upstream.
const ID_PREFIX: &str = "tg-";

/// Separates these digests from any other use of SHA-256 over the same fields.
const DIGEST_DOMAIN: &[u8] = b"thoughtgate approval digest 1";

/// 128 random bits, written as `tg-` and 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id([u8; 16]);

impl Id {
    /// A new id from the system's random source; `None` when that source fails.
    pub(crate) fn random() -> Option<Self> {
        let mut bytes = [0; 16];
        SystemRandom::new().fill(&mut bytes).ok()?;
        Some(Self(bytes))
    }

    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// Parses an id; `None` when `text` is not the id of an approval, or is one in upper case: an id
    /// has one spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(ID_PREFIX)?.as_bytes();
        let bytes = HEXLOWER.decode(digits).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ID_PREFIX}{}", HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not the id of an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an approval id (expected `tg-` and 32 lower-case hex digits)")]
pub struct NotAnId;

impl TryFrom<String> for Id {
    type Error = NotAnId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or(NotAnId)
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.to_string()
    }
}

/// SHA-256 of a call (made by [`digest`]), or of its arguments alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    fn finished(context: Context) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a digest (expected 64 lower-case hex digits)")]
pub struct NotADigest;

impl TryFrom<String> for Digest {
    type Error = NotADigest;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| NotADigest)?;
        Ok(Self(bytes.try_into().map_err(|_| NotADigest)?))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// The digest an approval is bound to. Every field carries its length, so no two different calls
/// concatenate to the same bytes. Absent arguments, `null` and `{}` are one call: none has an argument, to
/// policies as to servers. A member that is `null` differs from an absent one, since servers may tell them
/// apart.
#[must_use]
pub fn digest(principal: &str, tool: &str, arguments: Option<&RawValue>) -> Digest {
    Digests::of(principal, tool, arguments).call
}

/// The digests of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Digests {
    /// Binds an approval to the call; see [`digest`].
    pub(crate) call: Digest,
    /// Digest of the arguments alone, as the line of the call in the audit has it.
    pub(crate) arguments: Digest,
}

impl Digests {
    pub(crate) fn of(principal: &str, tool: &str, arguments: Option<&RawValue>) -> Digests {
        // A repeated call may sort keys or escape text differently, and must find the same approval.
        let canonical = thoughtgate_mcp::canonical(arguments.map(Into::into));
        let mut alone = Context::new(&SHA256);
        alone.update(canonical.as_bytes());
        let arguments = match canonical.as_str() {
            "null" => "{}",
            other => other,
        };
        let mut context = Context::new(&SHA256);
        context.update(DIGEST_DOMAIN);
        for field in [principal, tool, arguments] {
            // Once told a field from an absent one; stored approvals keep their digests.
            context.update(&[1]);
            let bytes = field.as_bytes();
            context.update(&(bytes.len() as u64).to_be_bytes());
            context.update(bytes);
        }
        Digests {
            call: Digest::finished(context),
            arguments: Digest::finished(alone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn an_id_reads_back_and_nothing_else_does() {
        let id = Id::random().unwrap();
        assert_eq!(Id::parse(&id.to_string()), Some(id));
        assert_ne!(Id::random(), Some(id));
        for text in ["", "tg-", "tg-00", "786512e2-9e0d-44bd-8f29-789f320fe840"] {
            assert_eq!(Id::parse(text), None, "{text}");
        }
        assert_eq!(Id::parse(&id.to_string().to_uppercase()), None);
    }

    #[test]
    fn equal_calls_share_a_digest() {
        let one = digest("a", "t", Some(&raw(r#"{"x":1,"y":[true]}"#)));
        let two = digest("a", "t", Some(&raw(r#"{ "y": [ true ], "x": 1 }"#)));
        assert_eq!(one, two);
        for arguments in [None, Some(raw("{}"))] {
            let digests = Digests::of("a", "t", arguments.as_deref());
            assert_eq!(digests.call, digest("a", "t", arguments.as_deref()));
            // printf '{}' | sha256sum
            let expected = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
            assert_eq!(digests.arguments.to_string(), expected);
        }
    }

    #[test]
    fn a_call_without_arguments_has_one_digest() {
        let empty = digest("a", "t", Some(&raw("{}")));
        assert_eq!(digest("a", "t", None), empty);
        for text in ["null", " null ", "{ }"] {
            assert_eq!(digest("a", "t", Some(&raw(text))), empty, "{text}");
        }
    }

    #[test]
    fn different_calls_never_share_a_digest() {
        let calls = [
            ("ab", "c", None),
            ("a", "bc", None),
            ("", "abc", None),
            ("a", "b", Some("{}")),
            ("a", "b", Some("[]")),
            ("a", "b", Some("\"null\"")),
            ("a", "b", Some(r#"{"x":null}"#)),
            ("a", "b", Some(r#"{"x":1}"#)),
            ("a", "b", Some(r#"{"x":"1"}"#)),
        ];
        let mut seen = std::collections::HashSet::new();
        for (principal, tool, arguments) in calls {
            let arguments = arguments.map(raw);
            assert!(seen.insert(digest(principal, tool, arguments.as_deref())));
        }
    }
}
