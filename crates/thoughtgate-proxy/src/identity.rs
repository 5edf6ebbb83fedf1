//! Identity of the calling agent: a fixed name, a header that the mesh sets, or a claim of a verified JWT.
//!
//! A claim is trusted only after its signature has been verified; there is no unverified mode. The token
//! itself is forwarded to the upstream unchanged.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};

use crate::headers::sole;

mod crypto;
mod error;
mod jwt;

pub use error::{TokenFault, Unidentified};
pub use jwt::{BadKey, Expected, Jwt};

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
    pub fn of<'a>(&'a self, headers: &'a HeaderMap) -> Result<Cow<'a, str>, Unidentified> {
        match self {
            Identity::Fixed(name) => Ok(Cow::Borrowed(name)),
            Identity::Header(name) => sole(headers, name)
                // An empty value would make a single agent of all those without an id.
                .filter(|value| !value.is_empty())
                .map(Cow::Borrowed)
                .ok_or_else(|| Unidentified::Header(name.clone())),
            Identity::Jwt(jwt) => jwt.agent(headers).map(Cow::Owned),
        }
    }
}
