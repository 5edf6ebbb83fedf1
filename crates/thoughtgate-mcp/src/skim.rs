//! Reads the members of an object in the form that nearly every client sends, in a fraction of the steps of
//! `serde_json`: most bytes of a call are in the strings of its arguments, and are searched, not read.
//!
//! Reads a subset of JSON: no escapes in the keys that it returns, at most [`DEPTH_MAX`] levels in a value. The
//! caller has `serde_json` read all else, which also says what is wrong with it.

use std::borrow::Cow;

use memchr::memchr2;

use crate::members::Member;
use crate::text::JsonText;

/// Levels of a value: as many as there are bits for their kinds.
const DEPTH_MAX: u32 = u64::BITS;
/// Bytes of a string that are looked at one by one, before the rest is searched: most keys and names are shorter.
const NEAR: usize = 24;

/// The members of the object in `text`, and of those in it along `path`, each with its level; see
/// [`Object`](crate::members::Object). `None` for a text beyond the subset, be it valid or not.
pub(crate) fn members<'a>(
    text: &'a str,
    path: &[&str],
    room: usize,
) -> Option<Vec<(usize, Member<'a>)>> {
    let mut members = Vec::with_capacity(room);
    let mut reader = Reader { text, at: 0 };
    reader.spaces();
    reader.object(path, 0, &mut members)?;
    reader.spaces();
    (reader.at == text.len()).then_some(members)
}

/// A text, and the place in it that is read next.
struct Reader<'a> {
    text: &'a str,
    at: usize,
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
        if self.take(b'}') {
            return Some(());
        }
        loop {
            let key = self.key()?;
            self.colon()?;
            let value = match path {
                [inner, path @ ..] if key == *inner => {
                    self.object(path, level + 1, members)?;
                    JsonText::NULL
                }
                _ => self.value()?,
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

    fn value(&mut self) -> Option<JsonText<'a>> {
        let start = self.at;
        match self.peek()? {
            b'{' | b'[' => self.nested()?,
            _ => self.scalar()?,
        }
        self.text.get(start..self.at).map(JsonText::new)
    }

    /// Passes over an object or an array, without recursion.
    fn nested(&mut self) -> Option<()> {
        // The kinds of the levels that are open, the innermost in the lowest bit: 1 for an object.
        let (mut objects, mut depth) = (0_u64, 0_u32);
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
                    return Some(());
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
        let rest = self.text.as_bytes().get(self.at..)?;
        let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..b' ');
        if let Some(near) = rest.iter().take(NEAR).position(is_special) {
            self.at += near;
            return (rest[near] >= b' ').then_some(());
        }
        let rest = rest.get(NEAR..)?;
        let far = memchr2(b'"', b'\\', rest)?;
        self.at += NEAR + far;
        // The least of them: many are compared at once.
        let least = rest[..far].iter().copied().fold(u8::MAX, u8::min);
        (least >= b' ').then_some(())
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

#[cfg(test)]
mod tests;
