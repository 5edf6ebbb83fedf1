//! The target of a redirect, and whether the same request may be sent to it.
//!
//! Sends nothing. Only a path of the upstream's own origin is ever followed, so that a redirect can lead no
//! request, and no credential in it, to another server.

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Uri};

use super::redirect::Redirect;
use super::target::Target;
use crate::headers::FORWARDED_HOST;

/// The path to which a request for `from` with these headers may be sent again, as `redirect` asks.
#[must_use]
pub fn follow(
    redirect: &Redirect,
    target: &Target,
    from: &Uri,
    headers: &HeaderMap,
) -> Option<PathAndQuery> {
    if !redirect.repeats() {
        return None;
    }
    let location = redirect.location.as_deref()?;
    let (location, _fragment) = location.split_once('#').unwrap_or((location, ""));
    let Some((scheme, rest)) = absolute(location) else {
        return relative(from, location);
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let is_same = match scheme {
        Some(scheme) => target.is_origin(scheme, authority) || is_forwarded(headers, authority),
        None => target.is_origin(target.scheme().as_str(), authority),
    };
    if !is_same {
        return None;
    }
    match path {
        "" => Some(PathAndQuery::from_static("/")),
        path if path.starts_with('?') => format!("/{path}").parse().ok(),
        path => path.parse().ok(),
    }
}

/// Scheme, if there is one, and the rest of an address that names a host.
fn absolute(location: &str) -> Option<(Option<&str>, &str)> {
    if let Some(rest) = location.strip_prefix("//") {
        return Some((None, rest));
    }
    let (scheme, rest) = location.split_once("://")?;
    let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_scheme.then_some((Some(scheme), rest))
}

/// The path of an address without a host, seen from `from` (RFC 3986 §5.2, without dot segments).
fn relative(from: &Uri, location: &str) -> Option<PathAndQuery> {
    let path = location.split('?').next().unwrap_or_default();
    // `mailto:x` is an address of another scheme, and what `..` leads to depends on the reader.
    let is_unclear = |segment: &str| segment.contains(':') || segment == "." || segment == "..";
    if location.is_empty() || path.split('/').any(is_unclear) {
        return None;
    }
    if location.starts_with('/') {
        return location.parse().ok();
    }
    let folder = if path.is_empty() {
        from.path()
    } else {
        &from.path()[..from.path().rfind('/').map_or(0, |at| at + 1)]
    };
    format!("{folder}{location}").parse().ok()
}

/// Whether a server that builds its addresses from `X-Forwarded-Host` means itself by this one.
fn is_forwarded(headers: &HeaderMap, authority: &str) -> bool {
    let forwarded = headers.get(&FORWARDED_HOST).map(HeaderValue::as_bytes);
    forwarded.is_some_and(|host| host.eq_ignore_ascii_case(authority.as_bytes()))
}

#[cfg(test)]
mod tests {
    use http::{Response, header};

    use super::*;

    fn path(status: u16, location: &str) -> Option<String> {
        let target = Target::new(&"http://up.test:80/a/mcp/".parse().unwrap()).unwrap();
        let from = "/a/mcp/".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-host", HeaderValue::from_static("gate:8080"));
        let response = Response::builder().status(status);
        let response = response.header(header::LOCATION, location.as_bytes());
        let redirect = Redirect::of(&response.body(()).unwrap());
        let path = follow(&redirect, &target, &from, &headers);
        path.map(|path| path.to_string())
    }

    #[test]
    fn only_the_same_request_within_the_origin_is_followed() {
        for (location, expected) in [
            ("http://up.test/a/mcp", "/a/mcp"),
            ("HTTP://UP.test:80/a/mcp?b=1#c", "/a/mcp?b=1"),
            ("//up.test/x", "/x"),
            ("http://up.test", "/"),
            ("http://up.test?a", "/?a"),
            ("/x?y=http://z", "/x?y=http://z"),
            ("x", "/a/mcp/x"),
            ("?x=1", "/a/mcp/?x=1"),
            // A server behind a proxy names itself by the address of the proxy.
            ("http://gate:8080/a/mcp", "/a/mcp"),
        ] {
            for status in [307, 308] {
                assert_eq!(
                    path(status, location).as_deref(),
                    Some(expected),
                    "{location}"
                );
            }
            for status in [300, 301, 302, 303, 305] {
                assert_eq!(path(status, location), None, "{status} {location}");
            }
        }
        for location in [
            "",
            "https://up.test/a/mcp",
            "http://up.test:81/a/mcp",
            "http://up.test@other/a/mcp",
            "http://user@up.test/a/mcp",
            "http://other/a/mcp",
            "//other/a/mcp",
            "//gate:8080/a/mcp",
            "mailto:x",
            "../x",
            "/../x",
            "http:\\\\other",
        ] {
            assert_eq!(path(307, location), None, "{location}");
        }
    }
}
