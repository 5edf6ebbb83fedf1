//! Text of strangers where people read it: which characters mislead a reader, how they are shown instead,
//! and where a text can be cut. A log has a form of its own for them (`\u` escapes of JSON).

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::fold::is_hidden;

/// Whether a character is invisible, or changes how its neighbours look: controls, direction marks,
/// zero-width and filler characters, variation selectors, tags, line and paragraph separators,
/// interlinear annotations.
#[must_use]
pub fn is_misleading(character: char) -> bool {
    is_hidden(character) || matches!(character, '\u{2028}'..='\u{2029}' | '\u{fff9}'..='\u{fffb}')
}

/// `text` with the characters that mislead a reader spelled out by their code points.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_misleading) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_misleading(character) {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

/// The longest start of `text` with at most `bytes_max` bytes that ends between two characters.
#[must_use]
pub fn cut(text: &str, bytes_max: usize) -> &str {
    // As `str::floor_char_boundary`, which is newer than the oldest compiler that must build this.
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_mislead_a_reader_are_told_from_text() {
        let misleading = "\0\n\u{7f}\u{9b}\u{ad}\u{34f}\u{61c}\u{115f}\u{17b4}\u{180b}\u{200b}\
            \u{2028}\u{2029}\u{202e}\u{2066}\u{3164}\u{fe0f}\u{feff}\u{ffa0}\u{fff0}\u{fff8}\
            \u{fff9}\u{fffb}\u{1bca0}\u{1d173}\u{1d17a}\u{e0041}\u{e0fff}";
        for character in misleading.chars() {
            assert!(is_misleading(character), "{character:?}");
        }
        for character in "naïve 日本 🙂 ｐ\u{fffd}".chars() {
            assert!(!is_misleading(character), "{character:?}");
        }
    }

    #[test]
    fn hidden_characters_are_spelled_out() {
        assert_eq!(visible("a\u{202e}b\u{0}c\nd"), "a\\u{202e}b\\u{0}c\\u{a}d");
        assert_eq!(visible("naïve 日本 `🙂`"), "naïve 日本 `🙂`");
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        for (bytes_max, short) in [
            (0, ""),
            (1, "h"),
            (2, "h"),
            (3, "hä"),
            (4, "häh"),
            (9, "häh"),
        ] {
            assert_eq!(cut("häh", bytes_max), short);
        }
    }
}
