//! Code blocks of the documents that tests run.
//!
//! Knows fences and headings, and no other Markdown.

use std::path::Path;

/// A fenced code block.
pub struct Block {
    /// The word behind the fence, such as `yaml`.
    pub language: String,
    /// Its lines.
    pub text: String,
    /// Line of the fence in the document, from 1.
    pub line: usize,
    /// Text of the nearest heading above.
    pub heading: String,
}

/// The text of a document, by its path in the repository.
pub fn document(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All code blocks of `document`, in order.
pub fn blocks(document: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut heading = "";
    let mut is_open = false;
    for (number, line) in document.lines().enumerate() {
        if let Some(language) = line.strip_prefix("```") {
            is_open = !is_open;
            if is_open {
                found.push(Block {
                    language: language.to_owned(),
                    text: String::new(),
                    line: number + 1,
                    heading: heading.to_owned(),
                });
            }
        } else if is_open && let Some(block) = found.last_mut() {
            block.text.push_str(line);
            block.text.push('\n');
        } else if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim();
        }
    }
    assert!(!is_open, "a code block is not closed");
    found
}
