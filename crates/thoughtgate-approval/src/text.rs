//! Text that approvers decide by: makes every character visible, and none of them active. Knows
//! nothing of where the text is shown, except which three characters need escaping.

use std::time::{Duration, UNIX_EPOCH};

/// Last second that is written with four digits for the year.
const LAST_SECOND: u64 = 253_402_300_799;

/// `text` with characters that mislead a reader spelled out by their code points, and backticks
/// replaced by the look-alike `ˋ`, so that it cannot leave the code span it is put in.
pub(crate) fn visible(text: &str) -> String {
    thoughtgate_mcp::visible(text).replace('`', "ˋ")
}

/// Appends `character`, escaped if it can start markup, a mention or a link.
pub(crate) fn escape_into(character: char, out: &mut String) {
    match character {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        plain => out.push(plain),
    }
}

/// `text` made visible and escaped, cut after about `max` characters.
pub(crate) fn inline(text: &str, max: usize) -> String {
    let visible = visible(text);
    let mut out = String::new();
    for (index, character) in visible.chars().enumerate() {
        if index >= max {
            out.push('…');
            break;
        }
        escape_into(character, &mut out);
    }
    out
}

/// Escapes `text` into at most `blocks_max` pieces of at most `units_max` UTF-16 units each, never
/// splitting an escape. The flag is true if all of it fitted.
pub(crate) fn escaped_blocks(
    text: &str,
    units_max: usize,
    blocks_max: usize,
) -> (Vec<String>, bool) {
    let mut blocks = vec![String::new()];
    let mut units = 0;
    let mut piece = String::new();
    for character in text.chars() {
        piece.clear();
        escape_into(character, &mut piece);
        let width = piece.encode_utf16().count();
        if units + width > units_max {
            if blocks.len() == blocks_max {
                return (blocks, false);
            }
            blocks.push(String::new());
            units = 0;
        }
        units += width;
        if let Some(last) = blocks.last_mut() {
            last.push_str(&piece);
        }
    }
    (blocks, true)
}

/// Formats milliseconds since the Unix epoch as `2026-07-28 09:05:00 UTC`. Times after the year 9999
/// become its last second.
pub(crate) fn utc(ms: u64) -> String {
    let at = UNIX_EPOCH + Duration::from_secs((ms / 1000).min(LAST_SECOND));
    let text = humantime::format_rfc3339_seconds(at).to_string();
    text.replace('T', " ").replace('Z', " UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_spelled_out() {
        assert_eq!(visible("a\u{202e}b\u{0}c\nd"), "a\\u{202e}b\\u{0}c\\u{a}d");
        assert_eq!(visible("x\u{200b}\u{e0041}y"), "x\\u{200b}\\u{e0041}y");
        assert_eq!(
            visible("\u{fff0}\u{1bca0}\u{1d173}"),
            "\\u{fff0}\\u{1bca0}\\u{1d173}"
        );
        assert_eq!(visible("naïve 日本 🙂"), "naïve 日本 🙂");
    }

    #[test]
    fn a_code_span_cannot_be_left() {
        assert!(!visible("a```b`").contains('`'));
    }

    #[test]
    fn markup_is_escaped_and_capped() {
        assert_eq!(
            inline("<!channel> & <@U1>", 99),
            "&lt;!channel&gt; &amp; &lt;@U1&gt;"
        );
        assert_eq!(inline("abcdef", 3), "abc…");
    }

    #[test]
    fn blocks_keep_within_their_size_and_never_split_an_escape() {
        let (blocks, whole) = escaped_blocks(&"<".repeat(10), 9, 9);
        assert!(whole);
        assert_eq!(blocks.concat(), "&lt;".repeat(10));
        assert!(
            blocks
                .iter()
                .all(|block| block.len() <= 9 && block.len() % 4 == 0)
        );
        let (blocks, whole) = escaped_blocks(&"🙂".repeat(10), 4, 2);
        assert!(!whole);
        assert_eq!(blocks, ["🙂🙂", "🙂🙂"]);
    }

    #[test]
    fn dates_are_civil() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_399_000), "2000-02-28 23:59:59 UTC");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_785_229_500_000), "2026-07-28 09:05:00 UTC");
        assert_eq!(utc(u64::MAX), "9999-12-31 23:59:59 UTC");
    }
}
