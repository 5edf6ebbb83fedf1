//! Messages on standard error. One that cannot be written (full disk, closed pipe) is lost and ends
//! nothing, whereas `eprintln!` would panic.

use std::borrow::Cow;
use std::fmt::Arguments;

/// Writes a line to standard error; takes what `format!` takes.
macro_rules! say {
    ($($line:tt)*) => {
        $crate::say::line(format_args!($($line)*))
    };
}
pub(crate) use say;

/// Longest message: one may quote a name of any length out of a file.
const BYTES_MAX: usize = 64 * 1024;

/// Writes a line to standard error; called through [`say!`].
pub fn line(line: Arguments<'_>) {
    // One write, so that lines of two threads do not mix.
    let text = format!("{}\n", short(&format!("{line}")));
    let text = harmless(&text);
    #[cfg(test)]
    eprint!("{text}"); // Kept by a test until it fails.
    #[cfg(not(test))]
    let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
}

/// `text` cut to [`BYTES_MAX`], with the number of bytes that are missing.
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

/// The same text without what a terminal, or the runner of a job, would take for an order: names of
/// branches, reasons and messages of other programs are shown as they were read.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let is_order = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    let shown = |letter: char| {
        if is_order(letter) {
            letter.escape_default().to_string()
        } else {
            letter.to_string()
        }
    };
    let text = if text.contains(is_order) {
        Cow::Owned(text.chars().map(shown).collect())
    } else {
        Cow::Borrowed(text)
    };
    // Only a runner obeys such lines; elsewhere they are shown as they are.
    if std::env::var_os("GITHUB_ACTIONS").is_some() {
        without_orders(text)
    } else {
        text
    }
}

/// A runner of GitHub obeys `::…` at the start of a line, and `##[…` anywhere in one.
fn without_orders(text: Cow<'_, str>) -> Cow<'_, str> {
    let is_order = |line: &str| line.trim_start().starts_with("::") || line.contains("##[");
    if !text.lines().any(is_order) {
        return text;
    }
    let lines = text.split_inclusive('\n').map(|line| {
        let line = line.replace("##[", "# #[");
        if line.trim_start().starts_with("::") {
            line.replacen("::", ": :", 1)
        } else {
            line
        }
    });
    Cow::Owned(lines.collect())
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

    #[test]
    fn a_runner_gets_no_orders() {
        let orders = "a ::b\n  ::stop-commands::x\nc ##[error]d\n";
        assert_eq!(
            without_orders(Cow::Borrowed(orders)),
            "a ::b\n  : :stop-commands::x\nc # #[error]d\n"
        );
        let none = "a\nb::c\n";
        assert!(matches!(
            without_orders(Cow::Borrowed(none)),
            Cow::Borrowed(_)
        ));
    }
}
