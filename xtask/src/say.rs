//! Lines on standard error, for whoever watches. One that cannot be written (a full disk, a reader
//! that has gone) is lost and ends nothing, whereas `eprintln!` would panic.

use std::borrow::Cow;
use std::fmt::Arguments;

/// Writes a line to standard error; takes what `format!` takes.
macro_rules! say {
    ($($line:tt)*) => {
        $crate::say::line(format_args!($($line)*))
    };
}
pub(crate) use say;

/// The longest message.
const BYTES_MAX: usize = 64 * 1024;

/// What [`say!`] does.
pub fn line(line: Arguments<'_>) {
    // At once, so that lines of two threads do not mix.
    let text = format!("{}\n", short(&format!("{line}")));
    let text = harmless(&text);
    #[cfg(test)]
    eprint!("{text}"); // Kept by a test until it fails.
    #[cfg(not(test))]
    let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
}

/// No more than somebody reads: a message may quote a name out of a file.
pub fn short(text: &str) -> Cow<'_, str> {
    if text.len() <= BYTES_MAX {
        return Cow::Borrowed(text);
    }
    let mut end = BYTES_MAX;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Cow::Owned(format!(
        "{}… ({} bytes more)",
        &text[..end],
        text.len() - end
    ))
}

/// The same text without what a terminal would take for an order: names of branches, reasons and
/// messages of other programs are shown as they were read.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let is_order = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    if !text.contains(is_order) {
        return Cow::Borrowed(text);
    }
    let shown = |letter: char| {
        if is_order(letter) {
            letter.escape_default().to_string()
        } else {
            letter.to_string()
        }
    };
    Cow::Owned(text.chars().map(shown).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_an_end() {
        let long = "ß".repeat(10_000_000);
        let shown = short(&long);
        assert!(shown.len() < BYTES_MAX + 40);
        assert!(
            shown.ends_with("ß… (19934464 bytes more)"),
            "{}",
            &shown[shown.len() - 40..]
        );
        assert_eq!(short("warning: x"), "warning: x");
    }

    #[test]
    fn a_terminal_gets_no_orders() {
        assert_eq!(harmless("a\tb ✓\n"), "a\tb ✓\n");
        let orders = "\u{1b}[31mred\r\u{9b}2J\u{7}";
        assert_eq!(harmless(orders), "\\u{1b}[31mred\\r\\u{9b}2J\\u{7}");
    }
}
