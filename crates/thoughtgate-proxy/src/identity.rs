//! Who the calling agent is: a fixed name, a header that the mesh sets, or a claim of a verified JWT.
//!
//! A claim is believed only after its signature was checked; there is no unverified mode. The token
//! itself goes on to the upstream untouched.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, header};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};

use crate::headers::sole;

/// Where the agent's id comes from.
pub enum Identity {
    /// Every request is this agent's.
    Fixed(String),
    /// The value of one header, which whoever stands in front must set and strip.
    Header(HeaderName),
    /// A claim of the bearer token in `Authorization`.
    Jwt(Box<Jwt>),
}

/// How bearer tokens are verified.
pub struct Jwt {
    claim: String,
    key: DecodingKey,
    validation: Validation,
}

/// Why a request has no agent.
#[derive(Debug, thiserror::Error)]
pub enum Unidentified {
    /// The configured header is absent, repeated, empty or not text.
    #[error("the request names no agent in its `{0}` header")]
    Header(HeaderName),
    /// No bearer token.
    #[error("the request carries no bearer token")]
    NoToken,
    /// The token's signature, lifetime, audience or issuer is wrong.
    #[error("the bearer token was not accepted: {0}")]
    BadToken(#[source] jsonwebtoken::errors::Error),
    /// The token is sound but lacks the claim.
    #[error("the bearer token has no text claim `{0}`")]
    NoClaim(String),
}

/// What a verification key file holds.
#[derive(Debug, thiserror::Error)]
#[error("not a PEM public key (RSA, EC P-256/P-384 or Ed25519): {0}")]
pub struct BadKey(#[source] jsonwebtoken::errors::Error);

impl Jwt {
    /// `pem` is a public key; its kind selects the algorithms that are accepted, so that a token
    /// cannot choose a weaker one. `exp` is always required and checked.
    pub fn new(
        claim: &str,
        pem: &[u8],
        audience: Option<&str>,
        issuer: Option<&str>,
    ) -> Result<Jwt, BadKey> {
        let kinds: [(Loader, &[Algorithm]); 3] = [
            (
                DecodingKey::from_rsa_pem,
                &[
                    Algorithm::RS256,
                    Algorithm::RS384,
                    Algorithm::RS512,
                    Algorithm::PS256,
                ],
            ),
            (
                DecodingKey::from_ec_pem,
                &[Algorithm::ES256, Algorithm::ES384],
            ),
            (DecodingKey::from_ed_pem, &[Algorithm::EdDSA]),
        ];
        let mut last = None;
        for (load, algorithms) in kinds {
            match load(pem) {
                Ok(key) => {
                    let mut validation = Validation::new(algorithms[0]);
                    validation.algorithms = algorithms.to_vec();
                    validation.validate_nbf = true;
                    match audience {
                        Some(audience) => validation.set_audience(&[audience]),
                        None => validation.validate_aud = false,
                    }
                    if let Some(issuer) = issuer {
                        validation.set_issuer(&[issuer]);
                    }
                    return Ok(Jwt {
                        claim: claim.to_owned(),
                        key,
                        validation,
                    });
                }
                Err(error) => last = Some(error),
            }
        }
        Err(BadKey(last.expect("three kinds were tried")))
    }
}

type Loader = fn(&[u8]) -> Result<DecodingKey, jsonwebtoken::errors::Error>;

impl Identity {
    /// The agent that this request comes from.
    pub fn of<'a>(&'a self, headers: &'a HeaderMap) -> Result<Cow<'a, str>, Unidentified> {
        match self {
            Identity::Fixed(name) => Ok(Cow::Borrowed(name)),
            Identity::Header(name) => sole(headers, name)
                .filter(|value| !value.is_empty())
                .map(Cow::Borrowed)
                .ok_or_else(|| Unidentified::Header(name.clone())),
            Identity::Jwt(jwt) => jwt.agent(headers).map(Cow::Owned),
        }
    }
}

impl Jwt {
    fn agent(&self, headers: &HeaderMap) -> Result<String, Unidentified> {
        let token = sole(headers, &header::AUTHORIZATION)
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or(Unidentified::NoToken)?;
        let decoded = jsonwebtoken::decode::<serde_json::Value>(token, &self.key, &self.validation)
            .map_err(Unidentified::BadToken)?;
        match decoded
            .claims
            .get(&self.claim)
            .and_then(serde_json::Value::as_str)
        {
            Some(agent) if !agent.is_empty() => Ok(agent.to_owned()),
            _ => Err(Unidentified::NoClaim(self.claim.clone())),
        }
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Identity::Fixed(name) => write!(formatter, "Fixed({name:?})"),
            Identity::Header(name) => write!(formatter, "Header({name})"),
            Identity::Jwt(jwt) => write!(formatter, "Jwt(claim {:?})", jwt.claim),
        }
    }
}
