//! Text that approvers decide by: makes every character visible, and none of them active. Knows
//! nothing of where the text is shown, except which three characters need escaping.

use std::fmt::Write as _;

/// Characters that change how their neighbours look, or that are invisible: controls, bidi marks and
/// overrides, zero-width and filler characters, variation selectors, tags. They are shown by their
/// code points, so that an approver sees them.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{00AD}'
                | '\u{034F}'
                | '\u{061C}'
                | '\u{115F}'
                | '\u{1160}'
                | '\u{17B4}'
                | '\u{17B5}'
                | '\u{180B}'..='\u{180F}'
                | '\u{200B}'..='\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{3164}'
                | '\u{FE00}'..='\u{FE0F}'
                | '\u{FEFF}'
                | '\u{FFA0}'
                | '\u{FFF9}'..='\u{FFFB}'
                | '\u{E0000}'..='\u{E0FFF}'
        )
}

/// `text` with hidden characters spelled out and backticks replaced by the look-alike `ˋ`, so that
/// it cannot leave the code span it is put in.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '`' => out.push('ˋ'),
            hidden if is_hidden(hidden) => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(hidden));
            }
            plain => out.push(plain),
        }
    }
    out
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

/// Longest prefix of `text` that has at most `bytes_max` bytes.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
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

/// Formats milliseconds since the Unix epoch as `2026-07-28 09:05:00 UTC`.
pub(crate) fn utc(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days to a civil date over 400-year eras that start on 1 March, so that a leap day comes last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_spelled_out() {
        assert_eq!(visible("a\u{202e}b\u{0}c\nd"), "a\\u{202e}b\\u{0}c\\u{a}d");
        assert_eq!(visible("x\u{200b}\u{e0041}y"), "x\\u{200b}\\u{e0041}y");
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
    }
}
