//! Bearer tokens, verified with one public key, or with those that their issuer publishes. Claims that are
//! configured must be present, with the type that RFC 7519 gives them.
//!
//! The library checks signature, algorithm and times, and ignores claims of an unexpected type; those are
//! refused here. No part of a token is put into an error.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, header};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, TokenData, Validation};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use thoughtgate_mcp::unique_keys;
use thoughtgate_policy::{Claims, Declared};

use super::crypto;
use super::error::{TokenFault, Unidentified};
use super::jwk::Published;
use super::key::{BadKey, Key, Kind};
use super::keys::KeySet;
use super::user;
use crate::headers::sole;

/// Verification of bearer tokens.
#[derive(Debug)]
pub struct Jwt {
    expected: Expected,
    keys: Keys,
    /// One of each [`Kind`] of keys, in their order.
    validations: [Validation; Kind::ALL.len()],
}

#[derive(Debug)]
enum Keys {
    One(Key),
    Published(Arc<KeySet>),
}

/// Claims that a token must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The claim that names the agent.
    pub claim: String,
    /// If set, `aud` must be or contain it.
    pub audience: Option<String>,
    /// If set, `iss` must be equal to it.
    pub issuer: Option<String>,
    /// Tolerated difference of clocks at `exp` and `nbf`.
    pub leeway: Duration,
    /// Claims that policies may read, with their types; a token may lack any of them.
    pub declared: Declared,
}

impl Jwt {
    /// `pem` is a public key; its kind selects the algorithms that are accepted, so that a token
    /// cannot choose a weaker one. `exp` is always required and checked.
    pub fn new(pem: &[u8], expected: Expected) -> Result<Jwt, BadKey> {
        Ok(Jwt::with(Keys::One(Key::from_pem(pem)?), expected))
    }

    /// Verifies tokens with the keys of `set` that are in force at the time, each for its own algorithms.
    #[must_use]
    pub fn published(set: Arc<KeySet>, expected: Expected) -> Jwt {
        Jwt::with(Keys::Published(set), expected)
    }

    fn with(keys: Keys, expected: Expected) -> Jwt {
        crypto::install();
        let validations = Kind::ALL.map(|kind| {
            let mut validation = Validation::new(kind.algorithms()[0]);
            validation.algorithms = kind.algorithms().to_vec();
            validation.leeway = expected.leeway.as_secs();
            validation.validate_nbf = true;
            // Checked more strictly by `Expected::check`.
            validation.validate_aud = false;
            validation
        });
        Jwt {
            expected,
            keys,
            validations,
        }
    }

    /// The published keys, unless one key is configured.
    #[must_use]
    pub fn key_set(&self) -> Option<&Arc<KeySet>> {
        match &self.keys {
            Keys::One(_) => None,
            Keys::Published(set) => Some(set),
        }
    }

    /// Takes over the keys of `before` if they are published at the same URL, so that a reload keeps those in
    /// force.
    pub fn keep_keys(&mut self, before: &Jwt) {
        if let (Keys::Published(own), Keys::Published(before)) = (&mut self.keys, &before.keys)
            && own.is_at(before)
        {
            *own = Arc::clone(before);
        }
    }

    /// The agent that the request's token names, and the declared claims of the token.
    pub fn agent(
        &self,
        headers: &HeaderMap,
    ) -> Result<(String, Option<Arc<Claims>>), Unidentified> {
        let claims = self.claims(headers)?;
        let agent = match claims.get(&self.expected.claim) {
            Some(Value::String(agent)) if !agent.trim().is_empty() => agent.clone(),
            _ => return Err(Unidentified::NoClaim(self.expected.claim.clone())),
        };
        let declared = &self.expected.declared;
        let claims = (!declared.is_empty())
            .then(|| Claims::read(declared, &claims).map(Arc::new))
            .transpose()?;
        Ok((agent, claims))
    }

    /// Identity of the user that the request's token is for. The token is verified once more, since
    /// it is seldom asked for.
    #[must_use]
    pub fn user(&self, headers: &HeaderMap) -> Option<Vec<u8>> {
        user::of_token(&self.claims(headers).ok()?)
    }

    /// All claims of the request's token, if it is valid.
    fn claims(&self, headers: &HeaderMap) -> Result<Map<String, Value>, Unidentified> {
        let token = sole(headers, &header::AUTHORIZATION)
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or(Unidentified::NoToken)?;
        let decoded = self.decode(token)?;
        // Who does not understand a critical extension has to refuse the token (RFC 7515 §4.1.11).
        if decoded.header.crit.is_some() {
            return Err(Unidentified::BadToken(TokenFault::Extension));
        }
        unique_keys(&decoded.claims)
            .map_err(|_| Unidentified::BadToken(TokenFault::DuplicateKey))?;
        let claims: Map<String, Value> = serde_json::from_str(decoded.claims.get())
            .map_err(|_| Unidentified::BadToken(TokenFault::NotAnObject))?;
        self.expected
            .check(&claims)
            .map_err(Unidentified::BadToken)?;
        Ok(claims)
    }

    fn decode(&self, token: &str) -> Result<TokenData<Box<RawValue>>, Unidentified> {
        let bad = |error: &Error| Unidentified::BadToken(fault(error));
        // Raw, because a map would keep one of two values of a duplicate key and hide the other.
        let decode = |key: &Key| {
            let validation = &self.validations[key.kind as usize];
            jsonwebtoken::decode::<Box<RawValue>>(token, &key.decoding, validation)
                .map_err(|error| bad(&error))
        };
        match &self.keys {
            Keys::One(key) => decode(key),
            Keys::Published(set) => {
                let header = jsonwebtoken::decode_header(token).map_err(|error| bad(&error))?;
                let held = set.held();
                let keys = held.as_ref().ok_or(Unidentified::NoKeys)?;
                let found = find(keys, header.kid.as_deref(), header.alg);
                decode(&found.map_err(Unidentified::BadToken)?.key)
            }
        }
    }
}

/// The one key that a token with this `kid` and `alg` may be signed with. Without `kid`, a token says too
/// little if several keys fit.
fn find<'k>(
    keys: &'k [Published],
    id: Option<&str>,
    algorithm: Algorithm,
) -> Result<&'k Published, TokenFault> {
    let mut named = keys
        .iter()
        .filter(|key| id.is_none() || key.id.as_deref() == id)
        .peekable();
    if named.peek().is_none() {
        return Err(TokenFault::UnknownKey);
    }
    let mut fitting = named.filter(|key| key.is_for(algorithm));
    match (fitting.next(), fitting.next()) {
        (Some(key), None) => Ok(key),
        (Some(_), Some(_)) => Err(TokenFault::SeveralKeys),
        (None, _) => Err(TokenFault::Algorithm),
    }
}

impl Expected {
    fn check(&self, claims: &Map<String, Value>) -> Result<(), TokenFault> {
        // The library ignores `iat`, whatever its type.
        for time in ["exp", "nbf", "iat"] {
            if claims.get(time).is_some_and(|value| !value.is_number()) {
                return Err(TokenFault::TimeType);
            }
        }
        if let Some(issuer) = &self.issuer
            && claims.get("iss").and_then(Value::as_str) != Some(issuer)
        {
            return Err(TokenFault::Issuer);
        }
        if let Some(audience) = &self.audience
            && !claims.get("aud").is_some_and(|aud| names(aud, audience))
        {
            return Err(TokenFault::Audience);
        }
        Ok(())
    }
}

/// Whether `aud` is `audience`, or a list of strings that contains it.
fn names(aud: &Value, audience: &str) -> bool {
    match aud {
        Value::String(one) => one == audience,
        Value::Array(all) => {
            all.iter().all(Value::is_string) && all.iter().any(|one| one == audience)
        }
        _ => false,
    }
}

/// The library's own text is not used: it can quote the token.
fn fault(error: &Error) -> TokenFault {
    match error.kind() {
        ErrorKind::ExpiredSignature => TokenFault::Expired,
        ErrorKind::ImmatureSignature => TokenFault::TooEarly,
        ErrorKind::InvalidSignature => TokenFault::Signature,
        ErrorKind::InvalidAlgorithm => TokenFault::Algorithm,
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) => TokenFault::Times,
        _ => TokenFault::Malformed,
    }
}

#[cfg(test)]
mod tests;
