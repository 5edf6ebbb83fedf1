//! Which headers cross the proxy, and what the ones that govern say.
//!
//! Everything end-to-end is carried as it came, known or not; only hop-by-hop fields stop here.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use thoughtgate_mcp::{HeaderField, Headers};

/// The protocol revision of a request.
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
const MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");

/// Fields that belong to one connection (RFC 9110 §7.6.1) and are never forwarded.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Takes out what belongs to one connection, the fields that `Connection` names included.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok());
    // Going through the few fields that are there costs less than looking for each that might be.
    let present = headers
        .keys()
        .filter(|name| HOP_BY_HOP.contains(name))
        .cloned();
    let stopped: Vec<HeaderName> = named.chain(present).collect();
    for name in stopped {
        headers.remove(name);
    }
}

/// The value of a field that must stand at most once and be visible ASCII.
pub fn sole<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    match field(headers, name) {
        HeaderField::One(value) => std::str::from_utf8(value).ok(),
        HeaderField::Absent | HeaderField::Many => None,
    }
}

/// The fields that repeat what the body says, for the check of one against the other.
pub fn governed(headers: &HeaderMap) -> Headers<'_> {
    Headers {
        protocol_version: field(headers, &PROTOCOL_VERSION),
        method: field(headers, &MCP_METHOD),
        name: field(headers, &MCP_NAME),
    }
}

fn field<'a>(headers: &'a HeaderMap, name: &HeaderName) -> HeaderField<'a> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => HeaderField::Absent,
        (Some(value), None) => HeaderField::One(value.as_bytes()),
        (Some(_), Some(_)) => HeaderField::Many,
    }
}

/// Whether a `Content-Type` is `essence`, in UTF-8 or without a charset.
pub fn is_media_type(headers: &HeaderMap, essence: &str) -> bool {
    let Some(value) = sole(headers, &header::CONTENT_TYPE) else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let same = parts
        .next()
        .is_some_and(|found| found.eq_ignore_ascii_case(essence));
    same && parts.all(|parameter| match parameter.split_once('=') {
        Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => charset
            .trim()
            .trim_matches('"')
            .eq_ignore_ascii_case("utf-8"),
        _ => true,
    })
}

/// Asks for an answer that can be read here. Without the field a server may choose any encoding
/// (RFC 9110 §12.5.3).
pub fn ask_for_identity(headers: &mut HeaderMap) {
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
}

/// Whether the body is encoded, so that what we would read is not what the other side reads.
pub fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn hop_by_hop_fields_and_those_that_connection_names_are_dropped() {
        let mut headers = map(&[
            ("connection", "keep-alive, X-Hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("mcp-session-id", "s"),
            ("authorization", "Bearer t"),
            ("mcp-param-region", "eu"),
            ("last-event-id", "7"),
        ]);
        strip_hop_by_hop(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(
            left,
            [
                "authorization",
                "last-event-id",
                "mcp-param-region",
                "mcp-session-id"
            ]
        );
    }

    #[test]
    fn media_types_are_compared_by_essence_and_charset() {
        for good in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
        ] {
            assert!(
                is_media_type(&map(&[("content-type", good)]), "application/json"),
                "{good}"
            );
        }
        for bad in [
            "text/plain",
            "application/json; charset=utf-16",
            "application/jsonp",
            "",
        ] {
            assert!(
                !is_media_type(&map(&[("content-type", bad)]), "application/json"),
                "{bad}"
            );
        }
        let twice = map(&[
            ("content-type", "application/json"),
            ("content-type", "text/plain"),
        ]);
        assert!(!is_media_type(&twice, "application/json"));
    }

    #[test]
    fn only_identity_is_no_encoding() {
        assert!(!is_encoded(&map(&[])));
        assert!(!is_encoded(&map(&[("content-encoding", "identity")])));
        assert!(is_encoded(&map(&[("content-encoding", "gzip")])));
        assert!(is_encoded(&map(&[
            ("content-encoding", "identity"),
            ("content-encoding", "br")
        ])));
    }
}
