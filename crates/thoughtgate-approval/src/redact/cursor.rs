//! A position in well-formed JSON, which is read value by value and never twice.
//!
//! Knows nothing of what is shown. Reading past the end yields nothing and does not fail.

pub(super) struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str) -> Cursor<'t> {
        Cursor { text, at: 0 }
    }

    /// The next byte that is not white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = self.rest().iter();
        self.at += rest.take_while(|byte| byte.is_ascii_whitespace()).count();
        self.rest().first().copied()
    }

    /// Skips `byte` if it is next; returns whether it was.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Reads a string with its quotes, or a number, `true`, `false` or `null`.
    pub(super) fn scalar(&mut self) -> &'t str {
        let is_string = self.peek() == Some(b'"');
        let start = self.at;
        self.at += if is_string {
            string_length(self.rest())
        } else {
            let ends = |byte: &u8| b",:]} \t\r\n".contains(byte);
            let rest = self.rest().iter();
            rest.take_while(|byte| !ends(byte)).count()
        };
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Skips one value with all that is nested in it. Does not recurse, so depth costs no stack.
    pub(super) fn skip(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                b',' | b':' => self.at += 1,
                _ => {
                    self.scalar();
                }
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }
}

/// Length of the string at the start of `bytes`, with its quotes.
fn string_length(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            // What follows a backslash cannot end the string; the digits of `\u` are plain bytes.
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}
