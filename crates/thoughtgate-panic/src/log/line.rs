//! One line of the log as text: its time, level, message and fields.
//!
//! Text of strangers cannot break a line or mislead its reader: control characters, invisible ones and
//! those that change the direction of text are escaped, and long texts are cut. Writes nothing.

use std::fmt::{Arguments, Display, Write};
use std::time::SystemTime;

use crate::time::rfc3339;

/// Longest message, in bytes: room for the mistakes in a set of policies.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// Longest field, in bytes.
const FIELD_BYTES_MAX: usize = 256;

/// Form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `2026-11-26T16:35:00.123Z WARN thoughtgate: message key=value`
    Text,
    /// A JSON object with `time`, `level`, `message`, and the fields.
    Json,
}

/// Seriousness of a line, the most serious first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The process ends, or a bug ended a request.
    Error,
    /// Something does not work, or works otherwise than its operator may think.
    Warn,
    /// An event of normal operation.
    Info,
    /// A detail.
    Debug,
}

/// Value of a field.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// A text, shown as such.
    Text(&'a dyn Display),
    /// A number; JSON has it without quotes.
    Number(u64),
    /// The field is left out.
    Absent,
}

impl<'a, T: Display> From<&'a T> for Value<'a> {
    fn from(text: &'a T) -> Value<'a> {
        Value::Text(text)
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Value::Number(number)
    }
}

impl From<u16> for Value<'_> {
    fn from(number: u16) -> Self {
        Value::Number(number.into())
    }
}

impl<'a, T: Display> From<Option<&'a T>> for Value<'a> {
    fn from(text: Option<&'a T>) -> Value<'a> {
        text.map_or(Value::Absent, Value::from)
    }
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Error => "ERROR",
            Level::Warn => "WARN",
            Level::Info => "INFO",
            Level::Debug => "DEBUG",
        }
    }
}

/// The line, with its end.
pub fn line(
    format: Format,
    level: Level,
    fields: &[(&'static str, Value<'_>)],
    message: Arguments<'_>,
) -> String {
    // A clock beyond the range of RFC 3339 costs the time, not the line.
    let time = rfc3339(SystemTime::now());
    let mut text = String::with_capacity(160);
    match format {
        Format::Text => {
            text.push_str(time.as_deref().unwrap_or("-"));
            let _ = write!(text, " {} thoughtgate: ", level.name());
            push(&mut text, MESSAGE_BYTES_MAX, false, message);
            push_fields(&mut text, fields);
        }
        Format::Json => {
            text.push_str("{\"time\":");
            match time {
                Some(time) => push_quoted(&mut text, FIELD_BYTES_MAX, &time),
                None => text.push_str("null"),
            }
            let _ = write!(
                text,
                ",\"level\":\"{}\",\"message\":\"",
                level.name().to_ascii_lowercase()
            );
            push(&mut text, MESSAGE_BYTES_MAX, true, message);
            text.push('"');
            for (name, value) in fields {
                if let Value::Absent = value {
                    continue;
                }
                let _ = write!(text, ",\"{name}\":");
                match value {
                    Value::Text(value) => push_quoted(&mut text, FIELD_BYTES_MAX, value),
                    Value::Number(value) => {
                        let _ = write!(text, "{value}");
                    }
                    Value::Absent => {}
                }
            }
            text.push('}');
        }
    }
    text.push('\n');
    text
}

/// The line before the log has started: without time, for the person who starts the process.
pub fn plain(level: Level, fields: &[(&'static str, Value<'_>)], message: Arguments<'_>) -> String {
    let label = match level {
        Level::Error => "error: ",
        Level::Warn => "warning: ",
        Level::Info | Level::Debug => "",
    };
    // Not escaped: the message explains mistakes, in lines of its own.
    let mut text = format!("thoughtgate: {label}{message}");
    push_fields(&mut text, fields);
    text.push('\n');
    text
}

fn push_fields(text: &mut String, fields: &[(&'static str, Value<'_>)]) {
    for (name, value) in fields {
        match value {
            Value::Absent => {}
            Value::Number(value) => {
                let _ = write!(text, " {name}={value}");
            }
            Value::Text(value) => {
                let _ = write!(text, " {name}=");
                push_quoted(text, FIELD_BYTES_MAX, value);
            }
        }
    }
}

fn push_quoted(text: &mut String, bytes_max: usize, value: &dyn Display) {
    text.push('"');
    push(text, bytes_max, true, format_args!("{value}"));
    text.push('"');
}

fn push(text: &mut String, left: usize, is_quoted: bool, value: Arguments<'_>) {
    let mut escaped = Escaped {
        text,
        left,
        is_quoted,
    };
    // An error means that the text is cut, or that a `Display` failed: what there is of it is logged.
    if escaped.write_fmt(value).is_err() {
        text.push('…');
    }
}

/// Appends text, escaped as in JSON; fails at the end of its room.
struct Escaped<'a> {
    text: &'a mut String,
    left: usize,
    /// The text is in quotes, so that a quote in it has to be escaped.
    is_quoted: bool,
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        for character in part.chars() {
            self.left = self
                .left
                .checked_sub(character.len_utf8())
                .ok_or(std::fmt::Error)?;
            match character {
                '"' | '\\' if self.is_quoted => self.text.extend(['\\', character]),
                ' '..='~' => self.text.push(character),
                '\n' => self.text.push_str("\\n"),
                _ if is_misleading(character) => {
                    // JSON escapes UTF-16 units, two for a character above U+FFFF (RFC 8259 §7).
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        let _ = write!(self.text, "\\u{unit:04x}");
                    }
                }
                _ => self.text.push(character),
            }
        }
        Ok(())
    }
}

/// Whether a character is invisible or changes how its neighbours look: those that Rust's own `Debug`
/// escapes, and the fillers, which are letters that show nothing.
fn is_misleading(character: char) -> bool {
    let fillers = ['\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}'];
    fillers.contains(&character) || character.escape_debug().len() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line without its time.
    fn text(format: Format, fields: &[(&'static str, Value<'_>)], message: &str) -> String {
        let line = line(format, Level::Warn, fields, format_args!("{message}"));
        let now = rfc3339(SystemTime::now()).unwrap();
        let (day, _) = now.split_once('T').unwrap();
        assert!(line.contains(day), "{line}");
        match format {
            Format::Text => line.split_once(' ').unwrap().1.to_owned(),
            Format::Json => line.split_once("\"level\"").unwrap().1.to_owned(),
        }
    }

    #[test]
    fn a_line_has_its_level_and_its_fields() {
        let name = "delete \"x\"";
        let fields = [
            ("tool", Value::from(&name)),
            ("status", Value::from(403_u16)),
            ("decided_by", Value::from(None::<&String>)),
        ];
        assert_eq!(
            text(Format::Text, &fields, "refused \"it\""),
            "WARN thoughtgate: refused \"it\" tool=\"delete \\\"x\\\"\" status=403\n"
        );
        assert_eq!(
            text(Format::Json, &fields, "refused \"it\""),
            ":\"warn\",\"message\":\"refused \\\"it\\\"\",\"tool\":\"delete \\\"x\\\"\",\"status\":403}\n"
        );
    }

    #[test]
    fn a_stranger_cannot_break_a_line_or_mislead_its_reader() {
        let text = text(
            Format::Text,
            &[],
            "a\u{1b}[2J\u{9b}\n\r\u{2028}\u{202e}\u{2066}\u{7f}\u{e0041}\u{3164}\u{fe0f}é日🙂",
        );
        assert_eq!(
            text,
            "WARN thoughtgate: a\\u001b[2J\\u009b\\n\\u000d\\u2028\\u202e\\u2066\\u007f\\udb40\\udc41\\u3164\\ufe0fé日🙂\n"
        );
    }

    #[test]
    fn a_long_text_is_cut() {
        let long = "ä".repeat(MESSAGE_BYTES_MAX);
        let fields = [("tool", Value::from(&long))];
        let text = text(Format::Text, &fields, &long);
        assert!(text.len() < MESSAGE_BYTES_MAX + FIELD_BYTES_MAX + 64);
        assert_eq!(text.matches("ä…").count(), 2);
    }

    #[test]
    fn before_the_start_a_line_is_plain() {
        let error = plain(Level::Error, &[], format_args!("no upstream"));
        assert_eq!(error, "thoughtgate: error: no upstream\n");
    }
}
