//! Checks strings that policies compare with paths: a policy on `/srv/*` must mean the files in `/srv`.
//!
//! `like` compares characters, and `/srv/../etc` begins with `/srv/`. So a string that policies compare
//! with a path is refused if a server could read it as a different path. Does not resolve symbolic
//! links: only the server can see them.

use thoughtgate_mcp::{is_hidden, shown_forms};

/// Longest path, more than any system accepts. The limit bounds the time of the check, which looks at
/// all forms of each character.
const PATH_BYTES_MAX: usize = 32 * 1024;

/// Whether a policy's string, or the part of a pattern before its first `*`, is a path.
pub fn is_path(text: &str) -> bool {
    text.starts_with(['/', '~']) || is_file(text)
}

/// Whether `text` has the scheme of files, in any spelling.
pub fn is_file(text: &str) -> bool {
    text.get(..SCHEME.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(SCHEME))
}

const SCHEME: &str = "file:";

/// Start of the only form of a `file:` URI that is accepted: servers ignore hosts, and count slashes in
/// different ways.
pub const FILE_URI: &str = "file:///";

/// Whether `text` is a URI that does not name a file: it has another scheme, of two letters or more since
/// one is a drive of Windows.
pub fn is_other_uri(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() > 1
            && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
            && !is_file(text)
    })
}

/// The property of `text`, if it has one, that lets a server read it as a different path. Worded to
/// follow "contains".
pub fn ambiguity(text: &str) -> Option<&'static str> {
    let bytes = text.as_bytes();
    // First, since it bounds the checks below.
    if bytes.len() > PATH_BYTES_MAX {
        return Some("more than 32768 bytes");
    }
    if text.chars().any(char::is_control) {
        return Some("a control character");
    }
    if text.chars().any(is_hidden) {
        return Some("an invisible character");
    }
    if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
        return Some("white space at its start or end");
    }
    if bytes.contains(&b'\\') {
        return Some("a backslash");
    }
    if text
        .match_indices('%')
        .any(|(at, _)| is_encoded(&bytes[at + 1..]))
    {
        return Some("percent-encoding");
    }
    let path = match text.strip_prefix(FILE_URI) {
        // A server that parses URIs opens the file without them, and another one a file with them.
        Some(rest) if rest.contains(['?', '#']) => return Some("a query or a fragment"),
        // The third slash belongs to the path.
        Some(_) => text.get(FILE_URI.len() - 1..).unwrap_or_default(),
        None if is_file(text) => return Some("a `file:` URI that does not begin with `file:///`"),
        None => text,
    };
    if path.contains("//") {
        return Some("`//`");
    }
    // A server that normalises text reads `．．` as `..`, and `／` as `/`.
    let special = |letter: &char| matches!(letter, '/' | '\\' | '%');
    let (dots, alike) = if text.is_ascii() {
        (has_dots(path.chars()), false)
    } else {
        let written = path.chars().filter(special).count();
        let read = shown_forms(path).filter(special).count();
        (has_dots(shown_forms(path)), written != read)
    };
    if alike {
        return Some("a character that some servers read as `/`, `\\` or `%`");
    }
    dots.then_some("a `.` or `..` segment")
}

/// Whether `rest`, the bytes after a `%`, begins an encoded character; `%u` with hex digits is one too.
fn is_encoded(rest: &[u8]) -> bool {
    match rest {
        [b'u' | b'U', digit, ..] => digit.is_ascii_hexdigit(),
        [high, low, ..] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        _ => false,
    }
}

/// Whether a segment is `.` or `..`, also for servers that drop white space or cut segments at a `;`.
fn has_dots(path: impl Iterator<Item = char>) -> bool {
    let (mut dots, mut others, mut is_cut) = (0_usize, false, false);
    let is_dots = |dots: usize, others: bool| !others && (dots == 1 || dots == 2);
    for letter in path {
        match letter {
            '/' => {
                if is_dots(dots, others) {
                    return true;
                }
                (dots, others, is_cut) = (0, false, false);
            }
            _ if is_cut || letter.is_whitespace() => {}
            ';' => is_cut = true,
            '.' => dots += 1,
            _ => others = true,
        }
    }
    is_dots(dots, others)
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
    fn uris_that_name_no_file() {
        for text in ["http://x/../y", "db:x", "svn+ssh://x//y", "urn:a%2fb"] {
            assert!(is_other_uri(text), "{text}");
        }
        for text in [
            "file:///x",
            "FILE:/x",
            "/x",
            "x",
            "c:/x",
            " http://x",
            "fil%65:///x",
            ":x",
            "../x:y",
        ] {
            assert!(!is_other_uri(text), "{text}");
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
            "file:///",
            "/srv/a?b#c",
            "/srv/größe/報告",
            "/srv/a b/c;d/e…",
            "/srv/e\u{301}",
        ] {
            assert_eq!(ambiguity(text), None, "{text}");
        }
    }

    #[test]
    fn a_path_has_a_greatest_length() {
        let path = |length: usize| format!("/{}", "a".repeat(length - 1));
        assert_eq!(ambiguity(&path(PATH_BYTES_MAX)), None);
        assert!(ambiguity(&path(PATH_BYTES_MAX + 1)).is_some());
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
            "file:",
            "file:srv/a",
            "file:/srv/a",
            "file://host/srv/a",
            "file://localhost/srv/a",
            "FILE:///srv/a",
            "File:/srv/a",
            "file:///srv/a?",
            "file:///srv/a#b",
            "file:///srv/../etc",
            "file://../etc",
            "/srv/\u{ff0e}\u{ff0e}/a",
            "/srv/\u{2025}/a",
            "/srv/..\u{ff0f}a",
            "/srv/a\u{ff0f}b",
            "/srv/a\u{ff3c}b",
            "/srv/..\u{fe68}etc",
            "/srv/\u{ff05}2e",
            "/srv/a\u{85}b",
            "/srv/..\u{200b}/etc",
            "/srv/.\u{ad}.",
            "/srv/a\u{feff}",
            "/srv/.. ",
            " /srv/a",
            "/srv/..\u{a0}",
            "/srv/.. /etc",
            "/srv/..;/etc",
            "/srv/..;a=b/etc",
        ] {
            assert!(ambiguity(text).is_some(), "{text}");
        }
    }
}
