//! Writes JSON in the many spellings that it allows, with the faults that readers differ on.

use std::fmt::Write as _;

use crate::mutate::WORDS;
use crate::random::Random;

/// Text that grows; each part chooses its own spelling.
pub struct Writer<'r> {
    pub random: &'r mut Random,
    pub out: String,
    /// One part in so many is not as it should be; 0 for none.
    faults: usize,
}

impl Writer<'_> {
    /// A writer whose output is well-formed, without duplicate or look-alike keys, when `faults` is 0.
    pub fn new(random: &mut Random, faults: usize) -> Writer<'_> {
        Writer {
            random,
            out: String::new(),
            faults,
        }
    }

    /// Whether the next part is to be faulty.
    pub fn faulty(&mut self) -> bool {
        self.faults > 0 && self.random.one_in(self.faults)
    }

    /// An object with these members, in any order.
    pub fn object(&mut self, mut members: Vec<(String, String)>) {
        for index in (1..members.len()).rev() {
            let other = self.random.below(index + 1);
            members.swap(index, other);
        }
        if self.faulty() && !members.is_empty() {
            let again = members[self.random.below(members.len())].clone();
            let key = self.twin(&again.0);
            let value = if self.random.one_in(2) {
                again.1
            } else {
                self.scalar()
            };
            members.insert(self.random.below(members.len() + 1), (key, value));
        }
        self.out.push('{');
        for (index, (key, value)) in members.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.blank();
            self.key(key);
            self.blank();
            self.out.push(':');
            self.blank();
            self.out.push_str(value);
            self.blank();
        }
        self.out.push('}');
    }

    /// A key that some readers take for `key`.
    fn twin(&mut self, key: &str) -> String {
        match self.random.below(7) {
            0 => key.to_uppercase(),
            // With Unicode's case folding, the Kelvin sign is a `k` and the long s an `s`.
            1 => key.replace('k', "\u{212a}").replace('s', "\u{17f}"),
            // Readers written in C end a key at U+0000.
            2 => format!("{key}\0"),
            3 => format!("{key}\0x"),
            4 => {
                let mut letters = key.chars();
                let first = letters.next().map(|letter| letter.to_ascii_uppercase());
                first.into_iter().chain(letters).collect()
            }
            5 => key.replace(|letter: char| letter.is_ascii_uppercase(), "_"),
            _ => key.to_owned(),
        }
    }

    fn key(&mut self, key: &str) {
        let text = self.text(key);
        self.out.push_str(&text);
    }

    fn blank(&mut self) {
        if self.random.one_in(12) {
            let blank = self.random.pick(&[" ", "\t", "\n", "\r\n", "  "]);
            self.out.push_str(blank);
        }
    }

    /// `text` as a JSON string in one of its spellings.
    pub fn text(&mut self, text: &str) -> String {
        let escapes = if self.random.one_in(6) { 3 } else { 0 };
        let mut out = String::from("\"");
        for letter in text.chars() {
            let must = matches!(letter, '"' | '\\' | '\0'..='\x1f');
            if must || (escapes > 0 && self.random.one_in(escapes)) {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    // Writing to a string does not fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            } else if letter == '/' && self.random.one_in(8) {
                out.push_str("\\/");
            } else {
                out.push(letter);
            }
        }
        if self.faulty() {
            out.push_str(
                self.random
                    .pick(&["\\ud800", "\\u0000", "\\u0000x", "\u{85}"]),
            );
        }
        out.push('"');
        out
    }

    /// A number, word or string; some that only some readers accept.
    pub fn scalar(&mut self) -> String {
        match self.random.below(6) {
            0 => "1".to_owned(),
            1 => format!("-{}", self.random.below(1000)),
            2 => self.random.pick(&["true", "false", "null"]).to_owned(),
            // Numbers that readers round or refuse: beyond a double, beyond 64 bits, beyond 2^53.
            3 if self.faults > 0 => self
                .random
                .pick(&[
                    "1e999",
                    "-0",
                    "1.0",
                    "1e2",
                    "9223372036854775808",
                    "9007199254740993",
                ])
                .to_owned(),
            _ => {
                let word = self.random.pick(WORDS);
                self.text(word)
            }
        }
    }

    /// Any value, nested up to `depth`.
    pub fn value(&mut self, depth: usize) -> String {
        if depth == 0 || self.random.one_in(2) {
            return self.scalar();
        }
        let count = self.random.below(4);
        if self.random.one_in(2) {
            let items: Vec<String> = (0..count).map(|_| self.value(depth - 1)).collect();
            return format!("[{}]", items.join(","));
        }
        let members = (0..count)
            .map(|index| {
                let name = self
                    .random
                    .pick(&["a", "b", "name", "path", "Path", "k", "x y", "\u{e4}"]);
                // The index keeps keys apart: only `faulty` makes a key twice.
                (format!("{name}{index}"), self.value(depth - 1))
            })
            .collect();
        self.nested(members)
    }

    /// An object as a value of its own.
    pub fn nested(&mut self, members: Vec<(String, String)>) -> String {
        let outer = std::mem::take(&mut self.out);
        self.object(members);
        std::mem::replace(&mut self.out, outer)
    }
}
