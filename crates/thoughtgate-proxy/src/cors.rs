//! Answers that a web page may read: CORS headers for accepted origins, and the answers to preflights.
//!
//! Which origins are accepted is decided by [`crate::guard`]. A preflight executes nothing, names no agent
//! and is not forwarded. Headers of an upstream that speaks CORS itself are replaced: it knows another
//! address.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};

use crate::answer::closing;
use crate::body::Body;
use crate::headers::sole;
use crate::identity::Identity;
use crate::provenance::misleads;
use crate::state::Shared;

/// Headers of answers that a page may read besides those that it always may.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After");
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");
/// Headers of MCP's own that a page may send. `Mcp-Param-*` and others are allowed as they are asked for.
const SENDABLE: &str = "content-type, accept, authorization, mcp-protocol-version, mcp-session-id, \
     mcp-method, mcp-name, last-event-id";
/// Two hours, the most that Chrome keeps. Each request's Origin is checked all the same.
const KEPT: HeaderValue = HeaderValue::from_static("7200");

/// Bytes of the requested header names that are read: more than any client sends.
const ASKED_BYTES_MAX: usize = 4096;
/// Requested header names that are allowed in one answer.
const ASKED_MAX: usize = 64;

const REQUEST_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-allow-private-network");

/// The origin of the page that sent a request, if it is accepted; `None` for all other clients.
#[must_use]
pub fn page(shared: &Shared, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let guard = &shared.snapshot().rules.guard;
    guard.accepts_origin_of(headers).then(|| origin.clone())
}

/// Lets the page at `origin` read an answer, whatever the upstream says about that.
#[cold]
#[must_use]
pub fn readable(mut response: Response<Body>, origin: HeaderValue) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    // Cookies are no credential of MCP, and a page that sends some anyway must not get an answer for them.
    headers.remove(header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
    // Appended: the upstream's answer may vary with more.
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    response
}

/// The answer to a preflight of an accepted origin, which asks what a page may send; `None` for any other
/// request. `has_body`: there is a body that is not read.
#[must_use]
pub fn preflight(parts: &Parts, has_body: bool, identity: &Identity) -> Option<Response<Body>> {
    let headers = &parts.headers;
    let asks = headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if parts.method != Method::OPTIONS || !asks {
        return None;
    }
    let mut response = Response::new(Body::own(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let answer = response.headers_mut();
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    answer.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        sendable(headers, identity),
    );
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, KEPT);
    // From a public page to this machine or network, for browsers that ask.
    if headers.contains_key(REQUEST_PRIVATE_NETWORK) {
        answer.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
    }
    Some(if has_body {
        closing(response)
    } else {
        response
    })
}

/// Names of the headers that a page may send: MCP's, that of the agent's id, and those that are asked for.
fn sendable(headers: &HeaderMap, identity: &Identity) -> HeaderValue {
    let mut names = SENDABLE.to_owned();
    let mut add = |name: &str| {
        if !names.split(", ").any(|known| known == name) {
            names.push_str(", ");
            names.push_str(name);
        }
    };
    if let Identity::Header(name) = identity {
        add(name.as_str());
    }
    let asked = sole(headers, &header::ACCESS_CONTROL_REQUEST_HEADERS)
        .filter(|asked| asked.len() <= ASKED_BYTES_MAX)
        .unwrap_or_default();
    asked
        .split(',')
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .filter(|name| !is_of_a_proxy(name))
        .take(ASKED_MAX)
        .for_each(|name| add(name.as_str()));
    // Cannot fail: all of them are header names.
    HeaderValue::from_str(&names).unwrap_or(HeaderValue::from_static(SENDABLE))
}

/// Whether a header is one in which proxies, never pages, say where a request comes from.
fn is_of_a_proxy(name: &HeaderName) -> bool {
    let name = name.as_str();
    name == "via" || name.starts_with("x-forwarded-") || misleads(name, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(asked: &str, identity: &Identity) -> String {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.method = Method::OPTIONS;
        for (name, value) in [
            (header::ORIGIN, "https://app.example"),
            (header::ACCESS_CONTROL_REQUEST_METHOD, "POST"),
            (header::ACCESS_CONTROL_REQUEST_HEADERS, asked),
        ] {
            let value = HeaderValue::from_str(value).unwrap();
            parts.headers.insert(name, value);
        }
        let answer = preflight(&parts, false, identity).unwrap();
        let allowed = &answer.headers()[header::ACCESS_CONTROL_ALLOW_HEADERS];
        allowed.to_str().unwrap().to_owned()
    }

    #[test]
    fn what_is_asked_for_is_allowed_within_limits() {
        let fixed = Identity::Fixed("a".to_owned());
        assert_eq!(allowed("", &fixed), SENDABLE);
        assert_eq!(
            allowed(
                "Mcp-Param-Region, x-key,content-type, bad name, ,x-forwarded-for,Via",
                &fixed
            ),
            format!("{SENDABLE}, mcp-param-region, x-key")
        );
        let header = Identity::Header(HeaderName::from_static("x-agent"));
        assert_eq!(allowed("x-agent", &header), format!("{SENDABLE}, x-agent"));
        let many: Vec<String> = (0..100).map(|number| format!("x-{number}")).collect();
        let allowed_of_many = allowed(&many.join(","), &fixed);
        assert!(allowed_of_many.ends_with(", x-63"), "{allowed_of_many}");
        assert_eq!(allowed(&"x".repeat(ASKED_BYTES_MAX + 1), &fixed), SENDABLE);
    }
}
