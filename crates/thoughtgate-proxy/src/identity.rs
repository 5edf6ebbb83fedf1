//! Identity of the calling agent: a fixed name, a header that the mesh sets, or a claim of a verified JWT.
//!
//! A claim is trusted only after its signature has been verified; there is no unverified mode. The token
//! itself is forwarded to the upstream unchanged. Fetches no keys: [`crate::jwks`] does.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use thoughtgate_policy::{Claims, Principal};

use crate::headers::sole;

mod crypto;
mod error;
mod jwk;
mod jwt;
mod key;
mod keys;
mod user;

#[cfg(test)]
pub use error::TokenFault;
pub use error::Unidentified;
pub use jwk::{BadKeySet, Published, read as read_keys};
pub use jwt::{Expected, Jwt};
pub use key::BadKey;
pub use keys::{BadKeysUrl, KeySet};

/// Source of the agent's id.
#[derive(Debug)]
pub enum Identity {
    /// This id, for every request.
    Fixed(String),
    /// The value of this header. The proxy in front must set it, and remove it from its clients' requests.
    Header(HeaderName),
    /// A claim of the bearer token in `Authorization`.
    Jwt(Box<Jwt>),
}

impl Identity {
    /// The agent that this request comes from.
    pub fn of<'a>(&'a self, headers: &'a HeaderMap) -> Result<Agent<'a>, Unidentified> {
        match self {
            Identity::Fixed(name) => Ok(Agent::named(name)),
            Identity::Header(name) => sole(headers, name)
                // An empty value would make a single agent of all those without an id.
                .filter(|value| !value.is_empty())
                .map(Agent::named)
                .ok_or_else(|| Unidentified::Header(name.clone())),
            Identity::Jwt(jwt) => {
                let (id, claims) = jwt.agent(headers)?;
                Ok(Agent {
                    id: Cow::Owned(id),
                    claims,
                })
            }
        }
    }

    /// Like [`Identity::of`], but waits for keys that are not known yet.
    pub async fn of_renewed<'a>(
        &'a self,
        headers: &'a HeaderMap,
    ) -> Result<Agent<'a>, Unidentified> {
        match self.of(headers) {
            Err(why) if why.lacks_key() => {
                self.renewed().await;
                self.of(headers)
            }
            found => found,
        }
    }

    /// The published keys that tokens are verified with, if there are any.
    #[must_use]
    pub fn key_set(&self) -> Option<&Arc<KeySet>> {
        match self {
            Identity::Jwt(jwt) => jwt.key_set(),
            Identity::Fixed(_) | Identity::Header(_) => None,
        }
    }

    /// Takes over the published keys that are in force, if these are published at the same URL.
    pub fn keep_keys(&mut self, before: &Identity) {
        if let (Identity::Jwt(own), Identity::Jwt(before)) = (self, before) {
            own.keep_keys(before);
        }
    }

    /// Waits until published keys have been fetched again, if that may help; at once in all other cases.
    #[cold]
    pub async fn renewed(&self) {
        if let Some(keys) = self.key_set() {
            keys.renewed().await;
        }
    }

    /// Identity of the user behind the agent in a request whose agent is valid. With `agent.jwt` the
    /// issuer and subject of the token, otherwise its exact credentials, of which its query may have some.
    #[must_use]
    pub fn user(&self, headers: &HeaderMap, query: Option<&str>) -> Vec<u8> {
        let of_token = match self {
            Identity::Jwt(jwt) => jwt.user(headers),
            Identity::Fixed(_) | Identity::Header(_) => None,
        };
        of_token.unwrap_or_else(|| user::of_credentials(headers, query))
    }
}

/// The calling agent.
#[derive(Debug)]
pub struct Agent<'a> {
    pub id: Cow<'a, str>,
    /// The declared claims of its token, if any are declared.
    pub claims: Option<Arc<Claims>>,
}

impl<'a> Agent<'a> {
    fn named(id: &'a str) -> Agent<'a> {
        Agent {
            id: Cow::Borrowed(id),
            claims: None,
        }
    }

    /// The agent as policies know it.
    #[must_use]
    pub fn principal(&self) -> Principal<'_> {
        Principal {
            id: &self.id,
            claims: self.claims.as_deref(),
        }
    }
}
