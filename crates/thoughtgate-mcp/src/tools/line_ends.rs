//! Where lines end in a stream of events, for clients that differ in it.

use super::begins;
use super::events::Refused;
use crate::sse::Event;

/// How lines end in a stream. Some clients end them at line feeds alone: where others see a CR end
/// one, they would find other lines, and other events.
#[derive(Debug, Default)]
pub(super) struct LineEnds {
    at_line_feeds: bool,
    at_returns: bool,
    /// The last byte was a CR; an LF would be its second half.
    after_return: bool,
    /// The first line of the stream begins a message that a client could find the end of in the lines
    /// after it, if CRs end none for it. `None` before there is one.
    open: Option<bool>,
}

impl LineEnds {
    /// Refuses an event by whose lines both ways occur in the stream, and one that continues the first
    /// line where no CR ends it. How its blank line ends counts for the next one: half of it may not
    /// have arrived.
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

/// Whether the first line of an event is data that more has to follow to be a message. `None` where no
/// line has anything to be seen in it.
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

/// Whether the object or array that begins the line ends in it, which is enough for readers that skip
/// what follows: the first line of a message printed over many does not.
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
