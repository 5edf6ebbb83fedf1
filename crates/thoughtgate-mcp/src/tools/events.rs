//! Filters lists of tools in a stream of events, as the stream arrives.
//!
//! An event is buffered until it is complete. A line that a client more lenient than the specification
//! could take for data is filtered as data, or ends the stream with an error.

use memchr::memmem;

use super::choose::Choose;
use super::error::{Refused, Unreadable};
use super::line_ends::{LineEnds, is_closed};
use super::list::{Filtered, filter, may_list};
use crate::headers::Era;
use crate::sse::{Event, Field, Splitter};

/// A stream of events from which tools are removed.
#[derive(Debug)]
pub struct Events {
    splitter: Splitter,
    ends: LineEnds,
    era: Era,
    /// Searches for `data`.
    finder: memmem::Finder<'static>,
}

impl Events {
    /// A filter that refuses events of more than `bytes_max`.
    #[must_use]
    pub fn new(era: Era, bytes_max: usize) -> Events {
        Events {
            splitter: Splitter::new(bytes_max),
            ends: LineEnds::default(),
            era,
            finder: memmem::Finder::new("data"),
        }
    }

    /// Filters the next piece of the stream and writes the complete events to `out`. On an error, `out`
    /// has the events before the refused one. `choose` decides about each tool.
    pub fn push(
        &mut self,
        piece: &[u8],
        choose: &mut dyn Choose,
        out: &mut Vec<u8>,
    ) -> Result<(), Refused> {
        self.splitter.push(piece);
        while let Some(event) = self.splitter.event()? {
            // Checked before it is filtered: a stream that clients split differently has no one list.
            self.ends.check(event)?;
            pass(event, &self.finder, self.era, choose, out)?;
        }
        Ok(())
    }

    /// Filters the rest at the end of the stream. An event that lacks its blank line is filtered like
    /// any other, since some clients accept it.
    pub fn finish(&mut self, choose: &mut dyn Choose, out: &mut Vec<u8>) -> Result<(), Refused> {
        match self.splitter.rest() {
            Some(event) => {
                self.ends.check(event)?;
                pass(event, &self.finder, self.era, choose, out)
            }
            None => Ok(()),
        }
    }

    /// Bytes that are buffered because their event is incomplete.
    #[must_use]
    pub fn held(&self) -> usize {
        self.splitter.held()
    }
}

fn pass(
    event: Event<'_>,
    finder: &memmem::Finder<'_>,
    era: Era,
    choose: &mut dyn Choose,
    out: &mut Vec<u8>,
) -> Result<(), Refused> {
    if matches!(event.bytes(), [b'\r' | b'\n', ..]) {
        out.extend_from_slice(event.bytes());
        return Ok(());
    }
    let resembles = |field: Field<'_>| {
        // A line of plain JSON: a client that ignores Content-Type could read it as the answer.
        field.resembles_data() || (field.name != b"data" && may_list(field.line))
    };
    if has_hidden_data(event.bytes(), finder) || event.fields().any(resembles) {
        return Err(Refused::Lines);
    }
    let Some(data) = event.data() else {
        out.extend_from_slice(event.bytes());
        return Ok(());
    };
    match read(&data, era, choose)? {
        Filtered::Unchanged => {
            check_lines(&data, choose)?;
            out.extend_from_slice(event.bytes());
        }
        Filtered::Changed(message) => {
            check_lines(&message, choose)?;
            event.write_with_data(&message, out);
        }
    }
    Ok(())
}

/// Filters the data of an event of any type, since some clients ignore the type. Text that is not JSON,
/// such as `ping`, passes.
fn read(data: &[u8], era: Era, choose: &mut dyn Choose) -> Result<Filtered, Unreadable> {
    match filter(data, era, choose) {
        Err(Unreadable::NotJson) if !may_list(data) => Ok(Filtered::Unchanged),
        read => read,
    }
}

/// Characters at which some clients end a line, besides CR and LF.
const LINE_ENDS: [&[u8]; 8] = [
    b"\x0B",
    b"\x0C",
    b"\x1C",
    b"\x1D",
    b"\x1E",
    b"\xC2\x85",
    b"\xE2\x80\xA8",
    b"\xE2\x80\xA9",
];

/// Refuses data in which a single line is a list of tools with tools to remove: some clients read each
/// line of data as a message.
fn check_lines(data: &[u8], choose: &mut dyn Choose) -> Result<(), Refused> {
    if !data.contains(&b'\n') {
        return Ok(());
    }
    for line in data.split(|byte| *byte == b'\n') {
        // As a legacy message: in the modern era a list may count as changed for its `cacheScope` alone.
        match filter(line, Era::Legacy, choose) {
            Ok(Filtered::Changed(_)) | Err(Unreadable::Ambiguous) => return Err(Refused::Lines),
            // Some parsers accept a lone surrogate or `NaN`.
            Err(Unreadable::NotJson) if is_closed(line) && may_list(line) => {
                return Err(Refused::Lines);
            }
            Ok(Filtered::Unchanged) | Err(Unreadable::NotJson) => {}
        }
    }
    Ok(())
}

/// Whether a client that ends lines at more characters, as Python's `splitlines` does, finds different
/// data: a `data` field after such a character, or an event that ends between two lines of data.
fn has_hidden_data(bytes: &[u8], finder: &memmem::Finder<'_>) -> bool {
    let ends_line = |before: &[u8]| LINE_ENDS.iter().any(|end| before.ends_with(end));
    let before = |at: usize| bytes.get(..at).unwrap_or_default();
    if finder.find_iter(bytes).any(|at| ends_line(before(at))) {
        return true;
    }
    // A blank line only matters if data comes after it.
    let last_data = finder.find_iter(bytes).last().unwrap_or_default();
    let starts = |(_, byte): &(usize, &u8)| matches!(byte, 0x0B | 0x0C | 0x1C..=0x1E | 0xC2 | 0xE2);
    let data = bytes.get(..last_data).unwrap_or_default();
    data.iter().enumerate().filter(starts).any(|(at, _)| {
        let (before, rest) = bytes.split_at(at);
        let Some(after) = LINE_ENDS.iter().find_map(|end| rest.strip_prefix(*end)) else {
            return false;
        };
        let line_break = |byte: Option<&u8>| matches!(byte, Some(b'\n' | b'\r'));
        line_break(before.last())
            || line_break(after.first())
            || LINE_ENDS.iter().any(|end| after.starts_with(end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{"id":1,"result":{"tools":[{"name":"a"},{"name":"b"}]}}"#;
    const CUT: &str = r#"{"id":1,"result":{"tools":[{"name":"a"}]}}"#;

    /// The filtered stream, which must be the same for pieces of any size.
    fn filtered(stream: impl AsRef<[u8]>) -> Result<String, Refused> {
        let stream = stream.as_ref();
        let in_pieces = |size: usize| {
            let mut events = Events::new(Era::Legacy, 1000);
            let keep = &mut |name: &str| name == "a";
            let mut out = Vec::new();
            let mut refused = Ok(());
            for piece in stream.chunks(size) {
                refused = refused.and_then(|()| events.push(piece, keep, &mut out));
            }
            refused = refused.and_then(|()| events.finish(keep, &mut out));
            (refused, String::from_utf8(out).unwrap())
        };
        let (refused, out) = in_pieces(stream.len());
        for size in 1..stream.len() {
            assert_eq!(
                in_pieces(size),
                (refused, out.clone()),
                "in pieces of {size}"
            );
        }
        refused.map(|()| out)
    }

    #[test]
    fn lists_are_cut_and_all_else_stays() {
        for (stream, expected) in [
            (
                format!("id: 1\r\ndata: {LIST}\r\n\r\n"),
                format!("id: 1\r\ndata: {CUT}\r\n\r\n"),
            ),
            (
                format!("\u{feff}data:{LIST}\n\n"),
                format!("\u{feff}data: {CUT}\n\n"),
            ),
            (format!("data: {LIST}\r\r"), format!("data: {CUT}\r\r")),
            (
                format!("data: {LIST}\ndata\ndata:\n\n"),
                format!("data: {CUT}\ndata: \ndata: \n\n"),
            ),
            (
                format!("event: ping\ndata: {LIST}\n\n"),
                format!("event: ping\ndata: {CUT}\n\n"),
            ),
            (format!("data: [{LIST}]\n\n"), format!("data: [{CUT}]\n\n")),
            (
                format!(": c\ndata: 1\n\ndata: {LIST}"),
                format!(": c\ndata: 1\n\ndata: {CUT}\n"),
            ),
        ] {
            assert_eq!(filtered(&stream), Ok(expected), "{stream:?}");
        }
        for stream in [
            "event: ping\ndata: ping\n\n: c\r\n\r\n\r\n\ndata\n\nid: 5\ndata: \n\n",
            "data: [DONE]\n\ndata: {\"a\":NaN}\n\nretry: 1\n\n",
            "data: {\"a\":\ndata: 1}\n\nid: half",
            "\n\n\n\r\n",
            ": c\rdata: 1\r\r\rdata\rdata: 2",
        ] {
            assert_eq!(filtered(stream).as_deref(), Ok(stream));
        }
    }

    #[test]
    fn a_list_over_many_lines_stays_a_whole_event() {
        let lines =
            "{ \"result\":\n{\"tools\": [\n{\n\"name\": \"a\"\n},\n{\"name\": \"b\"}\n]\n}}";
        let data = |text: &str| text.replace('\n', "\ndata: ");
        let out = filtered(format!("event: message\ndata: {}\n\n", data(lines)));
        let cut = "{ \"result\":\n{\"tools\": [{\n\"name\": \"a\"\n}]\n}}";
        assert_eq!(out, Ok(format!("event: message\ndata: {}\n\n", data(cut))));
    }

    #[test]
    fn what_another_reader_could_take_for_a_list_is_refused() {
        for stream in [
            format!("Data: {LIST}\n\n"),
            format!(" data: {LIST}\n\n"),
            format!("data : {LIST}\n\n"),
            format!("data: 1\n\n\u{feff}data: {LIST}\n\n"),
            format!("id: \u{2028}data: {LIST}\n\n"),
            format!(": \u{b}data: {LIST}\n\n"),
            format!("data: {{\"a\":\ndata: {LIST}\ndata: }}\n\n"),
            format!("data: {LIST}\0\n\n"),
            // A client that ends lines at line feeds finds no `1` before the list.
            format!("\rdata: 1\ndata: {LIST}\n\n"),
            // A client that ends lines at line feeds finds no end of the first line.
            "data: {\"a\":1,\"result\"\r:{\"tools\":[{\"name\":\"b\"}]}}".to_owned(),
            "\r\u{feff}\rdata: {\"a\":1,\r\r\"result\":{\"tools\":[{\"name\":\"b\"}]}}\r\r"
                .to_owned(),
            format!("\u{feff}data: \r\r{LIST}\r\r"),
            format!("data\r: {LIST}\r"),
            "data: {\"result\":{\"a\":1,\n\rdata:\ndata: \"tools\":[{\"name\":\"b\"}]}}\n\n"
                .to_owned(),
            format!("data: {LIST}{LIST}\n\n"),
            format!("data: 1\u{85}\ndata: {LIST}\n\n"),
            format!("data: 1\n\u{b}id: 2\ndata: {LIST}\n\n"),
            format!("data: 1\u{2028}\u{c}:\ndata: {LIST}\n\n"),
            "data: 1\ndata: {\"result\":{\"tools\":[{\"name\":\"b\"}]},\"\\ud800\":1}\n\n"
                .to_owned(),
            format!("data: 1\ndata: {LIST}}}\n\n"),
            format!("{LIST}\n\n"),
            format!("id: 1\n {LIST}"),
            format!("data: 1\ndata: {LIST},[\n\n"),
            format!("event: x\ndata: {LIST},\n\n"),
            "data: {\"result\":{\"tools\":[],\"Tools\":[]}}\n\n".to_owned(),
        ] {
            assert!(filtered(&stream).is_err(), "{stream:?}");
        }
        assert!(filtered(b"data: {\"result\":{\"tools\":[\"\xff\"]}}\n\n").is_err());
        assert!(matches!(
            filtered("data:".repeat(300)),
            Err(Refused::TooLarge(_))
        ));
    }

    #[test]
    fn what_comes_before_a_refused_event_is_passed_on() {
        let mut events = Events::new(Era::Legacy, 20);
        let mut out = Vec::new();
        let stream = format!("data: 1\n\n{}", "x".repeat(30));
        assert!(
            events
                .push(stream.as_bytes(), &mut |_: &str| true, &mut out)
                .is_err()
        );
        assert_eq!(out, b"data: 1\n\n");
    }
}
