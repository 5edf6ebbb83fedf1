//! Parts of a YAML text that are kept while all else is blanked out, so that each can be parsed on its own.
//!
//! Knows no settings.

use crate::config::outline::{Kind, Node, Place, Style};

/// The parts of a text that stay, by positions of characters.
#[derive(Debug, Clone, Default)]
pub struct Kept(Vec<(usize, usize)>);

impl Kept {
    pub fn with(&self, start: usize, end: usize) -> Kept {
        let mut parts = self.0.clone();
        parts.push((start, end));
        Kept(parts)
    }

    pub fn add(&mut self, other: &Kept) {
        self.0.extend(other.0.iter().copied());
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn of(&self, characters: &[char]) -> String {
        let mut is_kept = vec![false; characters.len()];
        for (start, end) in &self.0 {
            let end = (*end).min(characters.len());
            if let Some(part) = is_kept.get_mut(*start..end) {
                part.fill(true);
            }
        }
        let letters = characters.iter().zip(is_kept);
        letters
            .map(|(letter, is_kept)| match letter {
                '\n' => '\n',
                letter if is_kept => *letter,
                _ => ' ',
            })
            .collect()
    }
}

/// What stays for an entry, and where it ends.
#[derive(Debug, Clone)]
pub struct Part {
    pub kept: Kept,
    /// What stays for its neighbours as well.
    around: Kept,
    start: usize,
    end: usize,
}

impl Part {
    pub fn whole(characters: &[char]) -> Part {
        Part {
            kept: Kept::default(),
            around: Kept::default(),
            start: 0,
            end: characters.len(),
        }
    }

    /// The part of an entry below this one; `open` is where the value begins that has it.
    pub fn entry(&self, value: &Node, style: Style, range: (usize, usize)) -> Part {
        let mut around = self.around.clone();
        if self.start < value.start.index {
            around = around.with(self.start, value.start.index);
        }
        if style == Style::Brackets {
            around = around
                .with(value.start.index, value.start.index + 1)
                .with(value.end.saturating_sub(1), value.end);
        }
        Part {
            kept: around.with(range.0, range.1),
            around,
            start: range.0,
            end: range.1,
        }
    }
}

/// Where the entry with this number ends: at the next one, or with the mapping.
pub fn next_start(node: &Node, part: &Part, number: usize, all: &[(String, Place, Node)]) -> usize {
    let end = match &node.kind {
        Kind::Mapping(Style::Brackets, _) => node.end,
        _ => part.end,
    };
    all.get(number + 1).map_or(end, |(_, start, _)| start.index)
}

/// Adds what stays for each entry of a setting's value. Only the first level of a mapping can be taken apart:
/// below, entries may need each other.
pub fn inner(
    value: &Node,
    part: &Part,
    is_first: bool,
    characters: &[char],
    parts: &mut Vec<Part>,
) {
    match &value.kind {
        Kind::Mapping(style, all) if is_first => {
            for (number, (_, start, entry)) in all.iter().enumerate() {
                let end = next_start(value, part, number, all);
                let part = part.entry(value, *style, (start.index, end));
                match &entry.kind {
                    Kind::List(_, items) if !items.is_empty() => {
                        inner(entry, &part, false, characters, parts);
                    }
                    _ => parts.push(part),
                }
            }
        }
        Kind::List(Style::Brackets, items) => {
            for (number, item) in items.iter().enumerate() {
                let next = items.get(number + 1);
                let end = next.map_or(value.end, |next| next.start.index);
                parts.push(part.entry(value, Style::Brackets, (item.start.index, end)));
            }
        }
        Kind::List(Style::Lines, items) => {
            let dashes = items.iter().map(|item| dash(item.start.index, characters));
            let Some(dashes) = dashes.collect::<Option<Vec<usize>>>() else {
                return parts.push(part.clone());
            };
            // Up to the first dash, where the list may be said to begin elsewhere.
            let around = part
                .around
                .with(part.start, dashes.first().copied().unwrap_or(part.start));
            for (number, start) in dashes.iter().enumerate() {
                let end = dashes.get(number + 1).copied().unwrap_or(part.end);
                parts.push(Part {
                    kept: around.with(*start, end),
                    around: around.clone(),
                    start: *start,
                    end,
                });
            }
        }
        _ => parts.push(part.clone()),
    }
}

/// Position of the dash before an item that begins at `start`; `None` if anything else is between them.
fn dash(start: usize, characters: &[char]) -> Option<usize> {
    let before = characters.get(..start)?;
    let at = before.iter().rposition(|letter| !letter.is_whitespace())?;
    (before.get(at) == Some(&'-')).then_some(at)
}
