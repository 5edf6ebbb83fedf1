//! This proxy as an OAuth protected resource: the metadata that it publishes about itself (RFC 9728), and the
//! challenges that lead clients to it (RFC 6750).
//!
//! Only with `agent.jwt.authorization_servers`; without it, the metadata are the upstream's
//! ([`crate::well_known`]). Verifies nothing, and issues no token.

use bytes::Bytes;
use http::{HeaderValue, Uri};
use serde_json::json;

use crate::address;
use crate::guard::is_loopback_name;
use crate::identity::Unidentified;
use crate::public_url::PublicUrl;

/// The metadata and the challenges, made once.
#[derive(Debug)]
pub struct Protected {
    public: PublicUrl,
    document: Bytes,
    /// For a request without a token.
    missing: HeaderValue,
    /// For one with a token that is not accepted.
    invalid: HeaderValue,
}

/// Reason why metadata cannot be made. Positions count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadMetadata {
    /// Clients would refuse it (RFC 8414 §2).
    #[error(
        "item {0} of `agent.jwt.authorization_servers` is not an issuer's URL: https://, or http:// with a \
         loopback address, without user, query or fragment, and with a port, if any, from 1 to 65535, such as \
         https://idp.example/realms/agents"
    )]
    Server(usize),
    /// Not of the characters of RFC 6749 §3.3.
    #[error(
        "item {0} of `agent.jwt.scopes` is not a scope: visible ASCII characters without spaces, `\"` and `\\`"
    )]
    Scope(usize),
}

impl Protected {
    /// `servers` are the issuers of tokens for `public`, `scopes` those that clients should ask for.
    pub fn new(
        public: PublicUrl,
        servers: &[String],
        scopes: &[String],
    ) -> Result<Protected, BadMetadata> {
        if let Some(fault) = Protected::faults(servers, scopes).first() {
            return Err(*fault);
        }
        let mut document = json!({
            "resource": public.resource(),
            "authorization_servers": servers,
            "bearer_methods_supported": ["header"],
        });
        let mut challenge = format!("resource_metadata=\"{}\"", public.resource_metadata());
        if !scopes.is_empty() {
            document["scopes_supported"] = json!(scopes);
            challenge = format!("{challenge}, scope=\"{}\"", scopes.join(" "));
        }
        // Cannot fail: a URL and scopes are visible ASCII.
        let value = |text: String| {
            HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer"))
        };
        Ok(Protected {
            missing: value(format!("Bearer {challenge}")),
            invalid: value(format!("Bearer error=\"invalid_token\", {challenge}")),
            document: document.to_string().into(),
            public,
        })
    }

    /// All reasons for which [`Protected::new`] fails.
    #[must_use]
    pub fn faults(servers: &[String], scopes: &[String]) -> Vec<BadMetadata> {
        let servers = servers.iter().enumerate();
        let servers = servers.filter(|(_, server)| !is_issuer(server));
        let scopes = scopes.iter().enumerate();
        let scopes = scopes.filter(|(_, scope)| !is_scope(scope));
        let servers = servers.map(|(at, _)| BadMetadata::Server(at + 1));
        servers
            .chain(scopes.map(|(at, _)| BadMetadata::Scope(at + 1)))
            .collect()
    }

    /// The document, if it is at `path`.
    #[must_use]
    pub fn document(&self, path: &str) -> Option<Bytes> {
        self.public
            .has_metadata_at(path)
            .then(|| self.document.clone())
    }

    /// `WWW-Authenticate` of the answer to a request that names no agent.
    #[must_use]
    pub fn challenge(&self, why: &Unidentified) -> HeaderValue {
        match why {
            Unidentified::NoToken => self.missing.clone(),
            _ => self.invalid.clone(),
        }
    }
}

fn is_issuer(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_safe = match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => is_loopback_name(host),
        _ => false,
    };
    let has_port = |authority| address::port(authority).is_ok();
    is_safe && !url.contains(['?', '#', '@']) && uri.authority().is_some_and(has_port)
}

fn is_scope(scope: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\".contains(&byte);
    !scope.is_empty() && scope.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(servers: &[&str], scopes: &[&str]) -> Result<Protected, BadMetadata> {
        let owned = |items: &[&str]| -> Vec<String> {
            items.iter().map(|item| (*item).to_owned()).collect()
        };
        let public = PublicUrl::new("https://gate.example").unwrap();
        Protected::new(public, &owned(servers), &owned(scopes))
    }

    #[test]
    fn challenges_say_whether_there_was_a_token() {
        let own = made(&["https://idp.example/"], &["a", "b:c"]).unwrap();
        let at =
            "resource_metadata=\"https://gate.example/.well-known/oauth-protected-resource/mcp\"";
        let missing = own.challenge(&Unidentified::NoToken);
        assert_eq!(missing, format!("Bearer {at}, scope=\"a b:c\"").as_str());
        let invalid = own.challenge(&Unidentified::NoClaim("x".to_owned()));
        let expected = format!("Bearer error=\"invalid_token\", {at}, scope=\"a b:c\"");
        assert_eq!(invalid, expected.as_str());
    }

    #[test]
    fn servers_and_scopes_are_ones_that_clients_accept() {
        for server in [
            "https://idp.example",
            "http://127.0.0.1:1/a",
            "http://[::1]:1",
        ] {
            assert!(made(&[server], &[]).is_ok(), "{server}");
        }
        for server in [
            "",
            "idp.example",
            "http://idp.example",
            "https://user@idp.example",
            "https://idp.example/?a",
            "https://idp.example/#a",
            "ftp://127.0.0.1",
            "https://idp.example:99999",
        ] {
            let refused = made(&["https://idp.example", server], &[]).unwrap_err();
            assert_eq!(refused, BadMetadata::Server(2), "{server}");
        }
        for scope in ["", "a b", "a\"b", "a\\b", "ä"] {
            let refused = made(&["https://idp.example"], &[scope]).unwrap_err();
            assert_eq!(refused, BadMetadata::Scope(1), "{scope}");
        }
    }
}
