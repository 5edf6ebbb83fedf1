//! `WWW-Authenticate` of the upstream: its `resource_metadata` (RFC 9728 §5.1) is made to name this proxy.
//!
//! A client compares the metadata with the URL that it called, and would refuse to log in at another one, or
//! would call the upstream instead. All other parts of a challenge stay as they came.

use http::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};

use crate::public_url::PublicUrl;

const NAME: &str = "resource_metadata";

/// Makes the challenges in `headers` name `public`; `endpoint` is the path of the upstream's endpoint.
#[cold]
pub fn point_to(headers: &mut HeaderMap, public: &PublicUrl, endpoint: &str) {
    let challenges: Vec<HeaderValue> = headers.get_all(WWW_AUTHENTICATE).iter().cloned().collect();
    headers.remove(WWW_AUTHENTICATE);
    for challenge in challenges {
        let changed = challenge
            .to_str()
            .ok()
            .map(|text| changed(text, public, endpoint))
            .and_then(|text| HeaderValue::try_from(text).ok());
        headers.append(WWW_AUTHENTICATE, changed.unwrap_or(challenge));
    }
}

fn changed(text: &str, public: &PublicUrl, endpoint: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, value, after)) = parameter(rest) {
        out.push_str(before);
        match public.metadata(value.trim_matches('"'), endpoint) {
            Some(ours) => out.extend(["\"", &ours, "\""]),
            None => out.push_str(value),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The text before the value of the next `resource_metadata`, its value with quotes, and the rest.
fn parameter(text: &str) -> Option<(&str, &str, &str)> {
    let mut at = 0;
    let mut is_start = true;
    while let Some(byte) = text.as_bytes().get(at) {
        if *byte == b'"' {
            at += quoted_length(&text[at..]);
            is_start = false;
            continue;
        }
        if is_start && let Some(value) = value_at(text, at) {
            let rest = &text[value..];
            let length = if rest.starts_with('"') {
                quoted_length(rest)
            } else {
                rest.find([',', ' ', '\t']).unwrap_or(rest.len())
            };
            let (value_text, after) = rest.split_at(length);
            return Some((&text[..value], value_text, after));
        }
        is_start = matches!(byte, b' ' | b'\t' | b',');
        at += 1;
    }
    None
}

/// Offset of the value, if `resource_metadata =` is at this one.
fn value_at(text: &str, at: usize) -> Option<usize> {
    let name = text.get(at..at + NAME.len())?;
    if !name.eq_ignore_ascii_case(NAME) {
        return None;
    }
    let rest = text[at + NAME.len()..].trim_start_matches([' ', '\t']);
    let value = rest.strip_prefix('=')?.trim_start_matches([' ', '\t']);
    Some(text.len() - value.len())
}

/// Length of the quoted string that `text` begins with, quotes included.
fn quoted_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_value_of_the_parameter_is_changed() {
        let public = PublicUrl::new("https://gate.example").unwrap();
        let theirs = "http://up/.well-known/oauth-protected-resource/v1";
        let ours = "\"https://gate.example/.well-known/oauth-protected-resource/mcp\"";
        for (text, expected) in [
            (
                format!("Bearer realm=\"a, b\", resource_metadata=\"{theirs}\", scope=\"x\""),
                format!("Bearer realm=\"a, b\", resource_metadata={ours}, scope=\"x\""),
            ),
            (
                format!("Bearer Resource_Metadata = {theirs},error=x"),
                format!("Bearer Resource_Metadata = {ours},error=x"),
            ),
            (
                format!(
                    "Basic, Bearer resource_metadata=\"{theirs}\", DPoP resource_metadata=\"{theirs}\""
                ),
                format!("Basic, Bearer resource_metadata={ours}, DPoP resource_metadata={ours}"),
            ),
            (
                format!("Bearer resource_metadata=\"{theirs}"),
                format!("Bearer resource_metadata={ours}"),
            ),
        ] {
            assert_eq!(changed(&text, &public, "/v1"), expected);
        }
        for same in [
            "Bearer",
            "",
            "Bearer realm=\"resource_metadata=x \\\" resource_metadata=y\"",
            "Bearer x_resource_metadata=y",
            "Bearer resource_metadata_x=y",
            // Not where this proxy could fetch it.
            "Bearer resource_metadata=\"https://x/\", resource_metadata=y",
        ] {
            assert_eq!(changed(same, &public, "/v1"), same);
        }
    }

    #[test]
    fn each_challenge_is_changed_in_its_place() {
        let public = PublicUrl::new("https://gate.example").unwrap();
        let mut headers = HeaderMap::new();
        for value in [
            "Basic realm=\"x\"",
            "Bearer resource_metadata=\"http://up/.well-known/x\"",
        ] {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(value));
        }
        point_to(&mut headers, &public, "/mcp");
        let values: Vec<_> = headers.get_all(WWW_AUTHENTICATE).iter().collect();
        let ours = "Bearer resource_metadata=\"https://gate.example/.well-known/x\"";
        assert_eq!(values, ["Basic realm=\"x\"", ours]);
    }
}
