//! Refuses streams of events whose lines clients could split differently.

use super::error::Refused;
use super::list::begins;
use crate::sse::Event;

/// The line endings that occur in a stream. Some clients end lines at LF only: in a stream with CR
/// alone as a line ending they would find different lines, and so different events.
#[derive(Debug, Default)]
pub(super) struct LineEnds {
    /// A line ended with LF alone.
    at_line_feeds: bool,
    /// A line ended with CR alone.
    at_returns: bool,
    /// The last byte was a CR; an LF next belongs to it.
    after_return: bool,
    /// Whether the first line of the stream begins a message that does not end in it: a client to which
    /// CR is not a line ending could find its end in later lines. `None` before the first line.
    open: Option<bool>,
}

impl LineEnds {
    /// Refuses an event if the stream has both CR and LF as line endings, or CR endings after an open
    /// first line. The ending of the event's blank line counts for the next event, since half of it may
    /// not have arrived yet.
    pub(super) fn check(&mut self, event: Event<'_>) -> Result<(), Refused> {
        let bytes = event.bytes();
        let last = match bytes {
            [b'\r' | b'\n', ..] => bytes.len(),
            [.., b'\r', b'\n'] => 2,
            [.., b'\r' | b'\n'] => 1,
            _ => 0,
        };
        let (lines, last) = bytes.split_at(bytes.len() - last);
        self.take(lines);
        self.open = self.open.or_else(|| leaves_open(event));
        let open = self.open == Some(true);
        if !lines.is_empty() && self.at_returns && (self.at_line_feeds || open) {
            return Err(Refused::Lines);
        }
        self.take(last);
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) {
        let Some(first) = bytes.first() else {
            return;
        };
        self.at_returns |= std::mem::take(&mut self.after_return) && *first != b'\n';
        for at in memchr::memchr2_iter(b'\n', b'\r', bytes) {
            match (bytes.get(at), bytes.get(at + 1)) {
                (Some(b'\n'), _) => self.at_line_feeds = true,
                (_, Some(b'\n')) => {}
                (_, Some(_)) => self.at_returns = true,
                (_, None) => self.after_return = true,
            }
        }
    }
}

/// Whether the first line of an event is data that is not a complete message. `None` if all lines are
/// empty or invisible.
fn leaves_open(event: Event<'_>) -> Option<bool> {
    let mut fields = event.fields();
    let first = fields.find(|field| begins(field.line).is_some())?;
    let more_follows = match begins(first.value) {
        Some('{' | '[') => !is_closed(first.value),
        Some(_) => false,
        None => true,
    };
    Some(first.name == b"data" && more_follows)
}

/// Whether the object or array at the beginning of the line ends in it. That is enough for parsers that
/// ignore trailing text. The first line of a message that is printed over many lines does not end.
pub(super) fn is_closed(line: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_i64, false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => {
                depth -= 1;
                if depth <= 0 {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}
