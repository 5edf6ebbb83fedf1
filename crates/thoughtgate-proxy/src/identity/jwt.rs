//! Bearer tokens, verified with one public key. Claims that are configured must be present, with the type
//! that RFC 7519 gives them.
//!
//! The library checks signature, algorithm and times, and ignores claims of an unexpected type; those are
//! refused here. No part of a token is put into an error.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, header};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use thoughtgate_mcp::unique_keys;
use thoughtgate_policy::{Claims, Declared};

use super::{TokenFault, Unidentified, crypto};
use crate::headers::sole;

/// Bytes of the shortest RSA key that ring verifies with, 2048 bits, in DER.
const RSA_BYTES_MIN: usize = 264;

/// Verification of bearer tokens.
#[derive(Debug)]
pub struct Jwt {
    expected: Expected,
    key: DecodingKey,
    validation: Validation,
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
    pub declared: Arc<Declared>,
}

/// Reason why a verification key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadKey {
    /// A private key, which the proxy does not need and must not have.
    #[error("the file has a private key; replace it with its public key (openssl pkey -pubout)")]
    Private,
    /// Not a key, or of a kind that is not supported.
    #[error("not a PEM public key (RSA of 2048 bits or more, EC P-256 or P-384, or Ed25519)")]
    Unusable,
}

impl Jwt {
    /// `pem` is a public key; its kind selects the algorithms that are accepted, so that a token
    /// cannot choose a weaker one. `exp` is always required and checked.
    pub fn new(pem: &[u8], expected: Expected) -> Result<Jwt, BadKey> {
        crypto::install();
        // Looked for in the text: the library would read a private RSA key (PKCS #1) as a public one.
        if pem.windows(11).any(|text| text == b"PRIVATE KEY") {
            return Err(BadKey::Private);
        }
        let (key, algorithms) = key(pem).ok_or(BadKey::Unusable)?;
        let mut validation = Validation::new(algorithms[0]);
        validation.algorithms = algorithms.to_vec();
        validation.leeway = expected.leeway.as_secs();
        validation.validate_nbf = true;
        // Checked more strictly by `Expected::check`.
        validation.validate_aud = false;
        Ok(Jwt {
            expected,
            key,
            validation,
        })
    }

    /// The agent that the request's token names, and the declared claims of the token.
    pub fn agent(
        &self,
        headers: &HeaderMap,
    ) -> Result<(String, Option<Arc<Claims>>), Unidentified> {
        let token = sole(headers, &header::AUTHORIZATION)
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or(Unidentified::NoToken)?;
        // Raw, because a map would keep one of two values of a duplicate key and hide the other.
        let decoded = jsonwebtoken::decode::<Box<RawValue>>(token, &self.key, &self.validation)
            .map_err(|error| Unidentified::BadToken(fault(&error)))?;
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

/// Parses a public key, and selects the algorithms that it is for.
fn key(pem: &[u8]) -> Option<(DecodingKey, &'static [Algorithm])> {
    if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
        let long = key.try_get_as_bytes().ok()?.len() >= RSA_BYTES_MIN;
        let algorithms: &[Algorithm] = &[
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ];
        return long.then_some((key, algorithms));
    }
    if let Ok(key) = DecodingKey::from_ec_pem(pem) {
        // The length of an uncompressed point identifies the curve.
        let algorithms: &[Algorithm] = match key.try_get_as_bytes().ok()?.len() {
            65 => &[Algorithm::ES256],
            97 => &[Algorithm::ES384],
            _ => return None,
        };
        return Some((key, algorithms));
    }
    let key = DecodingKey::from_ed_pem(pem).ok()?;
    Some((key, &[Algorithm::EdDSA]))
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
