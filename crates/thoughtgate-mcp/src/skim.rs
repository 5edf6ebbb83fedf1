//! Reads the members of an object in the form that nearly every client sends, in a fraction of the steps of
//! `serde_json`: most bytes of a call are in the strings of its arguments, and are searched, not read.
//!
//! Reads a subset of JSON: no escapes in the keys that it returns, at most [`DEPTH_MAX`] levels in a value. The
//! caller has `serde_json` read all else, which also says what is wrong with it.

use std::borrow::Cow;

use memchr::memchr2;

use crate::text::{JsonText, Member};

/// Levels of a value: as many as there are bits for their kinds.
const DEPTH_MAX: usize = u64::BITS as usize;
/// Words of a string that are looked at for all that is special before the rest is searched for its end: most
/// keys and names are shorter.
const NEAR: usize = 6;

/// A word with this byte at each place.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// What was read of an object.
pub(crate) struct Skimmed<'a> {
    /// Its members and those of the objects along the path, each with its level.
    pub(crate) members: Vec<(usize, Member<'a>)>,
    /// Greatest nesting of objects and arrays, where the object itself is level 1.
    pub(crate) depth: usize,
}

/// Reads the object in `text`, and those in it along `path`; see [`Object`](crate::members::Object). `room`: for
/// so many members. `None` for a text beyond the subset, be it valid or not.
pub(crate) fn skim<'a>(text: &'a str, path: &[&str], room: usize) -> Option<Skimmed<'a>> {
    let mut members = Vec::with_capacity(room);
    let (at, depth) = (0, 0);
    let mut reader = Reader { text, at, depth };
    reader.spaces();
    reader.object(path, 0, &mut members)?;
    reader.spaces();
    let depth = reader.depth;
    (reader.at == text.len()).then_some(Skimmed { members, depth })
}

/// A text, the place in it that is read next, and the greatest depth so far.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn object(
        &mut self,
        path: &[&str],
        level: usize,
        members: &mut Vec<(usize, Member<'a>)>,
    ) -> Option<()> {
        self.expect(b'{')?;
        self.spaces();
        let inside = level + 1;
        self.depth = self.depth.max(inside);
        if self.take(b'}') {
            return Some(());
        }
        loop {
            let key = self.key()?;
            self.colon()?;
            let value = match path {
                [inner, path @ ..] if key == *inner => {
                    self.object(path, inside, members)?;
                    JsonText::NULL
                }
                _ => self.value(inside)?,
            };
            members.push((level, (Cow::Borrowed(key), value)));
            self.spaces();
            if self.take(b'}') {
                return Some(());
            }
            self.expect(b',')?;
            self.spaces();
        }
    }

    /// A value in `outside` levels.
    fn value(&mut self, outside: usize) -> Option<JsonText<'a>> {
        let start = self.at;
        match self.peek()? {
            b'{' | b'[' => {
                let deepest = self.nested()?;
                self.depth = self.depth.max(outside + deepest);
            }
            _ => self.scalar()?,
        }
        self.text.get(start..self.at).map(JsonText::new)
    }

    /// Passes over an object or an array, without recursion. Returns its levels.
    fn nested(&mut self) -> Option<usize> {
        // The kinds of the levels that are open, the innermost in the lowest bit: 1 for an object.
        let mut objects = 0_u64;
        let (mut depth, mut deepest) = (0, 0);
        loop {
            let opened = self.peek()?;
            if matches!(opened, b'{' | b'[') {
                if depth == DEPTH_MAX {
                    return None;
                }
                self.at += 1;
                self.spaces();
                let is_object = opened == b'{';
                objects = objects << 1 | u64::from(is_object);
                depth += 1;
                deepest = deepest.max(depth);
                let is_empty = self.peek()? == if is_object { b'}' } else { b']' };
                if !is_empty {
                    if is_object {
                        self.name()?;
                    }
                    continue;
                }
            } else {
                self.scalar()?;
            }
            // After a value: closes levels until another value follows.
            loop {
                self.spaces();
                let is_object = objects & 1 == 1;
                match self.peek()? {
                    b'}' if is_object => {}
                    b']' if !is_object => {}
                    b',' => {
                        self.at += 1;
                        self.spaces();
                        if is_object {
                            self.name()?;
                        }
                        break;
                    }
                    _ => return None,
                }
                self.at += 1;
                objects >>= 1;
                depth -= 1;
                if depth == 0 {
                    return Some(deepest);
                }
            }
        }
    }

    /// Passes over a string, a number, `true`, `false` or `null`.
    fn scalar(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    /// A key without escapes.
    fn key(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let start = self.at;
        self.search()?;
        let key = self.text.get(start..self.at)?;
        self.expect(b'"')?;
        Some(key)
    }

    /// Passes over a key and its colon.
    fn name(&mut self) -> Option<()> {
        self.string()?;
        self.colon()
    }

    fn string(&mut self) -> Option<()> {
        self.expect(b'"')?;
        loop {
            self.search()?;
            if self.take(b'"') {
                return Some(());
            }
            self.escape()?;
        }
    }

    /// Goes to the next quotation mark or backslash of a string, which must not contain control characters.
    fn search(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        for _ in 0..NEAR {
            let Some(word) = bytes.get(self.at..).and_then(|rest| rest.first_chunk()) else {
                break;
            };
            let word = u64::from_le_bytes(*word);
            let special = zeros(word ^ each(b'"')) | zeros(word ^ each(b'\\')) | controls(word);
            if special != 0 {
                self.at += special.trailing_zeros() as usize / 8;
                return (bytes[self.at] >= b' ').then_some(());
            }
            self.at += 8;
        }
        let rest = bytes.get(self.at..)?;
        let inside = rest.get(..memchr2(b'"', b'\\', rest)?)?;
        self.at += inside.len();
        let (words, last) = inside.as_chunks();
        let found =
            (words.iter()).fold(0, |found, word| found | controls(u64::from_ne_bytes(*word)));
        (found == 0 && last.iter().all(|byte| *byte >= b' ')).then_some(())
    }

    /// Passes over an escape. Whether surrogates are paired is seen by what decodes the string.
    fn escape(&mut self) -> Option<()> {
        self.expect(b'\\')?;
        let kind = self.peek()?;
        self.at += 1;
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
                self.at += 4;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<()> {
        self.take(b'-');
        // No digit may follow a leading zero: what comes next must end the value.
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Some(())
    }

    /// Passes over one digit or more.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        self.at += word.len();
        rest.starts_with(word.as_bytes()).then_some(())
    }

    fn colon(&mut self) -> Option<()> {
        self.spaces();
        self.expect(b':')?;
        self.spaces();
        Some(())
    }

    /// Passes over white space.
    fn spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    /// Passes over `byte`, if it is next.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

/// The highest bit of the first byte of `word` that is zero, and perhaps bits above it; zero if there is none.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(each(1)) & !word & each(0x80)
}

/// The same for the first control character of ASCII.
fn controls(word: u64) -> u64 {
    word.wrapping_sub(each(b' ')) & !word & each(0x80)
}

#[cfg(test)]
mod tests;
