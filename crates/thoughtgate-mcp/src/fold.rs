//! Whether a name reads as another: for readers that ignore case, width, or what cannot be seen.
//!
//! Letters of other scripts that only look alike are left apart: people confuse them, readers do not.

use unicode_normalization::UnicodeNormalization;

/// Whether `name` reads as `known`: equal but for case (also that of Unicode: the Kelvin sign is a `k`,
/// the long s an `s`), for compatibility forms (full width, mathematical letters), for controls and
/// other characters that are not shown, and for white space around it.
#[must_use]
pub fn folds_to(name: &str, known: &str) -> bool {
    folds_to_one_of(name, [known]).is_some()
}

/// The first of `known` that `name` reads as.
pub fn folds_to_one_of<'k>(
    name: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let mut known = known.into_iter();
    // Folding it is some fifty times slower, and comes to the same.
    let plain = is_plain(name);
    // Once for all: names come from clients, and may be as long as a body.
    let fold = if plain { String::new() } else { folded(name) };
    known.find(|known| match (plain, is_plain(known)) {
        (true, true) => name.eq_ignore_ascii_case(known),
        (true, false) => name.eq_ignore_ascii_case(&folded(known)),
        (false, true) => known.eq_ignore_ascii_case(&fold),
        (false, false) => folded(known) == fold,
    })
}

/// Printable ASCII without spaces, of which folding changes nothing but the case.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_graphic())
}

fn folded(text: &str) -> String {
    let shown = text.chars().filter(|letter| !is_hidden(*letter));
    let lower: String = shown
        .nfkc()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect();
    lower.trim().to_owned()
}

/// Controls, and what Unicode calls default-ignorable: zero-width characters, marks of direction,
/// variation selectors, tags.
fn is_hidden(letter: char) -> bool {
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
            }
        }
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
