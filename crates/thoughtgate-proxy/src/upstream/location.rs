//! The target of a redirect, and whether the same request may be sent to it.
//!
//! Sends nothing. Only a path of the upstream's own origin is ever followed, so that a redirect can lead no
//! request, and no credential in it, to another server.

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Uri};

use super::error::UpstreamError;
use super::redirect::{REDIRECTS_MAX, Redirect};
use super::target::Target;
use crate::headers::FORWARDED_HOST;

/// The path to which a request for this URI with these headers, which has followed `followed` redirects, may be
/// sent again, as `redirect` asks.
///
/// # Errors
/// When it may not: [`UpstreamError::Redirected`], or after too many [`UpstreamError::Circular`].
pub fn follow(
    redirect: Box<Redirect>,
    followed: usize,
    target: &Target,
    (from, headers): (&Uri, &HeaderMap),
) -> Result<PathAndQuery, UpstreamError> {
    match place(&redirect, target, from, headers) {
        None => Err(UpstreamError::Redirected(redirect)),
        Some(_) if followed >= REDIRECTS_MAX => Err(UpstreamError::Circular(redirect)),
        Some(path) => Ok(path),
    }
}

fn place(
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
        path => without_dots(path).parse().ok(),
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

/// The path of an address without a host, seen from `from` (RFC 3986 §5.2).
fn relative(from: &Uri, location: &str) -> Option<PathAndQuery> {
    let path = location.split('?').next().unwrap_or_default();
    // `mailto:x` is an address of another scheme.
    let first = path.split('/').next().unwrap_or_default();
    if location.is_empty() || first.contains(':') {
        return None;
    }
    if location.starts_with('/') {
        return without_dots(location).parse().ok();
    }
    let folder = if path.is_empty() {
        from.path()
    } else {
        &from.path()[..from.path().rfind('/').map_or(0, |at| at + 1)]
    };
    without_dots(&format!("{folder}{location}")).parse().ok()
}

/// A path, with its query, without the segments `.` and `..` (RFC 3986 §5.2.4).
fn without_dots(location: &str) -> String {
    let (path, query) = location.split_at(location.find('?').unwrap_or(location.len()));
    let mut kept = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            name => kept.push(name),
        }
        // What they lead to is a folder.
        if matches!(segment, "." | "..") && segments.peek().is_none() {
            kept.push("");
        }
    }
    format!("/{}{query}", kept.join("/"))
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
        let path = place(&redirect, &target, &from, &headers);
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
            ("../x", "/a/x"),
            ("../../../x?y=../z", "/x?y=../z"),
            ("/../x/./y/..", "/x/"),
            (".", "/a/mcp/"),
            ("./x:y", "/a/mcp/x:y"),
            ("http://up.test:/a/../b", "/b"),
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
            "x:y/..",
            "http://up.test:99999/a/mcp",
            "http:\\\\other",
        ] {
            assert_eq!(path(307, location), None, "{location}");
        }
    }
}
