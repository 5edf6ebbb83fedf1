//! Ends of tokens in the text of a policy, for scans that must not recurse or that Cedar's parser is no
//! help with.
//!
//! Knows words and string literals only; comments and brackets are the matter of each scan.

/// Whether `byte` can be part of a word: a name, a keyword or a number.
pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The offset after the word that has a byte at `at`.
pub fn after_word(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let length = rest.iter().position(|byte| !is_word(*byte));
    at + length.unwrap_or(rest.len())
}

/// The offset after the string literal whose first character, behind the quote, is at `at`.
pub fn after_string(text: &[u8], mut at: usize) -> usize {
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'"' => break,
            b'\\' => at += 1,
            _ => {}
        }
    }
    // A literal that ends with a backslash is cut off.
    at.min(text.len())
}
