//! Readers of event streams as clients have them: the specification's, and more lenient ones. Shares
//! no code with the product.

/// How one client reads a stream.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// Ends of lines.
    pub lines: Lines,
    /// Whether the name of a field may differ in case and in white space around it.
    pub lenient_names: bool,
    /// Form of one message.
    pub message: Message,
    /// Whether an event counts that the end of the stream cuts off.
    pub keeps_the_last: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// LF, CRLF or CR: the specification.
    Specified,
    /// LF, with a CR before it taken off.
    LineFeeds,
    /// Also where Unicode ends one: Python's `splitlines`.
    Unicode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// The data lines of an event, joined by line feeds: the specification.
    Joined,
    /// The same, joined by nothing.
    JoinedTightly,
    /// Each data line.
    EachLine,
}

/// The specification, and each leniency that clients are known to have.
pub const CLIENTS: &[Client] = &[
    SPECIFIED,
    Client {
        keeps_the_last: true,
        ..SPECIFIED
    },
    Client {
        keeps_the_last: true,
        lines: Lines::LineFeeds,
        ..SPECIFIED
    },
    Client {
        keeps_the_last: true,
        lines: Lines::Unicode,
        ..SPECIFIED
    },
    Client {
        keeps_the_last: true,
        lenient_names: true,
        ..SPECIFIED
    },
    Client {
        keeps_the_last: true,
        message: Message::JoinedTightly,
        ..SPECIFIED
    },
    Client {
        keeps_the_last: true,
        message: Message::EachLine,
        ..SPECIFIED
    },
];

const SPECIFIED: Client = Client {
    lines: Lines::Specified,
    lenient_names: false,
    message: Message::Joined,
    keeps_the_last: false,
};

impl Client {
    /// The messages that this client gets from a stream.
    pub fn messages(self, stream: &[u8]) -> Vec<String> {
        let text = String::from_utf8_lossy(stream);
        // The specification ignores one byte order mark at the start.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let (mut messages, mut data) = (Vec::new(), Vec::new());
        let lines = self.split(text);
        let (whole, last) = lines.split_at(lines.len().saturating_sub(1));
        for line in whole {
            if line.is_empty() {
                self.dispatch(&mut data, &mut messages);
            } else {
                self.take(line, &mut data);
            }
        }
        if self.keeps_the_last {
            // The last line has no end.
            if let [line] = last {
                self.take(line, &mut data);
            }
            self.dispatch(&mut data, &mut messages);
        }
        messages
    }

    fn take(self, line: &str, data: &mut Vec<String>) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let is_data = if self.lenient_names {
            name.trim_matches(|letter: char| letter.is_whitespace() || letter.is_control())
                .eq_ignore_ascii_case("data")
        } else {
            name == "data"
        };
        if is_data {
            // The specification takes off one space, and no more.
            data.push(value.strip_prefix(' ').unwrap_or(value).to_owned());
        }
    }

    fn dispatch(self, data: &mut Vec<String>, messages: &mut Vec<String>) {
        let data = std::mem::take(data);
        // By the specification, an event without data is no message.
        if data.is_empty() {
            return;
        }
        match self.message {
            Message::Joined => messages.push(data.join("\n")),
            Message::JoinedTightly => messages.push(data.concat()),
            Message::EachLine => messages.extend(data),
        }
    }

    /// The lines, what follows the last line's end among them.
    fn split(self, text: &str) -> Vec<String> {
        let ends = |letter: char| match self.lines {
            Lines::Specified => matches!(letter, '\n' | '\r'),
            Lines::LineFeeds => letter == '\n',
            Lines::Unicode => matches!(
                letter,
                '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                    ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
            ),
        };
        let (mut lines, mut line) = (Vec::new(), String::new());
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            if !ends(letter) {
                line.push(letter);
                continue;
            }
            if letter == '\r' {
                letters.next_if_eq(&'\n');
            }
            if self.lines == Lines::LineFeeds && line.ends_with('\r') {
                line.pop();
            }
            lines.push(std::mem::take(&mut line));
        }
        lines.push(line);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_gets_its_own_messages() {
        let stream =
            b"\xef\xbb\xbfdata: 1\r\n\r\n: c\ndata:2\rdata: 3\n\nData: 4\n\ndata: 5\xc2\x85data: 6";
        let messages: Vec<Vec<String>> = CLIENTS
            .iter()
            .map(|client| client.messages(stream))
            .collect();
        assert_eq!(messages[0], ["1", "2\n3"]);
        assert_eq!(messages[1], ["1", "2\n3", "5\u{85}data: 6"]);
        assert_eq!(messages[2], ["1", "2\rdata: 3", "5\u{85}data: 6"]);
        assert_eq!(messages[3], ["1", "2\n3", "5\n6"]);
        assert_eq!(messages[4], ["1", "2\n3", "4", "5\u{85}data: 6"]);
        assert_eq!(messages[5], ["1", "23", "5\u{85}data: 6"]);
        assert_eq!(messages[6], ["1", "2", "3", "5\u{85}data: 6"]);
    }
}
