//! Gives a response another id while it passes in pieces, in memory that does not grow with its size.
//!
//! Only the value of `id` changes; all else stays byte for byte. Checks nothing: what is not JSON is for
//! the client to refuse.

use memchr::memchr2;
use serde_json::value::RawValue;

/// Length of the key `id` with both letters written as escapes, in bytes: a longer one is another key.
const KEY_BYTES_MAX: usize = 12;

/// Depth after the response has ended: what follows are other messages, whose ids stay.
const ENDED: usize = usize::MAX / 2;

/// A JSON response whose id is being replaced.
#[derive(Debug)]
pub struct Renumber {
    id: Box<str>,
    /// Number of arrays and objects that are open.
    depth: usize,
    /// The outermost value is an object.
    is_object: bool,
    /// The next string is a key of the outermost object.
    key_is_next: bool,
    /// The string that is open.
    string: Option<Open>,
    /// Beginning of the last key of the outermost object, without quotes, with its escapes.
    key: Vec<u8>,
    /// The old id is being read; it is dropped.
    drops: bool,
}

/// A string that is open.
#[derive(Debug, Clone, Copy)]
struct Open {
    is_key: bool,
    /// The last byte was a backslash.
    escapes: bool,
}

impl Renumber {
    /// The response is to have `id`.
    #[must_use]
    pub fn new(id: &RawValue) -> Renumber {
        Renumber {
            id: id.get().into(),
            depth: 0,
            is_object: false,
            key_is_next: false,
            string: None,
            key: Vec::new(),
            drops: false,
        }
    }

    /// The next piece of the response, as it is to be sent.
    #[must_use]
    pub fn piece(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(piece.len() + self.id.len());
        let mut rest = piece;
        while let Some(first) = rest.first() {
            let (length, old_id_follows) = match self.string {
                Some(string) => (self.read_string(string, rest), false),
                None => (1, self.read_between(*first)),
            };
            let (part, after) = rest.split_at(length);
            if old_id_follows {
                out.extend_from_slice(part);
                out.extend_from_slice(self.id.as_bytes());
            } else if !self.drops {
                out.extend_from_slice(part);
            }
            rest = after;
        }
        out
    }

    /// Reads on in a string; returns the number of bytes that were read.
    fn read_string(&mut self, string: Open, rest: &[u8]) -> usize {
        let mut end = None;
        let length = if string.escapes {
            1
        } else {
            end = memchr2(b'"', b'\\', rest);
            end.map_or(rest.len(), |at| at + 1)
        };
        let last = end.map(|at| rest[at]);
        self.string = (last != Some(b'"')).then_some(Open {
            escapes: last == Some(b'\\'),
            ..string
        });
        if string.is_key {
            // Without the quote that ends it. One byte too many is enough to tell that it is another key.
            let text = &rest[..length - usize::from(self.string.is_none())];
            let room = (KEY_BYTES_MAX + 1).saturating_sub(self.key.len());
            self.key.extend_from_slice(&text[..text.len().min(room)]);
        }
        length
    }

    /// Reads one byte outside of strings; returns whether the old id follows it.
    fn read_between(&mut self, byte: u8) -> bool {
        match byte {
            b'"' => {
                let is_key = std::mem::take(&mut self.key_is_next);
                if is_key {
                    self.key.clear();
                }
                self.string = Some(Open {
                    is_key,
                    escapes: false,
                });
            }
            b'{' | b'[' => {
                self.depth += 1;
                if self.depth == 1 {
                    self.is_object = byte == b'{';
                    self.key_is_next = self.is_object;
                }
            }
            b'}' | b']' => {
                self.drops &= self.depth > 1;
                self.depth = match self.depth {
                    0 => 0,
                    1 => ENDED,
                    depth => depth - 1,
                };
            }
            b',' if self.depth == 1 => {
                self.drops = false;
                // What follows before the next key, such as the name of a field of events, belongs to none.
                self.key.clear();
                self.key_is_next = self.is_object;
            }
            b':' if self.depth == 1 && self.is_object && !self.drops && is_id(&self.key) => {
                self.drops = true;
                return true;
            }
            _ => {}
        }
        false
    }
}

/// Whether a key that is written like this reads `id`.
fn is_id(key: &[u8]) -> bool {
    if !key.contains(&b'\\') {
        return key == b"id";
    }
    let quoted = [b"\"", key, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).is_ok_and(|key| key == "id")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The response with the id 9, in one piece and in every pair of pieces, which must be equal.
    fn renumbered(response: &str) -> String {
        let id = RawValue::from_string("9".to_owned()).unwrap();
        let whole = Renumber::new(&id).piece(response.as_bytes());
        for at in 0..=response.len() {
            let (first, second) = response.as_bytes().split_at(at);
            let mut renumber = Renumber::new(&id);
            let pieces = [renumber.piece(first), renumber.piece(second)].concat();
            assert_eq!(pieces, whole, "{response} split at {at}");
        }
        String::from_utf8(whole).unwrap()
    }

    #[test]
    fn only_the_id_changes() {
        for (response, expected) in [
            (
                r#"{"jsonrpc":"2.0","id":7,"result":{"id":7}}"#,
                r#"{"jsonrpc":"2.0","id":9,"result":{"id":7}}"#,
            ),
            // As the last member, with white space, and of another type.
            (
                r#" {"result" : ["id", {"id":1}], "id" : "a\"},\\" } "#,
                r#" {"result" : ["id", {"id":1}], "id" :9} "#,
            ),
            (r#"{"id":null,"error":{}}"#, r#"{"id":9,"error":{}}"#),
            (r#"{"id":{"a":[1,{}]},"b":"id"}"#, r#"{"id":9,"b":"id"}"#),
            // Other spellings of the key, and keys that only begin or end like it.
            (r#"{"\u0069\u0064":1}"#, r#"{"\u0069\u0064":9}"#),
            (r#"{"i\u0064":1,"id":2}"#, r#"{"i\u0064":9,"id":9}"#),
            (
                r#"{"idx":1,"\\id":2,"i\"d":3,"xid":4,"\u0069\u0064\u0069":5,"":6}"#,
                r#"{"idx":1,"\\id":2,"i\"d":3,"xid":4,"\u0069\u0064\u0069":5,"":6}"#,
            ),
            // Strings that look like structure.
            (
                r#"{"a":"{\"id\":1,","b":",\"id\":2","id":3}"#,
                r#"{"a":"{\"id\":1,","b":",\"id\":2","id":9}"#,
            ),
            ("\u{feff}{\"id\":1}", "\u{feff}{\"id\":9}"),
            // An event whose data has several lines, and a request of the server after it.
            (
                "data: {\"id\":7,\ndata: \"result\":{}}\n\ndata: {\"id\":7}\n\n",
                "data: {\"id\":9,\ndata: \"result\":{}}\n\ndata: {\"id\":7}\n\n",
            ),
        ] {
            assert_eq!(renumbered(response), expected);
        }
    }

    #[test]
    fn what_is_not_a_response_passes() {
        for text in [
            r#"["id",{"id":1}]"#,
            r#""id":1"#,
            "}{]",
            "",
            r#"{"a":"id"}"#,
        ] {
            assert_eq!(renumbered(text), text);
        }
    }

    #[test]
    fn an_id_is_written_as_it_came() {
        for id in [r#""\u0037""#, "1e999", "-0"] {
            let raw = RawValue::from_string(id.to_owned()).unwrap();
            let out = Renumber::new(&raw).piece(br#"{"id":1}"#);
            assert_eq!(String::from_utf8(out).unwrap(), format!(r#"{{"id":{id}}}"#));
        }
    }
}
