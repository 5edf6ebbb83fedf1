//! Checks UTF-8 and nesting depth of a body before it is parsed, since parsers recurse. Does not check
//! whether the body is JSON; the parser does.

use memchr::{memchr2, memchr2_iter};

use crate::codes;
use crate::refusal::Refusal;

/// Limits on one message. The HTTP server limits the size of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Greatest nesting of arrays and objects, where the message itself is level 1.
    pub depth: usize,
}

impl Default for Limits {
    /// 100 levels: below the recursion limits of common JSON parsers (128 in
    /// `serde_json`, about 1000 in Python) and far above real tool arguments.
    fn default() -> Limits {
        Limits { depth: 100 }
    }
}

/// The body as text, if it is UTF-8.
pub(crate) fn text(body: &[u8]) -> Result<&str, Refusal> {
    // RFC 8259 section 8.1 lets a parser ignore the mark or refuse it, so servers differ.
    if body.starts_with(b"\xEF\xBB\xBF") {
        return Err(Refusal::bad_request(
            codes::PARSE_ERROR,
            "the body starts with a byte order mark; send JSON as UTF-8 without one",
            None,
        ));
    }
    std::str::from_utf8(body).map_err(|error| {
        let offset = error.valid_up_to();
        let message = format!("the body is not valid UTF-8 (byte {offset}); send JSON as UTF-8");
        Refusal::bad_request(codes::PARSE_ERROR, message, None)
    })
}

/// Refuses a body that is nested deeper than `limits` allow.
pub(crate) fn check_depth(body: &[u8], limits: Limits) -> Result<(), Refusal> {
    if deeper_than(body, limits.depth) {
        let depth = limits.depth;
        let message = format!("the body is nested deeper than {depth} levels; flatten it");
        return Err(Refusal::bad_request(codes::INVALID_REQUEST, message, None));
    }
    Ok(())
}

/// Whether arrays and objects nest deeper than `limit`. For text that is not JSON the result holds up
/// to the first syntax error, where parsing ends.
fn deeper_than(body: &[u8], limit: usize) -> bool {
    // A search is several times faster than tracking strings, and a body with at most `limit` opening
    // brackets cannot nest deeper.
    if memchr2_iter(b'{', b'[', body).nth(limit).is_none() {
        return false;
    }
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => at = after_string(body, at),
            b'{' | b'[' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            _ => at += 1,
        }
    }
    false
}

/// The offset after the string that opens at `quote`, or the end of the body.
pub(crate) fn after_string(body: &[u8], quote: usize) -> usize {
    let mut at = quote + 1;
    while let Some(found) = body.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if body[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    body.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_strings_only() {
        let cases: &[(&str, usize)] = &[
            ("1", 0),
            ("[]", 1),
            (r#"{"a":[{}]}"#, 3),
            (r#"["[[[[[[[["]"#, 1),
            (r#"["\"[[[["]"#, 1),
            (r#"["\\",[[]]]"#, 3),
            ("[[],[],[[]]]", 3),
        ];
        for (text, depth) in cases {
            assert!(!deeper_than(text.as_bytes(), *depth), "{text}");
            if *depth > 0 {
                assert!(deeper_than(text.as_bytes(), depth - 1), "{text}");
            }
        }
    }

    #[test]
    fn unfinished_strings_end_the_scan() {
        for text in ["\"", "\"\\", "[\"\\\"", "[[[\"[["] {
            assert!(!deeper_than(text.as_bytes(), 3), "{text}");
        }
    }
}
