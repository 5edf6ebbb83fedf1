//! Header fields: which of them cross the proxy, and the values of those that decisions depend on.
//!
//! End-to-end fields are passed on unchanged, known or not. Only hop-by-hop fields are dropped, names that a
//! server could mistake for a governed field, and those with which a client could lie about its request.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use thoughtgate_mcp::{HeaderField, Headers};

use crate::provenance::misleads;
use crate::public_url::PublicUrl;

/// The session of a request, up to 2025-11-25.
pub static SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// Address of the client. One that the client sends is replaced: nothing shows that it is true.
pub static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Host by which the client called.
pub static FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Fields that belong to one connection (RFC 9110 §7.6.1) and are never forwarded.
static HOP_BY_HOP: [HeaderName; 9] = [
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

/// End-to-end fields that `Connection` cannot remove, besides those that begin with
/// [`GOVERNED_PREFIXES`]: decisions depend on them, in front of the proxy, in it or in the upstream.
const GOVERNED: [&str; 18] = [
    "authorization",
    "cache-control",
    "cookie",
    "date",
    "etag",
    "forwarded",
    "host",
    "last-event-id",
    "location",
    "origin",
    "referer",
    "retry-after",
    "set-cookie",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
    "x-real-ip",
];
const GOVERNED_PREFIXES: [&str; 6] = [
    "accept",
    "content-",
    "mcp-",
    "sec-",
    "trace",
    "x-forwarded-",
];

/// Removes the hop-by-hop fields of a request, fields that an upstream could mistake for another one, and those
/// that could mislead it. `identity` is the field that names the agent, if there is one; `is_trusted`: it comes
/// from a trusted proxy.
pub fn strip_request(headers: &mut HeaderMap, identity: Option<&HeaderName>, is_trusted: bool) {
    let misleads =
        |name: &HeaderName| misleads(name.as_str(), is_trusted) && identity != Some(name);
    // One pass over the few fields that are present: most requests have nothing to remove.
    let is_removed = |name: &HeaderName| {
        is_hop_by_hop(name) || misleads(name) || is_twin(name.as_str(), identity)
    };
    if headers.keys().any(is_removed) {
        remove(headers, hop_by_hop(headers, identity));
        let is_left = |name: &&HeaderName| misleads(name) || is_twin(name.as_str(), identity);
        let left = headers.keys().filter(is_left).cloned().collect();
        remove(headers, left);
    }
}

/// Removes the hop-by-hop fields of a response.
pub fn strip_response(headers: &mut HeaderMap) {
    if headers.keys().any(is_hop_by_hop) {
        remove(headers, hop_by_hop(headers, None));
    }
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    // First letter and length tell nearly all others apart, without a comparison with each name.
    let text = name.as_str().as_bytes();
    let is_likely = matches!(
        (text.first(), text.len()),
        (Some(b'c' | b'k'), 10)
            | (Some(b'p'), 16 | 18 | 19)
            | (Some(b't'), 2 | 7 | 17)
            | (Some(b'u'), 7)
    );
    is_likely && HOP_BY_HOP.contains(name)
}

/// Names of the hop-by-hop fields, and of those that `Connection` names unless they are governed.
#[cold]
fn hop_by_hop(headers: &HeaderMap, identity: Option<&HeaderName>) -> Vec<HeaderName> {
    let named = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        // Otherwise a client could have a field dropped that a decision was based on.
        .filter(|name| !is_governed(name.as_str(), identity));
    let present = headers.keys().filter(|name| is_hop_by_hop(name)).cloned();
    named.chain(present).collect()
}

#[cold]
fn remove(headers: &mut HeaderMap, names: Vec<HeaderName>) {
    for name in names {
        headers.remove(name);
    }
}

fn is_governed(name: &str, identity: Option<&HeaderName>) -> bool {
    GOVERNED.contains(&name)
        || GOVERNED_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
        || identity.is_some_and(|identity| identity == name)
}

/// Whether a CGI or WSGI server, where punctuation in a name becomes `_`, would take the field for another
/// one that is governed or hop-by-hop.
fn is_twin(name: &str, identity: Option<&HeaderName>) -> bool {
    // The usual case: names of letters, digits and dashes stay what they are on every server.
    if is_plain(name) && identity.is_none_or(|identity| is_plain(identity.as_str())) {
        return false;
    }
    let dashed = dashed(name);
    let is = |other: &str| name != other && dashed == self::dashed(other);
    // Both names are compared with dashes: that of the agent may have other punctuation too.
    identity.is_some_and(|identity| is(identity.as_str()))
        || dashed != name
            && (is_governed(&dashed, None)
                || misleads(&dashed, false)
                || HOP_BY_HOP.iter().any(|field| *field == *dashed))
}

fn is_plain(name: &str) -> bool {
    // Without an early end: a jump per byte costs more than the rest of a short name.
    name.bytes()
        .fold(true, |plain, byte| plain & PLAIN[usize::from(byte)])
}

/// Letters, digits and the dash. A table, since each byte of each name of a request is looked up.
static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0_u8;
    while byte.is_ascii() {
        plain[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'-';
        byte += 1;
    }
    plain
};

fn dashed(name: &str) -> String {
    let dash = |char: char| {
        if char.is_ascii_alphanumeric() {
            char
        } else {
            '-'
        }
    };
    name.chars().map(dash).collect()
}

/// The value of a field that appears exactly once and is UTF-8; `None` otherwise.
pub fn sole<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    match field(headers, name) {
        HeaderField::One(value) => std::str::from_utf8(value).ok(),
        HeaderField::Absent | HeaderField::Many => None,
    }
}

/// The fields that repeat parts of the body, to be checked against it.
pub fn governed(headers: &HeaderMap) -> Headers<'_> {
    let mut found = Headers {
        protocol_version: HeaderField::Absent,
        method: HeaderField::Absent,
        name: HeaderField::Absent,
    };
    // One pass: to look up three names costs several times as much.
    for (name, value) in headers {
        let field = match name.as_str() {
            "mcp-protocol-version" => &mut found.protocol_version,
            "mcp-method" => &mut found.method,
            "mcp-name" => &mut found.name,
            _ => continue,
        };
        *field = match field {
            HeaderField::Absent => HeaderField::One(value.as_bytes()),
            HeaderField::One(_) | HeaderField::Many => HeaderField::Many,
        };
    }
    found
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
    // A repeated field counts as another type: readers differ in which of them they take.
    let HeaderField::One(value) = field(headers, &header::CONTENT_TYPE) else {
        return false;
    };
    // The usual spelling needs no parsing.
    if value == essence.as_bytes() {
        return true;
    }
    let Ok(value) = std::str::from_utf8(value) else {
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
        // No other parameter changes how the bytes are read.
        _ => true,
    })
}

/// Puts the upstream's own `Host` in place of the client's, by which it called this proxy and which the
/// upstream finds in the usual fields.
///
/// Returns the client's. `public` is the address that clients use, if it is known to be another; `is_trusted`:
/// the request comes from a trusted proxy, which may have said by which it was called.
pub fn address_to(
    headers: &mut HeaderMap,
    host: HeaderValue,
    public: Option<&PublicUrl>,
    is_trusted: bool,
) -> Option<HeaderValue> {
    let called = headers.insert(header::HOST, host);
    if is_trusted && public.is_none() {
        let proto = headers.entry(&FORWARDED_PROTO);
        proto.or_insert(HeaderValue::from_static("http"));
        if let Some(called) = &called {
            headers.entry(&FORWARDED_HOST).or_insert(called.clone());
        }
        return called;
    }
    let (proto, host) = match public {
        None => (HeaderValue::from_static("http"), called.clone()),
        Some(public) => {
            let (proto, host) = public.forwarded();
            (proto, Some(host))
        }
    };
    headers.insert(&FORWARDED_PROTO, proto);
    match host {
        Some(host) => headers.insert(&FORWARDED_HOST, host),
        None => headers.remove(&FORWARDED_HOST),
    };
    called
}

/// Removes the headers that describe the exact bytes of a body, because the body is changed.
pub fn changed(headers: &mut HeaderMap) {
    for name in [
        "accept-ranges",
        "content-digest",
        "content-md5",
        "content-range",
        "digest",
        "etag",
        "repr-digest",
    ] {
        headers.remove(name);
    }
}

/// Asks for an answer without an encoding, which the proxy can read. Without the field a server may
/// choose any encoding (RFC 9110 §12.5.3).
pub fn ask_for_identity(headers: &mut HeaderMap) {
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
}

/// Whether the body has an encoding: the proxy, which does not decode it, would read other bytes than
/// the other side.
pub fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Whether the client sends no other request on the connection.
pub fn is_last(headers: &HeaderMap) -> bool {
    sole(headers, &header::CONNECTION).is_some_and(|value| value.eq_ignore_ascii_case("close"))
}

/// Whether the client accepts a stream of events as the answer.
pub fn takes_stream(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.to_ascii_lowercase().contains("text/event-stream"))
}

#[cfg(test)]
mod tests;
