//! Markdown of which the parts may be hostile: branch names, hosts, reasons and versions that came out
//! of a file that a stranger wrote.
//!
//! Whatever is not ours is set as code, in which GitHub sees no links, mentions, HTML or tables.

/// The longest text that is shown of a field.
const CHARACTERS_MAX: usize = 200;

/// A text as inline code.
pub fn code(text: &str) -> String {
    let mut shown = String::new();
    for letter in text.chars().take(CHARACTERS_MAX) {
        match letter {
            '`' => shown.push('\''),
            // The one letter that a table sees in code too.
            '|' => shown.push('¦'),
            letter if letter.is_control() || is_unseen(letter) => shown.push(' '),
            letter => shown.push(letter),
        }
    }
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

/// Letters that turn text around, or that nobody sees.
fn is_unseen(letter: char) -> bool {
    matches!(letter,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A row of a table; its cells are Markdown.
pub fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// The head of a table, of which the first columns are text and the others numbers.
pub fn head(titles: &[&str], texts: usize) -> String {
    let titles: Vec<String> = titles.iter().map(|title| (*title).to_owned()).collect();
    let lines = (0..titles.len()).map(|column| if column < texts { "---" } else { "---:" });
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    row(&titles) + &row(&lines)
}

/// A part that is shown when it is asked for.
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
