//! Texts that are paths: a policy on `/srv/*` must mean what is in `/srv`.
//!
//! `like` compares letters, and `/srv/../etc` begins with `/srv/`. So a text that policies compare with
//! a path is refused where a server could read it as another path than it is written. Links are left
//! to the server: only it can see them.

use unicode_normalization::UnicodeNormalization;

/// Whether a policy's text, or the letters of a pattern before its first `*`, is a path.
pub fn is_path(text: &str) -> bool {
    text.starts_with(['/', '~'])
        || text
            .get(..SCHEME.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(SCHEME))
}

const SCHEME: &str = "file:";

/// What makes `text` a path with another spelling, if anything does.
pub fn ambiguity(text: &str) -> Option<&'static str> {
    let bytes = text.as_bytes();
    if bytes.iter().any(u8::is_ascii_control) {
        return Some("a control character");
    }
    if bytes.contains(&b'\\') {
        return Some("a `\\`");
    }
    if text
        .match_indices('%')
        .any(|(at, _)| is_encoded(&bytes[at + 1..]))
    {
        return Some("percent-encoding");
    }
    let path = without_scheme(text);
    if path.contains("//") {
        return Some("`//`");
    }
    // A server that normalises text reads `．．` as `..`.
    let dots = if text.is_ascii() {
        has_dots(path)
    } else {
        has_dots(&path.nfkc().collect::<String>())
    };
    dots.then_some("a `.` or `..` segment")
}

/// Whether what follows a `%` makes it an encoded character, `%u` with four digits included.
fn is_encoded(rest: &[u8]) -> bool {
    match rest {
        [b'u' | b'U', digit, ..] => digit.is_ascii_hexdigit(),
        [high, low, ..] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        _ => false,
    }
}

/// What comes after `file://`; the third slash is the path's own.
fn without_scheme(text: &str) -> &str {
    text.strip_prefix("file://").unwrap_or(text)
}

fn has_dots(path: &str) -> bool {
    path.split('/').any(|segment| matches!(segment, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_are_paths() {
        for text in [
            "/",
            "/srv/",
            "~",
            "~/x",
            "file:",
            "file:///srv/",
            "FILE:///x",
        ] {
            assert!(is_path(text), "{text}");
        }
        for text in ["", "srv/", "http://x/", "profile:", "*", "é"] {
            assert!(!is_path(text), "{text}");
        }
    }

    #[test]
    fn paths_with_one_spelling() {
        for text in [
            "/srv/a",
            "/srv/a/",
            "/",
            "",
            "a",
            "~/a",
            "~bob/a.txt",
            "/srv/.git/..a/b../...",
            "/srv/100%/a",
            "/srv/50% off",
            "file:///srv/a",
            "file://host/srv/a",
            "file:/srv/a",
            "/srv/größe/報告",
        ] {
            assert_eq!(ambiguity(text), None, "{text}");
        }
    }

    #[test]
    fn paths_with_several_spellings() {
        for text in [
            "/srv/../etc",
            "/srv/..",
            "..",
            "../srv",
            "/srv/./a",
            "./a",
            "/srv//a",
            "//srv",
            "/srv\\..\\a",
            "/srv/a\0",
            "/srv/.\t./a",
            "/srv/%2e%2e/a",
            "/srv/%2E./a",
            "/srv/%252e/a",
            "/srv/%00",
            "/srv/a%2f",
            "/srv/%u002e",
            "file:////etc",
            "file:///srv/../etc",
            "file://../etc",
            "/srv/\u{ff0e}\u{ff0e}/a",
            "/srv/\u{2025}/a",
            "/srv/..\u{ff0f}a",
        ] {
            assert!(ambiguity(text).is_some(), "{text}");
        }
    }
}
