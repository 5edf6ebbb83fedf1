//! Comparison of names as lenient parsers do it: ignoring case, width and invisible characters.
//!
//! Letters of other scripts that only look alike stay different: people confuse them, parsers do not.

use unicode_normalization::UnicodeNormalization;

/// Whether a lenient parser could take `name` for `known`. Ignores case (in Unicode: the Kelvin sign is
/// a `k`, the long s an `s`), compatibility forms (full width, mathematical letters), control and other
/// invisible characters, and white space around the name.
#[must_use]
pub fn folds_to(name: &str, known: &str) -> bool {
    folds_to_one_of(name, [known]).is_some()
}

/// The first of `known` that a lenient parser could take `name` for; see [`folds_to`].
pub fn folds_to_one_of<'k>(
    name: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let mut known = known.into_iter();
    // Same result as folding, and some fifty times faster.
    if is_plain(name) {
        return known.find(|known| {
            name.eq_ignore_ascii_case(known)
                || !is_plain(known) && name.eq_ignore_ascii_case(&folded(known))
        });
    }
    let known: Vec<(&str, String)> = known.map(|known| (known, folded(known))).collect();
    let longest = known.iter().map(|(_, folded)| folded.chars().count()).max();
    // Folded once, and only as far as the longest known name: names come from clients, may be as long
    // as a body, and can grow to eleven times their length.
    let name = folded_to(name, longest?)?;
    known
        .into_iter()
        .find_map(|(known, folded)| (folded == name).then_some(known))
}

/// Whether a lenient parser could take `name` for one of `known`, which are printable ASCII without spaces.
/// Same result as [`folds_to_one_of`], for less: it need not look at them.
pub(crate) fn folds_to_plain(name: &str, known: &[&str]) -> bool {
    if is_plain(name) {
        known.iter().any(|known| name.eq_ignore_ascii_case(known))
    } else {
        folds_to_one_of(name, known.iter().copied()).is_some()
    }
}

/// The folded name; `None` if it has more than `longest` letters.
fn folded_to(name: &str, longest: usize) -> Option<String> {
    let mut letters = letters(name).skip_while(|letter| letter.is_whitespace());
    let mut start: String = letters.by_ref().take(longest).collect();
    if !letters.all(char::is_whitespace) {
        return None;
    }
    start.truncate(start.trim_end().len());
    Some(start)
}

/// Whether `name` is printable ASCII without spaces, of which folding changes only the case.
fn is_plain(name: &str) -> bool {
    // Without an early end: a jump per byte costs more than the rest of a short name.
    name.bytes()
        .fold(true, |plain, byte| plain & byte.is_ascii_graphic())
}

fn folded(text: &str) -> String {
    letters(text).collect::<String>().trim().to_owned()
}

/// The folded letters of a text, one by one, so that a long text needs no buffer.
fn letters(text: &str) -> impl Iterator<Item = char> {
    // Through upper case, where variants of a letter meet: `Σ` is that of both `σ` and `ς`.
    shown_forms(text)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
}

/// The characters of a text in compatibility composition (NFKC), without invisible ones. An iterator
/// with bounded memory: at most thirty marks stay with a letter (the stream-safe text format).
pub fn shown_forms(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .filter(|letter| !is_hidden(*letter))
        .stream_safe()
        .nfkc()
        .filter(|letter| !is_hidden(*letter))
}

/// Whether a character is invisible: a control character, or default-ignorable in Unicode's terms
/// (zero-width characters, direction marks, variation selectors, tags).
#[must_use]
pub fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_alike_folds_alike() {
        for (name, known) in [
            ("NAME", "name"),
            ("paramſ", "params"),
            ("params", "paramſ"),
            ("\u{212a}ey", "key"),
            ("É", "é"),
            ("e\u{301}", "é"),
            ("ｐａｔｈ", "path"),
            ("path", "ｐａｔｈ"),
            ("𝐩𝐚𝐭𝐡", "path"),
            ("pa\u{200b}th", "path"),
            ("\u{feff}path", "path"),
            ("path\0", "path"),
            ("path\n", "path"),
            (" path\u{a0}", "path"),
            ("path", "path "),
        ] {
            assert!(folds_to(name, known), "{name:?} {known:?}");
        }
    }

    #[test]
    fn others_stay_apart() {
        for (name, known) in [
            ("names", "name"),
            ("nam", "name"),
            ("", "name"),
            ("pa th", "path"),
            ("p\u{430}th", "path"),
            ("file_path", "filepath"),
        ] {
            assert!(!folds_to(name, known), "{name:?} {known:?}");
        }
    }

    #[test]
    fn ascii_is_compared_as_it_would_be_folded() {
        let letters = || (0..128_u8).map(|byte| char::from(byte).to_string());
        for name in letters() {
            for known in letters() {
                let slow = folded(&name) == folded(&known);
                assert_eq!(folds_to(&name, &known), slow, "{name:?} {known:?}");
                if is_plain(&known) {
                    let plain = folds_to_plain(&name, &[&known]);
                    assert_eq!(plain, slow, "{name:?} {known:?}");
                }
            }
        }
    }

    #[test]
    fn a_name_is_folded_no_further_than_what_is_known_is_long() {
        // Each character folds to eighteen letters, and its three bytes to thirty-three.
        let name = "\u{fdfa}".repeat(1 << 20);
        assert_eq!(folded_to(&name, 9), None);
        assert!(!folds_to(&name, "params"));
        let before = format!("ｐarams{name}");
        assert!(!folds_to(&before, "params"));
        let spaces = format!(
            "{}ｐarams{}",
            "\u{3000}".repeat(1 << 16),
            "\u{3000}".repeat(1 << 16)
        );
        assert!(folds_to(&spaces, "params"));
        assert!(!folds_to(&format!("{spaces}x"), "params"));
    }

    #[test]
    fn a_long_name_is_folded_once() {
        let name = "\u{301}".repeat(1 << 20);
        let known: Vec<String> = (0..100).map(|number| format!("known{number}")).collect();
        assert_eq!(
            folds_to_one_of(&name, known.iter().map(String::as_str)),
            None
        );
    }
}
