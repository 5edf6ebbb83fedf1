//! Server-sent events as bytes: splits a stream into events, reads their data, writes events.
//!
//! Works by offsets on pieces of any size, so that many small events cost no more than one large one.
//! Does not know the meaning of events.

use std::borrow::Cow;

use memchr::memchr2;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Buffer that a stream keeps between events; a larger one is freed.
const ROOM_KEPT_BYTES: usize = 16 * 1024;

/// An event exceeds the limit, in bytes, that the splitter was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than {0} bytes")]
pub struct TooLarge(pub usize);

/// Splits a stream into events.
#[derive(Debug)]
pub struct Splitter {
    held: Vec<u8>,
    /// Offset of the current event.
    start: usize,
    /// Offset of the event's last line.
    line: usize,
    /// No line ends between `line` and this offset.
    scanned: usize,
    /// The last line ended with a CR, the last byte that had arrived; an LF next belongs to it.
    half_crlf: bool,
    at_stream_start: bool,
    bytes_max: usize,
}

/// One event with the blank line that ends it; or a comment, a byte order mark or blank lines between
/// events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a>(&'a [u8]);

/// One line of an event.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// The name before the colon; empty for a comment and for a blank line.
    pub name: &'a [u8],
    /// The value after the colon and one space.
    pub value: &'a [u8],
    /// The whole line, with its line ending.
    pub(crate) line: &'a [u8],
}

impl Splitter {
    /// A splitter that refuses events of more than `bytes_max`.
    #[must_use]
    pub fn new(bytes_max: usize) -> Splitter {
        Splitter {
            held: Vec::new(),
            start: 0,
            line: 0,
            scanned: 0,
            half_crlf: false,
            at_stream_start: true,
            bytes_max,
        }
    }

    /// Adds the next piece of the stream; [`Splitter::event`] returns the events that it completes.
    pub fn push(&mut self, piece: &[u8]) {
        // Moves only the beginning of an unfinished event, and only once per piece.
        self.held.drain(..self.start);
        self.line -= self.start;
        self.scanned -= self.start;
        self.start = 0;
        self.held.extend_from_slice(piece);
    }

    /// The next complete event; `None` until more of the stream has arrived.
    pub fn event(&mut self) -> Result<Option<Event<'_>>, TooLarge> {
        let end = self.end();
        // Also for an unfinished event, or a stream without blank lines would grow without limit.
        if end.unwrap_or(self.held.len()) - self.start > self.bytes_max {
            return Err(TooLarge(self.bytes_max));
        }
        let Some(end) = end else {
            self.relax();
            return Ok(None);
        };
        Ok(Some(self.take(end)))
    }

    /// The rest at the end of the stream: an event that lacks its blank line.
    pub fn rest(&mut self) -> Option<Event<'_>> {
        let end = self.held.len();
        (self.start < end).then(|| self.take(end))
    }

    /// Bytes of the unfinished event that is buffered.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len() - self.start
    }

    fn take(&mut self, end: usize) -> Event<'_> {
        let event = &self.held[self.start..end];
        (self.start, self.line, self.scanned) = (end, end, end);
        Event(event)
    }

    /// The offset after blank lines that end no event. All of them are returned as one event, so that
    /// millions of blank lines cost little.
    fn after_blank(&mut self, from: usize) -> usize {
        let rest = self.held[from..].iter();
        let length = rest
            .take_while(|byte| matches!(byte, b'\n' | b'\r'))
            .count();
        let after = from + length;
        self.half_crlf = after == self.held.len() && self.held.ends_with(b"\r");
        after
    }

    /// Frees the buffer of a large event once it is empty.
    fn relax(&mut self) {
        if self.start == self.held.len() && self.held.capacity() > ROOM_KEPT_BYTES {
            self.held = Vec::new();
            (self.start, self.line, self.scanned) = (0, 0, 0);
        }
    }

    /// The offset after the next event.
    fn end(&mut self) -> Option<usize> {
        if self.at_stream_start {
            if self.held.starts_with(BYTE_ORDER_MARK) {
                self.at_stream_start = false;
                return Some(BYTE_ORDER_MARK.len());
            }
            // The mark may arrive in pieces.
            if BYTE_ORDER_MARK.starts_with(&self.held) {
                return None;
            }
            self.at_stream_start = false;
        }
        loop {
            let first = *self.held.get(self.line)?;
            // The CR has ended the line already: this LF belongs to it and ends no further line.
            if std::mem::take(&mut self.half_crlf) && first == b'\n' {
                self.line += 1;
                self.scanned = self.line;
                if self.start + 1 == self.line {
                    return Some(self.line);
                }
                continue;
            }
            let Some(found) = memchr2(b'\n', b'\r', &self.held[self.scanned..]) else {
                self.scanned = self.held.len();
                return None;
            };
            let at = self.scanned + found;
            let mut after = at + 1;
            if self.held[at] == b'\r' {
                match self.held.get(after) {
                    Some(b'\n') => after += 1,
                    Some(_) => {}
                    // The event is not held back for an LF that may never come.
                    None => self.half_crlf = true,
                }
            }
            if at == self.start {
                after = self.after_blank(after);
            }
            // A comment between events is passed on without waiting for an event.
            let ends = at == self.line || (self.line == self.start && first == b':');
            self.line = after;
            self.scanned = after;
            if ends {
                return Some(after);
            }
        }
    }
}

impl<'a> Event<'a> {
    /// The bytes as received.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// All lines, comments and the blank one included.
    pub fn fields(self) -> impl Iterator<Item = Field<'a>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let at = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            let (text, end) = rest.split_at_checked(at)?;
            let end_length = match end {
                [b'\r', b'\n', ..] => 2,
                [_, ..] => 1,
                [] if text.is_empty() => return None,
                [] => 0,
            };
            let line = rest.get(..at + end_length)?;
            rest = rest.get(at + end_length..)?;
            Some(Field::read(text, line))
        })
    }

    /// The event's `data` lines, joined by line feeds; `None` if it has none.
    #[must_use]
    pub fn data(self) -> Option<Cow<'a, [u8]>> {
        let mut data: Option<Cow<'a, [u8]>> = None;
        for field in self.fields().filter(|field| field.name == b"data") {
            match &mut data {
                None => data = Some(Cow::Borrowed(field.value)),
                Some(joined) => {
                    let joined = joined.to_mut();
                    joined.push(b'\n');
                    joined.extend_from_slice(field.value);
                }
            }
        }
        data
    }

    /// Writes the event with new data, one `data` line for each line of it, with the line ending of the
    /// first old one. All other lines stay.
    pub fn write_with_data(self, data: &[u8], out: &mut Vec<u8>) {
        let mut written = false;
        for field in self.fields() {
            if field.name != b"data" {
                out.extend_from_slice(field.line);
            } else if !std::mem::replace(&mut written, true) {
                for line in data.split(|byte| *byte == b'\n') {
                    out.extend_from_slice(b"data: ");
                    out.extend_from_slice(line);
                    out.extend_from_slice(field.end());
                }
            }
        }
    }
}

impl<'a> Field<'a> {
    fn read(text: &'a [u8], line: &'a [u8]) -> Field<'a> {
        let colon = memchr::memchr(b':', text);
        let (name, value) = match colon.and_then(|at| text.split_at_checked(at)) {
            Some((name, value)) => (name, value.strip_prefix(b":").unwrap_or(value)),
            None => (text, &b""[..]),
        };
        Field {
            name,
            value: value.strip_prefix(b" ").unwrap_or(value),
            line,
        }
    }

    /// The line ending; a line feed if the stream broke off in the line.
    fn end(&self) -> &'static [u8] {
        match self.line {
            [.., b'\r', b'\n'] => b"\r\n",
            [.., b'\r'] => b"\r",
            _ => b"\n",
        }
    }

    /// Whether a client that ignores case or invisible characters takes the field for `data`, although
    /// it is not.
    #[must_use]
    pub(crate) fn resembles_data(&self) -> bool {
        let visible = self.name.iter().filter(|byte| byte.is_ascii_graphic());
        self.name != b"data" && visible.map(u8::to_ascii_lowercase).eq(*b"data")
    }
}

/// An event with this data, which must not contain a line break.
#[must_use]
pub fn encode(data: &[u8]) -> Vec<u8> {
    [b"data: ", data, b"\n\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data of a stream's events, and the bytes of all events joined.
    fn read(pieces: impl Iterator<Item = Vec<u8>>) -> (Vec<String>, Vec<u8>) {
        let mut splitter = Splitter::new(100);
        let (mut data, mut bytes) = (Vec::new(), Vec::new());
        let mut take = |event: Event<'_>| {
            data.extend(
                event
                    .data()
                    .map(|data| String::from_utf8(data.into_owned()).unwrap()),
            );
            bytes.extend_from_slice(event.bytes());
        };
        for piece in pieces {
            splitter.push(&piece);
            while let Some(event) = splitter.event().unwrap() {
                take(event);
            }
        }
        if let Some(event) = splitter.rest() {
            take(event);
        }
        assert_eq!(splitter.held(), 0);
        (data, bytes)
    }

    #[test]
    fn events_are_the_same_however_the_stream_is_cut() {
        let stream = b"\xEF\xBB\xBFdata: 0\n\n: hi\n\nid: 1\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\n\r\nevent: x\rdata:y\r\r\rdata\rdata:  z\n\n:c\rdata: cut off";
        let expected = ["0", "{\"a\":\n1}", "y", "\n z", "cut off"];
        for size in 1..=stream.len() {
            let (data, bytes) = read(stream.chunks(size).map(<[u8]>::to_vec));
            assert_eq!(data, expected, "in pieces of {size}");
            assert_eq!(bytes, stream, "in pieces of {size}");
        }
    }

    #[test]
    fn an_event_is_there_with_the_byte_that_ends_it() {
        for stream in [
            "data: 1\n\n",
            "data: 1\r\n\r\n",
            "data: 1\r\r",
            ": comment\n",
        ] {
            let mut splitter = Splitter::new(100);
            splitter.push(stream.as_bytes());
            let first = splitter.event().unwrap().unwrap();
            assert!(stream.starts_with(std::str::from_utf8(first.bytes()).unwrap()));
            while splitter.event().unwrap().is_some() {}
            assert_eq!(splitter.held(), 0, "{stream:?}");
        }
    }

    #[test]
    fn data_is_replaced_and_the_other_lines_stay() {
        let mut splitter = Splitter::new(100);
        splitter.push(b"id: 7\r\nevent: message\r\ndata: a\r\n:c\ndata: b\r\nretry: 5\r\n\r\n");
        let mut out = Vec::new();
        let event = splitter.event().unwrap().unwrap();
        event.write_with_data(b"new\nlines", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "id: 7\r\nevent: message\r\ndata: new\r\ndata: lines\r\n:c\nretry: 5\r\n\r\n"
        );
    }

    #[test]
    fn an_event_that_is_too_large_is_an_error_in_one_piece_and_in_many() {
        let mut splitter = Splitter::new(10);
        splitter.push(b"data: 1234");
        assert_eq!(splitter.event(), Ok(None));
        splitter.push(b"5");
        assert_eq!(splitter.event(), Err(TooLarge(10)));
        let mut splitter = Splitter::new(10);
        splitter.push(b"data: 12345\n\n");
        assert_eq!(splitter.event(), Err(TooLarge(10)));
    }

    #[test]
    fn names_that_a_lenient_reader_takes_for_data() {
        let resembles = |line: &[u8]| Field::read(line, line).resembles_data();
        for line in [
            &b"Data: x"[..],
            b" data: x",
            b"data\t: x",
            b"\xEF\xBB\xBFdata: x",
            b"d\0ata",
        ] {
            assert!(resembles(line), "{line:?}");
        }
        for line in [&b"data: x"[..], b"dat: x", b"datas: x", b": data: x", b""] {
            assert!(!resembles(line), "{line:?}");
        }
    }
}
