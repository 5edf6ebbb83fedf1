//! Parsing of a file, with all of its syntax errors and the policies that have none.
//!
//! Cedar refuses a file as a whole. Only then is it cut into single policies here, so that each gets its
//! own error. Knows tokens but no grammar: Cedar's parser decides what is valid.

use cedar_policy::{ParseErrors, PolicySet};

use crate::advice;
use crate::error::LoadError;
use crate::options::Source;
use crate::place;
use crate::token::{after_string, after_word, is_word};

/// The policies of `source` that are valid, and the syntax errors in the others.
pub fn parse(source: &Source, errors: &mut Vec<LoadError>) -> PolicySet {
    match source.text.parse() {
        Ok(set) => set,
        Err(whole) => {
            let before = errors.len();
            let rest = valid_part(source, errors);
            if errors.len() == before {
                // The pieces are fine on their own: the cut was wrong, and Cedar is right.
                report(source, 0, &whole, errors);
                return PolicySet::new();
            }
            rest.parse().unwrap_or_default()
        }
    }
}

/// The text of `source` with blanks in place of the policies that have a syntax error, so that the others
/// keep their places.
fn valid_part(source: &Source, errors: &mut Vec<LoadError>) -> String {
    let mut valid = String::new();
    for piece in pieces(&source.text) {
        let text = source.text.get(piece.start..piece.end).unwrap_or_default();
        let whole = source.text.get(piece.start..piece.next).unwrap_or_default();
        let parsed: Result<PolicySet, _> = if piece.ends {
            text.parse()
        } else {
            errors.push(LoadError::Parse {
                place: place::at(source, Some(piece.end)),
                message: "expected `;` after the policy; each policy ends with one".to_owned(),
            });
            format!("{text};").parse()
        };
        match parsed {
            Ok(_) if piece.ends => valid += whole,
            Ok(_) if whole.len() > text.len() => {
                valid += text;
                valid.push(';');
                valid += whole.get(text.len() + 1..).unwrap_or_default();
            }
            Ok(_) => {
                valid += text;
                valid.push(';');
            }
            Err(error) => {
                report(source, piece.start, &error, errors);
                valid.extend(whole.chars().map(|letter| match letter {
                    '\n' => '\n',
                    _ => ' ',
                }));
            }
        }
    }
    valid
}

/// Adds the errors of a text that begins at `start` in `source`.
fn report(source: &Source, start: usize, found: &ParseErrors, errors: &mut Vec<LoadError>) {
    for error in found.iter() {
        let offset = place::offset_of(error).map(|offset| start + offset);
        errors.push(LoadError::Parse {
            place: place::at(source, offset),
            message: advice::message(error, &source.text, offset),
        });
    }
}

/// A policy in a file, by byte offsets.
struct Piece {
    start: usize,
    /// The end of the policy, its `;` included.
    end: usize,
    /// The start of the next policy.
    next: usize,
    /// Whether it ends with `;`.
    ends: bool,
}

/// Cuts `text` behind each `;` outside of brackets, and where a new policy begins without one.
fn pieces(text: &str) -> Vec<Piece> {
    let bytes = text.as_bytes();
    let (mut pieces, mut start, mut depth, mut at) = (Vec::new(), 0, 0_usize, 0);
    // The end of the last token of this piece, and whether a policy could end with it.
    let (mut end, mut could_end) = (0, false);
    // Whether this piece has its `permit` or `forbid`: annotations end with brackets, too.
    let mut has_effect = false;
    while let Some(byte) = bytes.get(at) {
        let token = at;
        at += 1;
        match byte {
            byte if byte.is_ascii_whitespace() => continue,
            b'/' if bytes.get(at) == Some(&b'/') => {
                let line = bytes.get(at..).unwrap_or_default();
                let length = line.iter().position(|byte| *byte == b'\n');
                at += length.unwrap_or(line.len());
                continue;
            }
            b'"' => at = after_string(bytes, at),
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            byte if is_word(*byte) => at = after_word(bytes, token),
            _ => {}
        }
        let shown = bytes.get(token..at).unwrap_or_default();
        let begins = matches!(shown, b"permit" | b"forbid" | b"@");
        if depth == 0 && could_end && begins {
            pieces.push(piece(start, end, token, false));
            (start, has_effect) = (token, false);
        }
        has_effect |= begins && *byte != b'@';
        end = at;
        could_end = depth == 0 && has_effect && matches!(byte, b')' | b'}');
        if depth == 0 && *byte == b';' {
            pieces.push(piece(start, end, end, true));
            (start, has_effect) = (end, false);
        }
    }
    if end > start {
        // Cut off in the middle, it is left to Cedar to say what is missing.
        pieces.push(piece(start, end, text.len(), !could_end));
    }
    pieces
}

fn piece(start: usize, end: usize, next: usize, ends: bool) -> Piece {
    Piece {
        start,
        end,
        next,
        ends,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The policies of `text`, each with whether it ends with `;`.
    fn cut(text: &str) -> Vec<(&str, bool)> {
        let pieces = pieces(text).into_iter();
        pieces
            .map(|piece| (text[piece.start..piece.end].trim(), piece.ends))
            .collect()
    }

    #[test]
    fn a_file_is_cut_into_its_policies() {
        assert_eq!(
            cut("permit (a); // ; \n@id(\"x;(\\\"\") forbid (b) when { [1; 2] };\n// end"),
            [
                ("permit (a);", true),
                ("// ; \n@id(\"x;(\\\"\") forbid (b) when { [1; 2] };", true)
            ]
        );
        assert_eq!(
            cut("permit (a) when { permit }\npermit (b)\n@id(\"c\") forbid (c)"),
            [
                ("permit (a) when { permit }", false),
                ("permit (b)", false),
                ("@id(\"c\") forbid (c)", false)
            ]
        );
        assert_eq!(cut("permit (a) when {"), [("permit (a) when {", true)]);
        for text in ["", " \n// x", "\"", "\"\\", ")", "é("] {
            let _ = cut(text);
        }
    }
}
