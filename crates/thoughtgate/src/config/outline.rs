//! The outline of a YAML text: its values with their places, and their entries.
//!
//! Knows no settings and no types; `yaml.rs` reads values.

use serde_saphyr::granit_parser::{
    Event, Marker, Parser, ScalarStyle, Span, StrInput, StructureStyle,
};

/// A value.
pub struct Node {
    pub start: Place,
    /// Position behind its last character.
    pub end: usize,
    pub kind: Kind,
}

/// What a value consists of.
pub enum Kind {
    /// Key, its place, and the value.
    Mapping(Style, Vec<(String, Place, Node)>),
    List(Style, Vec<Node>),
    /// Nothing, or a word for it.
    Null,
    Single,
}

/// Whether the entries of a value are between brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Brackets,
    Lines,
}

/// A place in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Number of the characters before it.
    pub index: usize,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
}

impl Place {
    fn of(marker: &Marker) -> Place {
        Place {
            index: marker.index(),
            line: marker.line(),
            column: marker.col() + 1,
        }
    }
}

/// The first document's value; `None` if the text is not YAML.
pub fn outline(text: &str) -> Option<Node> {
    let mut parser = Parser::new_from_str(text);
    loop {
        let (event, span) = next(&mut parser)?;
        match event {
            Event::StreamStart | Event::DocumentStart(..) => {}
            event => return node(&mut parser, &event, span),
        }
    }
}

type Events<'t> = Parser<'t, StrInput<'t>>;

/// The next event that is of a value.
fn next<'t>(parser: &mut Events<'t>) -> Option<(Event<'t>, Span)> {
    loop {
        let (event, span) = parser.next_event()?.ok()?;
        if !matches!(event, Event::Comment(..) | Event::Anchor(..)) {
            return Some((event, span));
        }
    }
}

fn style(style: StructureStyle) -> Style {
    if style == StructureStyle::Flow {
        Style::Brackets
    } else {
        Style::Lines
    }
}

fn node(parser: &mut Events<'_>, event: &Event<'_>, span: Span) -> Option<Node> {
    let mut end = span.end.index();
    let kind = match event {
        Event::MappingStart(of, ..) => {
            let mut entries = Vec::new();
            loop {
                let (key, at) = next(parser)?;
                if key == Event::MappingEnd {
                    end = at.end.index();
                    break Kind::Mapping(style(*of), entries);
                }
                let name = match &key {
                    Event::Scalar(name, ..) => name.clone().into_owned(),
                    _ => String::new(),
                };
                node(parser, &key, at)?;
                let (value, place) = next(parser)?;
                entries.push((name, Place::of(&at.start), node(parser, &value, place)?));
            }
        }
        Event::SequenceStart(of, ..) => {
            let mut items = Vec::new();
            loop {
                let (item, at) = next(parser)?;
                if item == Event::SequenceEnd {
                    end = at.end.index();
                    break Kind::List(style(*of), items);
                }
                items.push(node(parser, &item, at)?);
            }
        }
        Event::Scalar(text, ScalarStyle::Plain, ..)
            if matches!(&**text, "" | "~" | "null" | "Null" | "NULL") =>
        {
            Kind::Null
        }
        _ => Kind::Single,
    };
    Some(Node {
        start: Place::of(&span.start),
        end,
        kind,
    })
}
