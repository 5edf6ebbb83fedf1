//! Server-sent events as bytes: where one ends, what its data is, how to write one.
//!
//! Works on whatever pieces a stream arrives in. Knows nothing of what events mean.

use std::borrow::Cow;

/// More bytes without an event's end than are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than {0} bytes")]
pub struct TooLarge(pub usize);

/// Cuts a stream into events.
#[derive(Debug)]
pub struct Splitter {
    pending: Vec<u8>,
    scanned: usize,
    bytes_max: usize,
}

/// One event (or comment) with the blank line that ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event(Vec<u8>);

impl Splitter {
    /// Holds at most `bytes_max` of an unfinished event.
    #[must_use]
    pub fn new(bytes_max: usize) -> Splitter {
        Splitter {
            pending: Vec::new(),
            scanned: 0,
            bytes_max,
        }
    }

    /// The events that `bytes` complete.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLarge> {
        self.pending.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.event_end() {
            let rest = self.pending.split_off(end);
            events.push(Event(std::mem::replace(&mut self.pending, rest)));
            self.scanned = 0;
        }
        if self.pending.len() > self.bytes_max {
            Err(TooLarge(self.bytes_max))
        } else {
            Ok(events)
        }
    }

    /// The offset after the first blank line. A CR at the very end may be half a CRLF: it waits.
    fn event_end(&mut self) -> Option<usize> {
        let bytes = &self.pending;
        let mut line_start = self.scanned;
        let mut at = line_start;
        while let Some(byte) = bytes.get(at) {
            let after = match byte {
                b'\n' => at + 1,
                b'\r' => match bytes.get(at + 1) {
                    Some(b'\n') => at + 2,
                    Some(_) => at + 1,
                    None => return None,
                },
                _ => {
                    at += 1;
                    continue;
                }
            };
            if at == line_start {
                return Some(after);
            }
            line_start = after;
            at = after;
            self.scanned = line_start;
        }
        None
    }
}

impl Event {
    /// The event's `data` lines joined, `None` where it has none.
    #[must_use]
    pub fn data(&self) -> Option<Cow<'_, [u8]>> {
        let mut data: Option<Cow<'_, [u8]>> = None;
        for line in lines(&self.0) {
            let Some(value) = field(line, b"data") else {
                continue;
            };
            data = Some(match data {
                None => Cow::Borrowed(value),
                Some(earlier) => Cow::Owned([&earlier, &b"\n"[..], value].concat()),
            });
        }
        data
    }

    /// The same event with other data, which must hold no line break.
    #[must_use]
    pub fn with_data(&self, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len());
        for line in lines(&self.0) {
            if !line.is_empty() && field(line, b"data").is_none() {
                bytes.extend_from_slice(line);
                bytes.push(b'\n');
            }
        }
        bytes.extend_from_slice(&encode(data));
        bytes
    }

    /// The bytes as they came.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// An event with this data, which must hold no line break.
#[must_use]
pub fn encode(data: &[u8]) -> Vec<u8> {
    [b"data: ", data, b"\n\n"].concat()
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    // CRLF gives an empty line between its two halves, which is skipped like the one at the end.
    bytes
        .split(|byte| *byte == b'\n' || *byte == b'\r')
        .filter(|line| !line.is_empty())
}

fn field<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let rest = line.strip_prefix(name)?;
    match rest.strip_prefix(b":") {
        Some(value) => Some(value.strip_prefix(b" ").unwrap_or(value)),
        None => rest.is_empty().then_some(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_however_the_stream_is_cut() {
        let stream = b": hi\n\nid: 1\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\nevent: x\rdata:y\r\rdata: z\n\ndata: cut off";
        let whole: Vec<Event> = Splitter::new(100).push(stream).unwrap();
        let data: Vec<Option<String>> = whole
            .iter()
            .map(|event| {
                event
                    .data()
                    .map(|data| String::from_utf8(data.into_owned()).unwrap())
            })
            .collect();
        assert_eq!(
            data,
            [
                None,
                Some("{\"a\":\n1}".to_owned()),
                Some("y".to_owned()),
                Some("z".to_owned())
            ]
        );
        for size in 1..stream.len() {
            let mut splitter = Splitter::new(100);
            let pieces: Vec<Event> = stream
                .chunks(size)
                .flat_map(|piece| splitter.push(piece).unwrap())
                .collect();
            assert_eq!(pieces, whole, "in pieces of {size}");
        }
        let length: usize = whole
            .iter()
            .map(|event| event.clone().into_bytes().len())
            .sum();
        assert_eq!(&stream[length..], b"data: cut off");
    }

    #[test]
    fn data_is_replaced_and_the_other_fields_stay() {
        let event = &Splitter::new(100)
            .push(b"id: 7\r\nevent: message\r\ndata: a\r\ndata: b\r\nretry: 5\r\n\r\n")
            .unwrap()[0];
        assert_eq!(
            event.with_data(b"new"),
            b"id: 7\nevent: message\nretry: 5\ndata: new\n\n"
        );
    }

    #[test]
    fn an_endless_event_is_an_error() {
        let mut splitter = Splitter::new(10);
        assert!(splitter.push(b"data: 1234").is_ok());
        assert_eq!(splitter.push(b"5").unwrap_err(), TooLarge(10));
    }
}
