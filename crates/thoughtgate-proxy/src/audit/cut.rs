//! Cuts text of others to a length that a line can have. Changes no character: `line.rs` escapes them.

use std::borrow::Cow;

/// Longest name (agent, method, tool, approver, policy) in a line, in bytes.
pub const NAME_BYTES: usize = 256;
/// Longest sentence (an error, a reason) in a line, in bytes.
pub const TEXT_BYTES: usize = 512;

/// The first `bytes_max` bytes of a text at most; if it was longer, its length is appended.
pub fn cut(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max {
        return Cow::Borrowed(text);
    }
    let start = thoughtgate_mcp::cut(text, bytes_max);
    Cow::Owned(format!("{start}… ({} bytes)", text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_between_characters_and_marked() {
        assert_eq!(cut("häh", 4), "häh");
        assert_eq!(cut("hähä", 5), "häh… (6 bytes)");
    }
}
