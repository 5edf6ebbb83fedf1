//! Checks that the MCP headers of a request agree with its body (MCP 2026-07-28).
//!
//! A server or proxy may decide by the headers alone, so they must not differ from the body. Legacy
//! requests have no such headers.

use crate::codes;
use crate::envelope::{Envelope, Kind};
use crate::refusal::Refusal;
use crate::text::JsonText;

/// The first revision without sessions.
const MODERN_VERSION: &str = "2026-07-28";

/// The two generations of MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// Up to 2025-11-25: `initialize`, sessions.
    Legacy,
    /// From 2026-07-28: stateless, each request is complete.
    Modern,
}

/// A header that must appear at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderField<'a> {
    /// The request does not have the header.
    Absent,
    /// The value.
    One(&'a [u8]),
    /// The header appears more than once.
    Many,
}

/// The headers that repeat values of the body.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    /// `MCP-Protocol-Version`.
    pub protocol_version: HeaderField<'a>,
    /// `Mcp-Method`.
    pub method: HeaderField<'a>,
    /// `Mcp-Name`.
    pub name: HeaderField<'a>,
}

/// Returns the request's era. Refuses a modern request whose headers do not agree with its body.
pub fn check_headers(envelope: &Envelope<'_>, headers: &Headers<'_>) -> Result<Era, Refusal> {
    let mismatch = |message: String| {
        Refusal::bad_request(
            codes::HEADER_MISMATCH,
            message,
            envelope.id.map(JsonText::raw),
        )
    };
    let in_header = match headers.protocol_version {
        HeaderField::Absent => None,
        // Text that is not UTF-8 becomes empty, which is no modern revision.
        HeaderField::One(value) => Some(std::str::from_utf8(value).unwrap_or_default()),
        HeaderField::Many => {
            return Err(mismatch(
                "MCP-Protocol-Version appears more than once".to_owned(),
            ));
        }
    };
    let in_body = envelope.params.protocol_version.as_deref();
    if !in_header.is_some_and(is_modern) && !in_body.is_some_and(is_modern) {
        return Ok(Era::Legacy);
    }
    let Some(in_header) = in_header else {
        return Err(mismatch(
            "the MCP-Protocol-Version header is missing".to_owned(),
        ));
    };
    if in_body.is_some_and(|version| version != in_header) {
        return Err(mismatch(
            "MCP-Protocol-Version differs from the version in params._meta".to_owned(),
        ));
    }
    // A response has no method and no name to repeat.
    if envelope.kind == Kind::Response {
        return Ok(Era::Modern);
    }
    agrees(headers.method, "Mcp-Method", &envelope.method).map_err(mismatch)?;
    if let Some((place, name)) = named(envelope) {
        agrees(headers.name, "Mcp-Name", name)
            .map_err(|message| mismatch(format!("{message} ({place})")))?;
    }
    Ok(Era::Modern)
}

/// Revisions are dates, so they can be compared as text.
fn is_modern(version: &str) -> bool {
    // A suffix of the date (`-draft`) does not make a revision older.
    let date = version.get(..MODERN_VERSION.len());
    // The dash is checked, since letters sort after digits: `draft-2025` would be the later text.
    date.is_some_and(|date| date.as_bytes()[4] == b'-' && date >= MODERN_VERSION)
}

/// The place and the value that `Mcp-Name` repeats; `None` for methods without this header.
fn named<'e>(envelope: &'e Envelope<'_>) -> Option<(&'static str, &'e str)> {
    let params = &envelope.params;
    let (place, name) = match envelope.method.as_ref() {
        "tools/call" | "prompts/get" => ("params.name", &params.name),
        "resources/read" => ("params.uri", &params.uri),
        "tasks/get" | "tasks/update" | "tasks/cancel" => ("params.taskId", &params.task_id),
        _ => return None,
    };
    Some((place, name.as_deref()?))
}

fn agrees(field: HeaderField<'_>, header: &str, expected: &str) -> Result<(), String> {
    match field {
        HeaderField::Absent => Err(format!("the {header} header is missing")),
        HeaderField::Many => Err(format!("{header} appears more than once")),
        HeaderField::One(value) if decode(value).as_deref() == Some(expected.as_bytes()) => Ok(()),
        HeaderField::One(_) => Err(format!("{header} differs from the body")),
    }
}

/// A header's value, decoded: clients send text that is not safe ASCII as `=?base64?…?=`.
fn decode(value: &[u8]) -> Option<std::borrow::Cow<'_, [u8]>> {
    let value = value.trim_ascii();
    match value
        .strip_prefix(b"=?base64?")
        .and_then(|rest| rest.strip_suffix(b"?="))
    {
        None => Some(value.into()),
        Some(encoded) => {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD
                .decode(encoded)
                .ok()
                .map(Into::into)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, parse};

    const CALL: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"é","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    const OLD: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x"}}"#;

    fn field(values: &'static [&'static str]) -> HeaderField<'static> {
        match values {
            [] => HeaderField::Absent,
            [value] => HeaderField::One(value.as_bytes()),
            _ => HeaderField::Many,
        }
    }

    fn check(
        body: &str,
        version: &'static [&'static str],
        method: &'static [&'static str],
        name: &'static [&'static str],
    ) -> Result<Era, String> {
        let envelope = parse(body.as_bytes(), &Limits::default()).unwrap();
        let headers = Headers {
            protocol_version: field(version),
            method: field(method),
            name: field(name),
        };
        check_headers(&envelope, &headers).map_err(|refusal| {
            assert_eq!(
                (refusal.status, refusal.code),
                (400, codes::HEADER_MISMATCH)
            );
            assert_eq!(refusal.id.as_ref().map(|id| id.get()), Some("7"));
            refusal.message.into_owned()
        })
    }

    #[test]
    fn the_era_is_told_by_header_or_body() {
        assert_eq!(check(OLD, &[], &[], &[]), Ok(Era::Legacy));
        assert_eq!(
            check(OLD, &["2025-11-25"], &["other"], &["other"]),
            Ok(Era::Legacy)
        );
        assert_eq!(check(OLD, &["nonsense"], &[], &[]), Ok(Era::Legacy));
        assert_eq!(
            check(CALL, &["2026-07-28"], &["tools/call"], &["=?base64?w6k=?="]),
            Ok(Era::Modern)
        );
        assert_eq!(
            check(CALL, &["2026-07-28"], &["tools/call"], &["é"]),
            Ok(Era::Modern)
        );
        assert_eq!(
            check(OLD, &["2027-01-01-draft"], &["tools/call"], &["x"]),
            Ok(Era::Modern)
        );
    }

    #[test]
    fn a_modern_request_whose_headers_differ_is_refused() {
        for (version, method, name, expected) in [
            (
                &[][..],
                &["tools/call"][..],
                &["é"][..],
                "the MCP-Protocol-Version header is missing",
            ),
            (
                &["2025-11-25"],
                &["tools/call"],
                &["é"],
                "MCP-Protocol-Version differs",
            ),
            (
                &["2026-07-28", "2026-07-28"],
                &["tools/call"],
                &["é"],
                "MCP-Protocol-Version appears more than once",
            ),
            (
                &["2026-07-28"],
                &[],
                &["é"],
                "the Mcp-Method header is missing",
            ),
            (
                &["2026-07-28"],
                &["tools/Call"],
                &["é"],
                "Mcp-Method differs",
            ),
            (
                &["2026-07-28"],
                &["tools/call", "ping"],
                &["é"],
                "Mcp-Method appears more than once",
            ),
            (
                &["2026-07-28"],
                &["tools/call"],
                &[],
                "the Mcp-Name header is missing",
            ),
            (&["2026-07-28"], &["tools/call"], &["e"], "Mcp-Name differs"),
            (
                &["2026-07-28"],
                &["tools/call"],
                &["=?base64?***?="],
                "Mcp-Name differs",
            ),
            (
                &["2026-07-28"],
                &["tools/call"],
                &["é", "é"],
                "Mcp-Name appears more than once",
            ),
        ] {
            let refused = check(CALL, version, method, name).unwrap_err();
            assert!(refused.starts_with(expected), "{refused}\n{expected}");
        }
    }
}
