//! A JSON reader that shares no code with the product: strict RFC 8259, every member kept in order,
//! duplicates too, numbers as text, strings as UTF-16 so that a lone surrogate has a value.

/// Deeper than any limit of the product, and no danger to the stack.
const DEPTH_MAX: usize = 300;

/// A value, and where its text is.
#[derive(Debug, Clone)]
pub struct Json {
    pub start: usize,
    pub end: usize,
    pub value: Value,
}

#[derive(Debug, Clone)]
pub enum Value {
    Null,
    Bool(bool),
    Number(String),
    Text(Vec<u16>),
    Array(Vec<Json>),
    Object(Vec<(Vec<u16>, Json)>),
}

/// The one value in `text`; `None` when it is not JSON.
pub fn parse(text: &str) -> Option<Json> {
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
    };
    let value = reader.value(0)?;
    reader.blank();
    (reader.at == text.len()).then_some(value)
}

/// The value that `text` begins with, whatever follows it: some libraries read no further.
pub fn parse_start(text: &str) -> Option<Json> {
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
    };
    reader.value(0)
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn blank(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn eat(&mut self, wanted: u8) -> Option<()> {
        (self.bytes.get(self.at) == Some(&wanted)).then(|| self.at += 1)
    }

    fn word(&mut self, word: &str, value: Value) -> Option<Value> {
        self.text.get(self.at..)?.starts_with(word).then(|| {
            self.at += word.len();
            value
        })
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.blank();
        let start = self.at;
        let value = match self.bytes.get(self.at)? {
            b'n' => self.word("null", Value::Null),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'"' => self.string().map(Value::Text),
            b'[' => self.array(depth),
            b'{' => self.object(depth),
            _ => self.number(),
        }?;
        let end = self.at;
        Some(Json { start, end, value })
    }

    fn array(&mut self, depth: usize) -> Option<Value> {
        self.eat(b'[')?;
        let mut items = Vec::new();
        self.blank();
        if self.eat(b']').is_some() {
            return Some(Value::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.blank();
            if self.eat(b']').is_some() {
                return Some(Value::Array(items));
            }
            self.eat(b',')?;
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        self.eat(b'{')?;
        let mut members = Vec::new();
        self.blank();
        if self.eat(b'}').is_some() {
            return Some(Value::Object(members));
        }
        loop {
            self.blank();
            let key = self.string()?;
            self.blank();
            self.eat(b':')?;
            members.push((key, self.value(depth + 1)?));
            self.blank();
            if self.eat(b'}').is_some() {
                return Some(Value::Object(members));
            }
            self.eat(b',')?;
        }
    }

    fn digits(&mut self) -> Option<()> {
        let from = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        (self.at > from).then_some(())
    }

    fn number(&mut self) -> Option<Value> {
        let start = self.at;
        let _ = self.eat(b'-');
        // RFC 8259, section 6: no digit follows a leading zero.
        if self.eat(b'0').is_none() {
            self.digits()?;
        }
        if self.eat(b'.').is_some() {
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(Value::Number(self.text.get(start..self.at)?.to_owned()))
    }

    fn string(&mut self) -> Option<Vec<u16>> {
        self.eat(b'"')?;
        let mut out = Vec::new();
        loop {
            let letter = self.text.get(self.at..)?.chars().next()?;
            self.at += letter.len_utf8();
            match letter {
                '"' => return Some(out),
                '\\' => out.push(self.escape()?),
                // RFC 8259, section 7: control characters have to be escaped.
                '\0'..='\x1f' => return None,
                letter => out.extend_from_slice(letter.encode_utf16(&mut [0; 2])),
            }
        }
    }

    fn escape(&mut self) -> Option<u16> {
        let kind = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(match kind {
            b'"' | b'\\' | b'/' => u16::from(kind),
            b'b' => 8,
            b'f' => 12,
            b'n' => 10,
            b'r' => 13,
            b't' => 9,
            b'u' => {
                let digits = self.text.get(self.at..self.at + 4)?;
                self.at += 4;
                // `from_str_radix` alone would accept a sign, too.
                let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                u16::from_str_radix(hex.then_some(digits)?, 16).ok()?
            }
            _ => return None,
        })
    }
}

impl Json {
    /// The members of an object; none of anything else.
    pub fn members(&self) -> &[(Vec<u16>, Json)] {
        match &self.value {
            Value::Object(members) => members,
            _ => &[],
        }
    }

    /// The items of an array; none of anything else.
    pub fn items(&self) -> &[Json] {
        match &self.value {
            Value::Array(items) => items,
            _ => &[],
        }
    }

    /// Its own text within the text that it was read from.
    pub fn raw<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.start..self.end).unwrap_or_default()
    }

    /// One spelling for all spellings of a value: sorted members, UTF-16 in hexadecimal, numbers as
    /// they came. `None` where an object has a key twice, so that it has no one value.
    pub fn spelt(&self) -> Option<String> {
        let mut out = String::new();
        self.spell(&mut out).then_some(out)
    }

    fn spell(&self, out: &mut String) -> bool {
        match &self.value {
            Value::Null => out.push('n'),
            Value::Bool(value) => out.push(if *value { 't' } else { 'f' }),
            Value::Number(text) => out.push_str(text),
            Value::Text(units) => spell_text(units, out),
            Value::Array(items) => {
                out.push('[');
                for item in items {
                    if !item.spell(out) {
                        return false;
                    }
                    out.push(',');
                }
                out.push(']');
            }
            Value::Object(members) => {
                let mut sorted: Vec<_> = members.iter().collect();
                sorted.sort_by(|left, right| left.0.cmp(&right.0));
                if sorted.windows(2).any(|pair| pair[0].0 == pair[1].0) {
                    return false;
                }
                out.push('{');
                for (key, value) in sorted {
                    spell_text(key, out);
                    out.push(':');
                    if !value.spell(out) {
                        return false;
                    }
                    out.push(',');
                }
                out.push('}');
            }
        }
        true
    }

    /// Whether a string in it, or a key, has half of a surrogate pair, which UTF-8 cannot hold.
    pub fn has_lone_surrogate(&self) -> bool {
        let lone = |units: &[u16]| String::from_utf16(units).is_err();
        match &self.value {
            Value::Text(units) => lone(units),
            Value::Array(items) => items.iter().any(Json::has_lone_surrogate),
            Value::Object(members) => members
                .iter()
                .any(|(key, value)| lone(key) || value.has_lone_surrogate()),
            _ => false,
        }
    }
}

fn spell_text(units: &[u16], out: &mut String) {
    use std::fmt::Write as _;
    out.push('"');
    for unit in units {
        // Writing to a string does not fail.
        let _ = write!(out, "{unit:04x}");
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_json_and_nothing_else() {
        for text in [
            "1",
            "-0.5e+9",
            "\"\\ud800\"",
            "[ ]",
            "{\"a\":[1,{}],\"a\":null} ",
            "1e999",
        ] {
            assert!(parse(text).is_some(), "{text}");
        }
        for text in [
            "",
            "01",
            "1.",
            "+1",
            "\"\n\"",
            "[1,]",
            "{a:1}",
            "{} {}",
            "\u{feff}{}",
            "\"\\u12\"",
            "tru",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn spellings_of_one_value_agree() {
        let spelt = |text: &str| parse(text).unwrap().spelt();
        assert_eq!(
            spelt("{\"b\":1,\"a\":\"\\u0041\"}"),
            spelt("{ \"a\":\"A\", \"b\":1}")
        );
        assert_ne!(spelt("1"), spelt("1.0"));
        assert_eq!(spelt("[{\"a\":1,\"\\u0061\":1}]"), None);
    }
}
