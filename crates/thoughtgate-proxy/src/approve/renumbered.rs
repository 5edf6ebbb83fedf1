//! Gives an answer another id while it passes in pieces: JSON, or the one event of a stream that is the
//! answer.

use bytes::Bytes;
use thoughtgate_mcp::{Renumber, reply, sse};

use super::stream::HELD_BYTES_MAX;
use crate::message::Raw;

/// An answer that passes.
pub struct Renumbered(Form);

enum Form {
    Same,
    Json(Renumber),
    Events(Box<Events>),
}

struct Events {
    id: Raw,
    splitter: sse::Splitter,
    /// Once an event was too large to be held: most likely the answer, in one line.
    large: Option<Renumber>,
}

impl Renumbered {
    /// It keeps its id, and all else.
    pub fn same() -> Renumbered {
        Renumbered(Form::Same)
    }

    pub fn json(id: &Raw) -> Renumbered {
        Renumbered(Form::Json(Renumber::new(id.get())))
    }

    pub fn events(id: &Raw) -> Renumbered {
        Renumbered(Form::Events(Box::new(Events {
            id: id.clone(),
            splitter: sse::Splitter::new(HELD_BYTES_MAX),
            large: None,
        })))
    }

    /// The next piece as it is to be sent; empty while an event is not complete.
    pub fn piece(&mut self, piece: Bytes) -> Bytes {
        match &mut self.0 {
            Form::Same => piece,
            Form::Json(renumber) => renumber.piece(&piece).into(),
            Form::Events(events) => events.piece(&piece).into(),
        }
    }

    /// The rest, at the end of the answer.
    pub fn end(&mut self) -> Bytes {
        match &mut self.0 {
            Form::Events(events) => {
                let rest = events.splitter.rest();
                rest.map_or_else(Bytes::new, |rest| renumbered(rest, &events.id).into())
            }
            Form::Same | Form::Json(_) => Bytes::new(),
        }
    }
}

impl Events {
    fn piece(&mut self, piece: &[u8]) -> Vec<u8> {
        if let Some(large) = &mut self.large {
            return large.piece(piece);
        }
        let mut out = Vec::with_capacity(piece.len());
        self.splitter.push(piece);
        loop {
            match self.splitter.event() {
                Ok(Some(event)) => out.extend_from_slice(&renumbered(event, &self.id)),
                Ok(None) => return out,
                Err(_) => break,
            }
        }
        let held = self.splitter.rest().map_or(&b""[..], sse::Event::bytes);
        let data = held
            .windows(b"data:".len())
            .position(|part| part == b"data:");
        let data = data.map_or(held.len(), |at| at + b"data:".len());
        let (fields, data) = held.split_at(data);
        out.extend_from_slice(fields);
        let large = self.large.insert(Renumber::new(self.id.get()));
        out.extend_from_slice(&large.piece(data));
        out
    }
}

/// The event with another id, if it is an answer: requests of the server have ids of their own.
fn renumbered(event: sse::Event<'_>, id: &Raw) -> Vec<u8> {
    let data = event.data().filter(|data| reply::answer(data).is_some());
    let Some(data) = data else {
        return event.bytes().to_vec();
    };
    let mut out = Vec::with_capacity(event.bytes().len());
    event.write_with_data(&Renumber::new(id.get()).piece(&data), &mut out);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn id() -> Raw {
        let body = Bytes::from_static(br#""new""#);
        let value: &RawValue = serde_json::from_slice(&body).unwrap();
        Raw::of(&body, value.into())
    }

    fn passed(stream: &str, pieces: usize) -> String {
        let mut renumbered = Renumbered::events(&id());
        let mut out = Vec::new();
        for piece in stream.as_bytes().chunks(pieces) {
            out.extend_from_slice(&renumbered.piece(Bytes::copy_from_slice(piece)));
        }
        out.extend_from_slice(&renumbered.end());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_the_answer_gets_another_id() {
        let before = ": hi\n\nid: 1\ndata:\n\ndata: {\"id\":7,\"method\":\"ping\"}\n\n";
        let stream = format!(
            "{before}event: message\nid: 2\ndata: {{\"id\":7,\ndata: \"result\":{{\"id\":7}}}}\n\n"
        );
        for pieces in [1, 5, 1000] {
            assert_eq!(
                passed(&stream, pieces),
                format!(
                    "{before}event: message\nid: 2\ndata: {{\"id\":\"new\",\ndata: \"result\":{{\"id\":7}}}}\n\n"
                )
            );
        }
        // A stream that ends without its last blank line.
        assert_eq!(
            passed("data: {\"id\":7,\"result\":{}}", 3),
            "data: {\"id\":\"new\",\"result\":{}}\n"
        );
    }

    #[test]
    fn an_answer_that_is_too_large_to_be_held_gets_another_id_too() {
        let text = "x".repeat(2 * HELD_BYTES_MAX);
        let of = |id: &str| {
            format!("id: 1\ndata: {{\"result\":{{\"id\":7,\"a\":\"{text}\"}},\"id\":{id}}}\n\n")
        };
        assert!(passed(&of("7"), 10_000) == of("\"new\""));
    }
}
