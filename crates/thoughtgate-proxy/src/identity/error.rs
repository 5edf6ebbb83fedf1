//! The reasons why a request has no agent.
//!
//! None contains any part of a token, because the audit log stores them.

use http::HeaderName;
use thoughtgate_policy::ClaimError;

/// Reason why a request has no agent.
#[derive(Debug, thiserror::Error)]
pub enum Unidentified {
    /// The configured header is absent, repeated, empty or not text.
    #[error("missing or invalid `{0}` header (expected once, with the agent's id)")]
    Header(HeaderName),
    #[error("the request has no bearer token in its Authorization header")]
    NoToken,
    /// Its issuer has no keys, or they have not been fetched yet, or not for a long time.
    #[error(
        "bearer tokens cannot be verified now: the keys of their issuer could not be fetched, or there are none; the proxy's log has the reason"
    )]
    NoKeys,
    /// The token's form, signature, lifetime, audience or issuer is wrong.
    #[error("the bearer token was not accepted")]
    BadToken(#[source] TokenFault),
    /// The token is valid but lacks the claim.
    #[error("the bearer token has no claim `{0}` that is a non-empty string")]
    NoClaim(String),
    /// The token is valid, but a claim that policies may read is not of its declared type, or too large.
    #[error(transparent)]
    Claim(#[from] ClaimError),
}

impl Unidentified {
    /// Whether keys that are fetched now may change it.
    #[must_use]
    pub fn lacks_key(&self) -> bool {
        matches!(
            self,
            Unidentified::NoKeys | Unidentified::BadToken(TokenFault::UnknownKey)
        )
    }
}

/// Reason why a bearer token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    #[error("it is not a valid JWT")]
    Malformed,
    #[error("its algorithm does not fit its key")]
    Algorithm,
    #[error("its `kid` names no key that the issuer publishes")]
    UnknownKey,
    #[error("several keys of the issuer fit its `kid` and `alg`")]
    SeveralKeys,
    #[error("its signature is invalid")]
    Signature,
    #[error("its header has `crit`, but no extension is supported")]
    Extension,
    #[error("its claims have a duplicate key")]
    DuplicateKey,
    #[error("its claims are not a JSON object")]
    NotAnObject,
    #[error("`exp`, `nbf` or `iat` is not a number")]
    TimeType,
    /// The library's check of the times, which does not say which of these it was.
    #[error("`exp` is missing, or `exp` or `nbf` is not a number")]
    Times,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    TooEarly,
    #[error("`iss` is not `agent.jwt.issuer`")]
    Issuer,
    #[error("`aud` does not name `agent.jwt.audience`")]
    Audience,
}
