//! The URL of the MCP endpoint as clients know it, and the OAuth addresses that follow from it (RFC 9728).
//!
//! Fetches nothing and changes no message.

use http::uri::{Authority, Scheme};
use http::{HeaderValue, Uri};

use crate::address;

/// Path of this proxy's endpoint, unless something in front of it shows another one.
const PATH: &str = "/mcp";
/// Folder of the documents that servers publish about themselves (RFC 8615).
pub const WELL_KNOWN: &str = "/.well-known/";
/// Path of a resource's metadata, which the resource's own path follows (RFC 9728 §3.1).
pub const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource";

/// The URL under which clients reach the MCP endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    origin: String,
    path: String,
    scheme: HeaderValue,
    host: HeaderValue,
}

/// Reason why a URL cannot be the public one.
#[derive(Debug, thiserror::Error)]
#[error(
    "it must be the http:// or https:// URL of the endpoint as clients know it, without user, query or \
     fragment, and a port in it must be a number from 1 to 65535, such as https://gate.example/mcp"
)]
pub struct BadPublicUrl;

impl PublicUrl {
    /// Takes a URL apart; one without a path is that of the endpoint's default path.
    pub fn new(url: &str) -> Result<PublicUrl, BadPublicUrl> {
        let uri: Uri = url.parse().map_err(|_| BadPublicUrl)?;
        let scheme = uri.scheme_str().ok_or(BadPublicUrl)?.to_ascii_lowercase();
        let authority = uri.authority().ok_or(BadPublicUrl)?;
        let is_http = scheme == Scheme::HTTP.as_str() || scheme == Scheme::HTTPS.as_str();
        // The parser drops a fragment.
        if !is_http || url.contains(['#', '?', '@']) || authority.host().is_empty() {
            return Err(BadPublicUrl);
        }
        address::port(authority).map_err(|_| BadPublicUrl)?;
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| BadPublicUrl)?;
        let path = uri.path().trim_end_matches('/');
        Ok(PublicUrl {
            origin: format!("{scheme}://{authority}"),
            path: if path.is_empty() { PATH } else { path }.to_owned(),
            scheme: HeaderValue::try_from(scheme).map_err(|_| BadPublicUrl)?,
            host,
        })
    }

    /// The URL by which a client called that sent this `Host`, which the guard has accepted.
    #[must_use]
    pub fn of_host(host: Option<&HeaderValue>) -> Option<PublicUrl> {
        let host = host?.to_str().ok()?;
        let _: Authority = host.parse().ok()?;
        PublicUrl::new(&format!("http://{host}")).ok()
    }

    /// The endpoint's URL: the identifier of the protected resource.
    #[must_use]
    pub fn resource(&self) -> String {
        format!("{}{}", self.origin, self.path)
    }

    /// The URL of the metadata of that resource.
    #[must_use]
    pub fn resource_metadata(&self) -> String {
        format!("{}{RESOURCE_METADATA}{}", self.origin, self.path)
    }

    /// Whether a request for `path` asks for that metadata: with the endpoint's path at its end, as clients
    /// know it or as this proxy has it, or without one.
    #[must_use]
    pub fn has_metadata_at(&self, path: &str) -> bool {
        let rest = path.trim_end_matches('/').strip_prefix(RESOURCE_METADATA);
        rest.is_some_and(|rest| rest.is_empty() || rest == PATH || rest == self.path)
    }

    /// Whether `authority` is that of the URL.
    #[must_use]
    pub fn is_at(&self, authority: &str) -> bool {
        self.host
            .as_bytes()
            .eq_ignore_ascii_case(authority.as_bytes())
    }

    /// Values of `X-Forwarded-Proto` and `X-Forwarded-Host`.
    #[must_use]
    pub fn forwarded(&self) -> (HeaderValue, HeaderValue) {
        (self.scheme.clone(), self.host.clone())
    }

    /// The URL at which this proxy has the metadata that the upstream has at `theirs`; `endpoint` is the path
    /// of the upstream's endpoint. `None` unless the upstream has it at the usual place.
    #[must_use]
    pub fn metadata(&self, theirs: &str, endpoint: &str) -> Option<String> {
        let theirs = theirs.parse::<Uri>().ok()?;
        let path = theirs.path();
        let rest = path.strip_prefix(RESOURCE_METADATA)?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        let endpoint = endpoint.trim_end_matches('/');
        let ours = match path.strip_suffix(endpoint) {
            Some(stem) if !endpoint.is_empty() => format!("{stem}{}", self.path),
            _ => path.to_owned(),
        };
        Some(format!("{}{ours}", self.origin))
    }
}

/// The path at which the upstream has what a client asks for at `path`: the endpoint's own path follows that
/// of some documents (RFC 9728 §3.1), and the upstream's may be another than that of this proxy.
#[must_use]
pub fn upstream_path(path: &str, public: Option<&PublicUrl>, endpoint: &str) -> String {
    let own = public.map_or(PATH, |public| &public.path);
    // Clients that call `/mcp/` put that at the end.
    let whole = path.trim_end_matches('/');
    let stem = whole.strip_suffix(own).or_else(|| whole.strip_suffix(PATH));
    match stem {
        Some(stem) => format!("{stem}{}", endpoint.trim_end_matches('/')),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_the_resource_and_its_metadata() {
        let url = PublicUrl::new("https://gate.example/").unwrap();
        assert_eq!(url.resource(), "https://gate.example/mcp");
        let named = PublicUrl::new("HTTPS://gate.example:8443/team/mcp/").unwrap();
        assert_eq!(named.resource(), "https://gate.example:8443/team/mcp");
        assert_eq!(named.forwarded().0, "https");
        assert_eq!(named.forwarded().1, "gate.example:8443");
        for (theirs, expected) in [
            (
                "https://up:1/.well-known/oauth-protected-resource/v1/mcp",
                "/.well-known/oauth-protected-resource/mcp",
            ),
            (
                "https://up/.well-known/oauth-protected-resource",
                "/.well-known/oauth-protected-resource",
            ),
        ] {
            let expected = format!("https://gate.example{expected}");
            assert_eq!(url.metadata(theirs, "/v1/mcp/"), Some(expected), "{theirs}");
        }
        let root = "http://up/.well-known/oauth-protected-resource";
        let ours = root.replace("http://up", "https://gate.example");
        assert_eq!(url.metadata(root, "/"), Some(ours));
        for elsewhere in [
            "https://up/metadata",
            "https://up/.well-known/other",
            "https://up/.well-known/oauth-protected-resources",
            "not a URL",
            "",
        ] {
            assert_eq!(url.metadata(elsewhere, "/v1/mcp"), None, "{elsewhere}");
        }
    }

    #[test]
    fn other_urls_are_refused() {
        for url in [
            "gate.example",
            "ftp://gate.example",
            "https://u:p@gate.example",
            "https://gate.example/?a",
            "https://gate.example/#a",
            "https://gate.example:99999/mcp",
            "https://gate.example:/mcp",
            "/mcp",
            "https://",
        ] {
            assert!(PublicUrl::new(url).is_err(), "{url}");
        }
        let host = |host: &'static str| PublicUrl::of_host(Some(&HeaderValue::from_static(host)));
        assert_eq!(host("[::1]:80").unwrap().resource(), "http://[::1]:80/mcp");
        for bad in ["", "a/b", "a@b", "a?b"] {
            assert_eq!(host(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_endpoints_own_path_is_put_in() {
        for (path, endpoint, expected) in [
            ("/mcp", "/v1/mcp", "/v1/mcp"),
            ("/mcp/", "/v1/mcp", "/v1/mcp"),
            ("/other/", "/v1/mcp", "/other/"),
            ("/mcp", "/", ""),
            ("", "/v1/mcp", ""),
        ] {
            let path = format!("{RESOURCE_METADATA}{path}");
            let expected = format!("{RESOURCE_METADATA}{expected}");
            assert_eq!(upstream_path(&path, None, endpoint), expected);
        }
        let public = PublicUrl::new("https://gate.example/tools").unwrap();
        let path = format!("{RESOURCE_METADATA}/tools");
        let theirs = upstream_path(&path, Some(&public), "/v1/mcp");
        assert_eq!(theirs, format!("{RESOURCE_METADATA}/v1/mcp"));
    }
}
