//! Refuses policies that nest too deeply, without recursion. Cedar's parser, validator and evaluator
//! recurse, and a stack overflow would end the process, where a bad policy should only be refused.
//!
//! Knows tokens but no grammar, and so may overestimate the depth; it does not underestimate it.

use crate::error::LoadError;
use crate::options::Source;
use crate::place;
use crate::token::{after_string, after_word, is_word};

/// Greatest depth: far more than people write, and enough for generated conditions.
const DEPTH_MAX: usize = 1000;
/// Stack size, in bytes, that [`Engine::load`](crate::Engine::load) needs for policies of the greatest
/// accepted depth, also in a build without optimisation.
pub const LOAD_STACK_BYTES: usize = 64 * 1024 * 1024;
/// Depth of one bracket: the parser recurses through about four rules for it, and through one for an
/// operator.
const BRACKET: usize = 4;

/// Refuses policies that nest deeper than a stack of [`LOAD_STACK_BYTES`] holds.
pub fn check(source: &Source) -> Result<(), LoadError> {
    match first_too_deep(source.text.as_bytes()) {
        None => Ok(()),
        Some(offset) => Err(LoadError::TooDeep {
            place: place::at(source, Some(offset)),
        }),
    }
}

/// The offset of the first token that is too deep.
fn first_too_deep(text: &[u8]) -> Option<usize> {
    // Links of the current chain of operators, for the top level and each open bracket.
    let mut open = vec![0_usize];
    let mut depth = 0;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let start = at;
        at += 1;
        let chained = match byte {
            b'"' => {
                at = after_string(text, at);
                false
            }
            b'/' if text.get(at) == Some(&b'/') => {
                let line = text.get(at..).unwrap_or_default();
                // Without a line feed, the comment is the end of the text.
                at += line.iter().position(|byte| *byte == b'\n')?;
                false
            }
            b'(' | b'[' | b'{' => {
                open.push(0);
                depth += BRACKET;
                false
            }
            // Brackets may be a link of a chain, as in `a[…][…]` and `a.b(…).c(…)`.
            b')' | b']' | b'}' if open.len() > 1 => {
                depth -= open.pop().unwrap_or(0) + BRACKET;
                true
            }
            // Siblings do not nest: the chain ends.
            b',' | b';' => {
                depth -= open.last_mut().map_or(0, std::mem::take);
                false
            }
            b'.' | b'+' | b'-' | b'*' => true,
            b'&' | b'|' => {
                at += usize::from(text.get(at) == Some(byte));
                true
            }
            byte if is_word(*byte) => {
                at = after_word(text, start);
                // A chain of `else if` nests as deeply as it is long.
                text.get(start..at) == Some(b"if")
            }
            _ => false,
        };
        if chained && let Some(chain) = open.last_mut() {
            *chain += 1;
            depth += 1;
        }
        if depth > DEPTH_MAX {
            return Some(start);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_too_deep(text: &str) -> bool {
        first_too_deep(text.as_bytes()).is_some()
    }

    #[test]
    fn brackets_and_chains_are_counted() {
        let half = DEPTH_MAX / 2;
        for (unit, count) in [
            ("(", DEPTH_MAX / BRACKET),
            ("[1, {", DEPTH_MAX / BRACKET / 2),
            ("a && ", DEPTH_MAX),
            ("a||", DEPTH_MAX),
            (".a", DEPTH_MAX),
            ("[\"a\"]", DEPTH_MAX - BRACKET),
            (".a(1)", half - BRACKET),
            ("1 + ", DEPTH_MAX),
            ("if x then ", DEPTH_MAX),
            ("if x then y else ", DEPTH_MAX),
            (" when {x}", DEPTH_MAX - BRACKET),
        ] {
            assert!(!is_too_deep(&unit.repeat(count)), "{unit}");
            assert!(is_too_deep(&unit.repeat(count + BRACKET + 1)), "{unit}");
        }
        assert!(is_too_deep(&format!(
            "{}({}",
            "a && ".repeat(half),
            "b + ".repeat(half)
        )));
    }

    #[test]
    fn siblings_texts_and_comments_are_not_nested() {
        for unit in [
            "permit (principal, action, resource) when { a.b && c };\n",
            "\"((((((((((\\\"((((((((((\", ",
            "// ((((((((((((((\n",
            "[1, 2, 3], ",
            "ifs ",
            ")",
        ] {
            assert!(!is_too_deep(&unit.repeat(2 * DEPTH_MAX)), "{unit}");
        }
        for cut_off in ["\"", "\"\\", "//", "/", "(\"", "i"] {
            assert!(!is_too_deep(cut_off), "{cut_off}");
        }
    }
}
