//! Markdown with parts that may be hostile: branch names, hosts, reasons and versions from a file that a
//! stranger wrote.
//!
//! Text from outside of this program is set as code, in which GitHub sees no links, mentions, HTML or
//! tables.

/// Longest part of a field that is shown.
const CHARACTERS_MAX: usize = 200;

/// A text as inline code.
pub fn code(text: &str) -> String {
    let mut shown = String::new();
    for letter in text.chars().take(CHARACTERS_MAX) {
        match letter {
            '`' => shown.push('\''),
            // The only character that ends a table cell within code, too.
            '|' => shown.push('¦'),
            letter if letter.is_control() || is_unseen(letter) => shown.push(' '),
            letter => shown.push(letter),
        }
    }
    // Not `count`, which would read all of a text that a stranger made long.
    if text.chars().nth(CHARACTERS_MAX).is_some() {
        shown.push('…');
    }
    let shown = shown.trim();
    if shown.is_empty() {
        "`(empty)`".to_owned()
    } else {
        format!("`{shown}`")
    }
}

/// Characters that reverse the direction of text, or are invisible.
pub(super) fn is_unseen(letter: char) -> bool {
    matches!(letter,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A row of a table. The cells are Markdown, not escaped here.
pub fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// The header of a table: the first `texts` columns are aligned as text, the others as numbers.
pub fn head(titles: &[&str], texts: usize) -> String {
    let titles: Vec<String> = titles.iter().map(|title| (*title).to_owned()).collect();
    let lines = (0..titles.len()).map(|column| if column < texts { "---" } else { "---:" });
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    row(&titles) + &row(&lines)
}

pub fn folded(title: &str, body: &str) -> String {
    format!("<details><summary>{title}</summary>\n\n{body}\n</details>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_within_its_code() {
        for (text, expected) in [
            ("main", "`main`"),
            ("a`b``c", "`a'b''c`"),
            ("x | y\n| z |", "`x ¦ y ¦ z ¦`"),
            (
                "<img src=x onerror=alert(1)>",
                "`<img src=x onerror=alert(1)>`",
            ),
            ("@everyone [x](http://e)", "`@everyone [x](http://e)`"),
            ("\u{202e}txt.exe\u{200b}", "`txt.exe`"),
            ("", "`(empty)`"),
            ("\n\n", "`(empty)`"),
        ] {
            assert_eq!(code(text), expected.replace("y\n¦", "y ¦"), "{text}");
        }
        let long = code(&"ß".repeat(10_000_000));
        assert_eq!(long.chars().count(), CHARACTERS_MAX + 3);
    }
}
