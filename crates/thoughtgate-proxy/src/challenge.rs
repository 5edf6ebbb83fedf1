//! `WWW-Authenticate` of the upstream: its `resource_metadata` (RFC 9728 §5.1) is made to name this proxy.
//!
//! A client compares the metadata with the URL that it called, and would refuse to log in at another one, or
//! would call the upstream instead. All other parts of a challenge stay as they came.

use http::Uri;
use http::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};

use crate::metadata_path::{MetadataPath, is_plain};
use crate::public_url::{PublicUrl, WELL_KNOWN};
use crate::upstream::Target;

const NAME: &str = "resource_metadata";

/// Makes the challenges of `upstream` in `headers` name `public`. Takes note of where they have the metadata.
#[cold]
pub fn point_to(
    headers: &mut HeaderMap,
    public: &PublicUrl,
    upstream: &Target,
    learnt: &MetadataPath,
) {
    let challenges: Vec<HeaderValue> = headers.get_all(WWW_AUTHENTICATE).iter().cloned().collect();
    headers.remove(WWW_AUTHENTICATE);
    for challenge in challenges {
        // A character for each byte: a realm may be in any encoding.
        let text: String = challenge
            .as_bytes()
            .iter()
            .copied()
            .map(char::from)
            .collect();
        let changed = changed(&text, public, upstream, learnt);
        let bytes: Option<Vec<u8>> = (changed.chars().map(u8::try_from))
            .collect::<Result<_, _>>()
            .ok();
        let changed = bytes.and_then(|bytes| HeaderValue::try_from(bytes).ok());
        headers.append(WWW_AUTHENTICATE, changed.unwrap_or(challenge));
    }
}

fn changed(text: &str, public: &PublicUrl, upstream: &Target, learnt: &MetadataPath) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, value, after)) = parameter(rest) {
        out.push_str(before);
        match place(value.trim_matches('"'), public, upstream) {
            Some((ours, path)) => {
                out.extend(["\"", &ours, "\""]);
                learnt.set(path);
            }
            None => out.push_str(value),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The URL at which this proxy has the metadata that the upstream has at `theirs`, and the upstream's path of them
/// if it is not the usual one. `None` for metadata that are not the upstream's own.
fn place(theirs: &str, public: &PublicUrl, upstream: &Target) -> Option<(String, Option<String>)> {
    let endpoint = upstream.path(None);
    if let Some(usual) = public.metadata(theirs, endpoint.path()) {
        return Some((usual, None));
    }
    let theirs: Uri = theirs.parse().ok()?;
    let path = theirs.path();
    // A server behind a proxy may know itself by another name, but only one server has that folder.
    let is_own = path.starts_with(WELL_KNOWN)
        || match theirs.authority() {
            Some(authority) => {
                upstream.is_origin(theirs.scheme_str()?, authority.as_str())
                    || public.is_at(authority.as_str())
            }
            // RFC 9728 asks for a whole URL, but some servers send a path.
            None => true,
        };
    // A GET of the endpoint itself would be a request that nobody has decided.
    let bare = |path: &str| path.trim_matches('/').to_ascii_lowercase();
    let is_fetched = theirs.query().is_none() && bare(path) != bare(endpoint.path());
    let is_fetched = is_fetched && !bare(path).is_empty() && is_plain(path);
    (is_own && is_fetched).then(|| (public.resource_metadata(), Some(path.to_owned())))
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

    fn changed_of(text: &str, upstream: &str) -> (String, Option<String>) {
        let public = PublicUrl::new("https://gate.example").unwrap();
        let upstream = Target::new(&upstream.parse().unwrap()).unwrap();
        let learnt = MetadataPath::default();
        let changed = changed(text, &public, &upstream, &learnt);
        (changed, learnt.get())
    }

    #[test]
    fn metadata_elsewhere_are_named_at_the_usual_place() {
        let ours = "Bearer resource_metadata=\"https://gate.example/.well-known/oauth-protected-resource/mcp\"";
        for (theirs, path) in [
            ("http://up/oauth/prm.json", "/oauth/prm.json"),
            ("http://up:80/oauth/prm.json", "/oauth/prm.json"),
            // It builds its addresses from `X-Forwarded-Host`.
            ("https://gate.example/oauth/prm.json", "/oauth/prm.json"),
            (
                "https://mcp.example/.well-known/other",
                "/.well-known/other",
            ),
            ("/oauth/prm.json", "/oauth/prm.json"),
        ] {
            let text = format!("Bearer resource_metadata=\"{theirs}\"");
            let (changed, learnt) = changed_of(&text, "http://up/v1/mcp");
            assert_eq!((&*changed, learnt.as_deref()), (ours, Some(path)));
        }
        for theirs in [
            "https://as.example/prm.json",
            "http://up:81/prm.json",
            "http://up/prm.json?tenant=1",
            "http://up/a/../prm.json",
            // No way for an undecided GET to the endpoint.
            "http://up/v1/mcp",
            "http://up/V1/mcp/",
            "http://up",
            "/v1/mcp",
            "/",
            "//as.example/prm.json",
            "prm.json",
        ] {
            let text = format!("Bearer resource_metadata=\"{theirs}\"");
            assert_eq!(changed_of(&text, "http://up/v1/mcp"), (text, None));
        }
    }

    #[test]
    fn only_the_value_of_the_parameter_is_changed() {
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
            assert_eq!(changed_of(&text, "http://up/v1").0, expected);
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
            assert_eq!(changed_of(same, "http://up/v1").0, same);
        }
    }

    #[test]
    fn each_challenge_is_changed_in_its_place() {
        let public = PublicUrl::new("https://gate.example").unwrap();
        let mut headers = HeaderMap::new();
        let theirs = "resource_metadata=\"http://up/.well-known/oauth-protected-resource\"";
        for value in [
            &b"Basic realm=\"x\""[..],
            format!("Bearer {theirs}").as_bytes(),
            // Of Latin-1 and of UTF-8.
            &[b"Bearer realm=\"Z\xfcrich \xc3\xbc\", ", theirs.as_bytes()].concat(),
        ] {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(value).unwrap());
        }
        let upstream = Target::new(&"http://up/mcp".parse().unwrap()).unwrap();
        point_to(&mut headers, &public, &upstream, &MetadataPath::default());
        let values: Vec<_> = headers.get_all(WWW_AUTHENTICATE).iter().collect();
        let ours =
            "resource_metadata=\"https://gate.example/.well-known/oauth-protected-resource\"";
        assert_eq!(
            values[..2],
            ["Basic realm=\"x\"", &*format!("Bearer {ours}")]
        );
        let named = [b"Bearer realm=\"Z\xfcrich \xc3\xbc\", ", ours.as_bytes()].concat();
        assert_eq!(values[2].as_bytes(), named);
    }
}
