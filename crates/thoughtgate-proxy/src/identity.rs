//! Who the calling agent is: a fixed name, a header that the mesh sets, or a claim of a verified JWT.
//!
//! A claim is believed only after its signature was checked; there is no unverified mode. The token
//! itself goes on to the upstream untouched.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};

use crate::headers::sole;

mod crypto;
mod jwt;

pub use jwt::{BadKey, Expected, Jwt};

/// Where the agent's id comes from.
#[derive(Debug)]
pub enum Identity {
    /// Every request is this agent's.
    Fixed(String),
    /// The value of one header, which whoever stands in front must set and strip.
    Header(HeaderName),
    /// A claim of the bearer token in `Authorization`.
    Jwt(Box<Jwt>),
}

/// Why a request has no agent. Holds nothing of a token: the audit keeps it.
#[derive(Debug, thiserror::Error)]
pub enum Unidentified {
    /// The configured header is absent, repeated, empty or not text.
    #[error("the request names no agent in its `{0}` header")]
    Header(HeaderName),
    /// No bearer token.
    #[error("the request carries no bearer token")]
    NoToken,
    /// The token's form, signature, lifetime, audience or issuer is wrong.
    #[error("the bearer token was not accepted: {0}")]
    BadToken(&'static str),
    /// The token is sound but lacks the claim.
    #[error("the bearer token has no text claim `{0}`")]
    NoClaim(String),
}

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
