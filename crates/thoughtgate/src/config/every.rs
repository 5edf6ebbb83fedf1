//! All mistakes of a configuration file, where a parser stops at the first one.
//!
//! Each setting of the file is parsed on its own: everything else in the text is blanked out, so that the
//! mistake keeps its place. Used only for a file that is refused anyway. Knows no types: `yaml.rs` does.

use serde_saphyr::granit_parser::{Event, Parser, Span, StructureStyle};

use super::{Config, yaml};
use crate::mistakes::Mistakes;
use crate::overlay::SETTINGS;

/// More mistakes, or entries to look at, help nobody; each takes a parse of the file.
const MAX: usize = 100;

/// The mistakes of `text`, of which `first` is the one that its parser stops at.
pub fn mistakes(text: &str, first: String) -> Mistakes {
    let mut found = Mistakes::default();
    let characters: Vec<char> = text.chars().collect();
    if let Some(root) = root(text) {
        let mut entries = Vec::new();
        collect(&root, "", &Kept::default(), characters.len(), &mut entries);
        for kept in entries.iter().take(MAX) {
            // An anchor may be in the part that is blanked out.
            if let Err(fault) = yaml::parse::<Config>(&kept.of(&characters))
                && !fault.to_string().ends_with(yaml::UNDEFINED)
            {
                found.add(fault.to_string());
            }
        }
    }
    // What no entry has on its own: a syntax error, or a key that is there twice.
    found.add(first);
    found
}

/// A value, as far as its place and its entries matter.
enum Node {
    Mapping {
        span: (usize, usize),
        flow: bool,
        /// Key, its start, and the value.
        entries: Vec<(String, usize, Node)>,
    },
    Other,
}

/// The value of the only document.
fn root(text: &str) -> Option<Node> {
    let mut parser = Parser::new_from_str(text);
    loop {
        let (event, span) = next(&mut parser)?;
        match event {
            Event::StreamStart | Event::DocumentStart(..) => {}
            event => return node(&mut parser, &event, span),
        }
    }
}

type Events<'t> = Parser<'t, serde_saphyr::granit_parser::StrInput<'t>>;

/// The next event that is of a value.
fn next<'t>(parser: &mut Events<'t>) -> Option<(Event<'t>, Span)> {
    loop {
        let (event, span) = parser.next_event()?.ok()?;
        if !matches!(event, Event::Comment(..) | Event::Anchor(..)) {
            return Some((event, span));
        }
    }
}

fn node(parser: &mut Events<'_>, event: &Event<'_>, span: Span) -> Option<Node> {
    match event {
        Event::MappingStart(style, ..) => {
            let mut entries = Vec::new();
            loop {
                let (key, at) = next(parser)?;
                if key == Event::MappingEnd {
                    let flow = *style == StructureStyle::Flow;
                    let span = (span.start.index(), at.end.index());
                    return Some(Node::Mapping {
                        span,
                        flow,
                        entries,
                    });
                }
                let name = match &key {
                    Event::Scalar(name, ..) => name.clone().into_owned(),
                    _ => String::new(),
                };
                node(parser, &key, at)?;
                let (value, place) = next(parser)?;
                entries.push((name, at.start.index(), node(parser, &value, place)?));
            }
        }
        Event::SequenceStart(..) => loop {
            let (item, at) = next(parser)?;
            if item == Event::SequenceEnd {
                return Some(Node::Other);
            }
            node(parser, &item, at)?;
        },
        _ => Some(Node::Other),
    }
}

/// The parts of a text that stay, by positions of characters.
#[derive(Debug, Clone, Default)]
struct Kept(Vec<(usize, usize)>);

impl Kept {
    fn with(&self, start: usize, end: usize) -> Kept {
        let mut parts = self.0.clone();
        parts.push((start, end));
        Kept(parts)
    }

    fn of(&self, characters: &[char]) -> String {
        let is_kept = |at: usize| {
            self.0
                .iter()
                .any(|(start, end)| (*start..*end).contains(&at))
        };
        let letters = characters.iter().enumerate();
        letters
            .map(|(at, letter)| match letter {
                '\n' => '\n',
                letter if is_kept(at) => *letter,
                _ => ' ',
            })
            .collect()
    }
}

/// Adds what has to stay for each setting below `node`, which is at `path` and ends before `end`.
fn collect(node: &Node, path: &str, kept: &Kept, end: usize, found: &mut Vec<Kept>) {
    let Node::Mapping {
        span,
        flow,
        entries,
    } = node
    else {
        return;
    };
    let end = if *flow { span.1 } else { end };
    for (number, (name, start, value)) in entries.iter().enumerate() {
        let next = entries.get(number + 1).map_or(end, |(_, start, _)| *start);
        // The brackets of a mapping on one line.
        let around = if *flow {
            kept.with(span.0, span.0 + 1)
                .with(span.1.saturating_sub(1), span.1)
        } else {
            kept.clone()
        };
        let path = format!("{path}{name}");
        let below = format!("{path}.");
        let is_section = SETTINGS
            .iter()
            .any(|setting| setting.path.starts_with(&below));
        match value {
            Node::Mapping { span, entries, .. } if is_section && !entries.is_empty() => {
                collect(value, &below, &around.with(*start, span.0), next, found);
            }
            _ => found.push(around.with(*start, next)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All mistakes of a file.
    fn all(text: &str) -> Vec<String> {
        let first = yaml::parse::<Config>(text).unwrap_err().to_string();
        let error = anyhow::Error::new(mistakes(text, first));
        crate::mistakes::lines(&error)
    }

    #[test]
    fn every_setting_has_its_own_mistake() {
        let found = all("\
# é
listen: SECRET  # SECRET
upstream:
  url: http://a/mcp
  nam: SECRET
limits: {depth: x, body_bytes: 5, connections: -1}
timeouts:
  head: 30
  # a comment
  body: 10s

  drain: soon
tool_groups:
  a: [b]
  c: SECRET
approval:
  slack:
    approvers: SECRET
    channel: C0
audit: stdout
lsten: SECRET
workers: 3
");
        let expected = [
            "line 2, column 9: `listen`: ",
            "line 5, column 3: `upstream`: unknown key `nam`; did you mean `name`? ",
            "line 6, column 17: `limits.depth`: ",
            "line 6, column 48: `limits.connections`: ",
            "line 8, column 3: `timeouts.head`: expected a duration with its unit",
            "line 12, column 3: `timeouts.drain`: ",
            "line 15, column 6: `tool_groups`: ",
            "line 18, column 16: `approval.slack.approvers`: ",
            "line 21, column 1: unknown key `lsten`; did you mean `listen`? ",
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}\n{expected}");
        }
        assert!(!found.concat().contains("SECRET"), "{found:?}");
    }

    #[test]
    fn the_first_mistake_is_never_lost() {
        for text in [
            "workers: 1\nworkers: 2\n",
            "a: [",
            "- a",
            "workers: &a x\nlimits: {depth: *a}\n",
            "upstream: *a\n",
            "? [a]\n: b\n",
            "{a: {b: c}, listen: x}",
        ] {
            let first = yaml::parse::<Config>(text).unwrap_err().to_string();
            assert!(all(text).contains(&first), "{text}");
        }
    }
}
