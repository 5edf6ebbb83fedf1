//! The reasons why a request has no agent.
//!
//! None contains any part of a token, because the audit log stores them.

use http::HeaderName;

/// Reason why a request has no agent.
#[derive(Debug, thiserror::Error)]
pub enum Unidentified {
    /// The configured header is absent, repeated, empty or not text.
    #[error("missing or invalid `{0}` header (expected once, with the agent's id)")]
    Header(HeaderName),
    #[error("the request has no bearer token in its Authorization header")]
    NoToken,
    /// The token's form, signature, lifetime, audience or issuer is wrong.
    #[error("the bearer token was not accepted: {0}")]
    BadToken(&'static str),
    /// The token is valid but lacks the claim.
    #[error("the bearer token has no claim `{0}` that is a non-empty string")]
    NoClaim(String),
}
