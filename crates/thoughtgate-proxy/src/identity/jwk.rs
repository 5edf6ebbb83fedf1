//! A JWK Set (RFC 7517 §5): the keys that an issuer publishes.
//!
//! Keys that cannot verify a token are left out, as the RFC asks: symmetric ones, those for encryption, those
//! of other kinds, and those that are published with their private part, with which anyone can sign. Fetches
//! nothing.

use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::key::{Key, Kind};

/// Limit of the entries of one set, usable or not. Issuers publish two to ten.
const ENTRIES_MAX: usize = 64;

/// A published key that can verify tokens.
#[derive(Debug)]
pub struct Published {
    pub id: Option<String>,
    /// The one algorithm that its issuer uses it for, if it says so.
    algorithm: Option<Algorithm>,
    pub key: Key,
}

/// Reason why a document is no set of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKeySet {
    #[error("the document is not a JSON object with a list `keys`")]
    Form,
    #[error("the document has more than {ENTRIES_MAX} keys")]
    TooMany,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Entry {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<IgnoredAny>,
}

impl Published {
    /// Whether a token with this algorithm may be signed with it.
    #[must_use]
    pub fn is_for(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|only| only == algorithm)
            && self.key.kind.algorithms().contains(&algorithm)
    }
}

/// The keys in a document that can verify tokens.
pub fn read(document: &[u8]) -> Result<Vec<Published>, BadKeySet> {
    let document: Document = serde_json::from_slice(document).map_err(|_| BadKeySet::Form)?;
    if document.keys.len() > ENTRIES_MAX {
        return Err(BadKeySet::TooMany);
    }
    // An entry that is there twice, as in sets that were joined, is one key.
    let mut entries: Vec<Value> = Vec::new();
    for entry in document.keys {
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    Ok(entries.into_iter().filter_map(usable).collect())
}

fn usable(entry: Value) -> Option<Published> {
    let entry: Entry = serde_json::from_value(entry).ok()?;
    let is_for_encryption = entry
        .purpose
        .as_ref()
        .is_some_and(|purpose| purpose != "sig");
    let verifies = |uses: &Vec<String>| uses.iter().any(|operation| operation == "verify");
    if is_for_encryption || entry.d.is_some() || !entry.key_ops.as_ref().is_none_or(verifies) {
        return None;
    }
    let key = key(&entry)?;
    let algorithm = match &entry.alg {
        Some(name) => Some(Algorithm::from_str(name).ok()?),
        None => None,
    };
    if algorithm.is_some_and(|algorithm| !key.kind.algorithms().contains(&algorithm)) {
        return None;
    }
    Some(Published {
        id: entry.kid,
        algorithm,
        key,
    })
}

fn key(entry: &Entry) -> Option<Key> {
    let bytes = |part: &Option<String>| BASE64URL_NOPAD.decode(part.as_ref()?.as_bytes()).ok();
    let curve = entry.crv.as_deref();
    match (entry.kty.as_str(), curve) {
        ("RSA", _) => {
            let der = rsa_der(&bytes(&entry.n)?, &bytes(&entry.e)?);
            Key::rsa(DecodingKey::from_rsa_der(&der))
        }
        ("EC", Some("P-256")) => point(Kind::P256, 32, &bytes(&entry.x)?, &bytes(&entry.y)?),
        ("EC", Some("P-384")) => point(Kind::P384, 48, &bytes(&entry.x)?, &bytes(&entry.y)?),
        ("OKP", Some("Ed25519")) => {
            let x = bytes(&entry.x).filter(|x| x.len() == 32)?;
            Some(Key {
                kind: Kind::Ed25519,
                decoding: DecodingKey::from_ed_der(&x),
            })
        }
        _ => None,
    }
}

/// An EC key; both coordinates have the full length of the curve's field (RFC 7518 §6.2.1).
fn point(kind: Kind, length: usize, x: &[u8], y: &[u8]) -> Option<Key> {
    if x.len() != length || y.len() != length {
        return None;
    }
    // The form of an uncompressed point (SEC 1 §2.3.3).
    let point = [&[4], x, y].concat();
    Some(Key {
        kind,
        decoding: DecodingKey::from_ec_der(&point),
    })
}

/// An RSA key in the form that ring takes: a sequence of two integers (RFC 8017 A.1.1).
fn rsa_der(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let number = &number[zeros..];
        // Without it, a number with the highest bit set would be negative.
        let sign: &[u8] = match number.first() {
            Some(first) if *first < 0x80 => &[],
            _ => &[0],
        };
        tagged(0x02, &[sign, number].concat())
    };
    tagged(0x30, &[integer(modulus), integer(exponent)].concat())
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let zeros = length.iter().take_while(|byte| **byte == 0).count();
    let length = &length[zeros..];
    let mut out = vec![tag];
    if content.len() >= 0x80 {
        out.push(0x80 | u8::try_from(length.len()).unwrap_or(0x7f));
        out.extend_from_slice(length);
    } else {
        out.push(u8::try_from(content.len()).unwrap_or(0));
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests;
