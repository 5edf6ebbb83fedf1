//! Arguments as an approver sees them: pretty-printed, in the order they were sent, numbers as they
//! were written, secrets left out. What is left out is not stored either, unless the request's body
//! is kept because the call is answered later.

mod cursor;

use serde_json::value::RawValue;
use thoughtgate_mcp::cut;

use cursor::Cursor;

use crate::text::visible;

/// Keys whose values are nearly always secret; the default of [`Redaction`].
const SECRET_NAMES: &[&str] = &[
    "access_token",
    "api_key",
    "apikey",
    "authorization",
    "client_secret",
    "credential",
    "credentials",
    "passphrase",
    "passwd",
    "password",
    "private_key",
    "refresh_token",
    "secret",
    "secret_key",
    "token",
];

/// Deeper values are not shown: no proxied call is nested this deep, and the printer recurses.
const DEPTH_MAX: usize = 128;

/// Depth at which indentation stops growing, or it would use up the space for the values.
const INDENT_MAX: usize = 16;

const REDACTED: &str = "\"[redacted]\"";

/// Rules for the parts of the arguments that are hidden from approvers.
#[derive(Debug, Clone)]
pub struct Redaction {
    all: bool,
    names: Vec<String>,
    pointers: Vec<Vec<String>>,
}

impl Redaction {
    /// Parses rules. Each is `all`; or a JSON pointer such as `/user/password`, in which `*` stands
    /// for any key or index; or the name of a key, which is matched at any depth, ignoring case.
    pub fn new<S: AsRef<str>>(rules: impl IntoIterator<Item = S>) -> Self {
        let mut redaction = Self {
            all: false,
            names: Vec::new(),
            pointers: Vec::new(),
        };
        for rule in rules {
            let rule = rule.as_ref();
            if rule == "all" {
                redaction.all = true;
            } else if let Some(pointer) = rule.strip_prefix('/') {
                // `~1` is replaced first, as RFC 6901 section 4 requires: `~01` means `~1` and not `/`.
                let segments = pointer.split('/');
                redaction.pointers.push(
                    segments
                        .map(|s| s.replace("~1", "/").replace("~0", "~"))
                        .collect(),
                );
            } else {
                redaction.names.push(rule.to_lowercase());
            }
        }
        redaction
    }

    fn hides(&self, path: &[String], name: Option<&str>) -> bool {
        let named = name.is_some_and(|name| {
            let name = name.to_lowercase();
            self.names.contains(&name)
        });
        named
            || self.pointers.iter().any(|pointer| {
                pointer.len() == path.len()
                    && pointer
                        .iter()
                        .zip(path)
                        .all(|(want, have)| want == "*" || want == have)
            })
    }
}

impl Default for Redaction {
    /// Hides the values of keys that commonly hold secrets: `password`, `token`, `api_key`, ….
    fn default() -> Self {
        Self::new(SECRET_NAMES)
    }
}

/// The arguments as approvers see them, and whether that is all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) text: String,
    pub(crate) complete: bool,
}

/// Renders `arguments` into at most about `bytes_max` bytes.
pub(crate) fn render(
    arguments: Option<&RawValue>,
    redaction: &Redaction,
    bytes_max: usize,
) -> Shown {
    let Some(arguments) = arguments else {
        return Shown {
            text: "none".to_owned(),
            complete: true,
        };
    };
    if redaction.all {
        return Shown {
            text: "[all arguments are redacted]".to_owned(),
            complete: true,
        };
    }
    let mut printer = Printer {
        cursor: Cursor::new(arguments.get()),
        redaction,
        bytes_max,
        out: String::new(),
        path: Vec::new(),
        full: false,
    };
    printer.value(0);
    Shown {
        text: printer.out,
        complete: !printer.full,
    }
}

struct Printer<'a> {
    cursor: Cursor<'a>,
    redaction: &'a Redaction,
    bytes_max: usize,
    out: String,
    path: Vec<String>,
    full: bool,
}

impl Printer<'_> {
    /// Prints the value at the cursor. Stops reading once the output is full.
    fn value(&mut self, depth: usize) {
        match self.cursor.peek() {
            Some(b'{' | b'[') if depth >= DEPTH_MAX => {
                self.push("[nested too deeply to show]");
                // Counts as cut off, so that approvers learn that something is missing.
                self.full = true;
            }
            Some(b'{') => self.items(depth, true),
            Some(b'[') => self.items(depth, false),
            _ => {
                let scalar = self.cursor.scalar();
                self.scalar(scalar);
            }
        }
    }

    /// Prints the object or array at the cursor.
    fn items(&mut self, depth: usize, is_object: bool) {
        let (open, close) = if is_object {
            (b'{', b'}')
        } else {
            (b'[', b']')
        };
        self.cursor.eat(open);
        self.push(if is_object { "{" } else { "[" });
        let mut count = 0;
        while !self.cursor.eat(close) {
            if self.full {
                return;
            }
            self.cursor.eat(b',');
            self.start_item(count, depth);
            let name = if is_object {
                let quoted = self.cursor.scalar();
                self.scalar(quoted);
                self.push(": ");
                self.cursor.eat(b':');
                Some(serde_json::from_str(quoted).unwrap_or_else(|_| quoted.to_owned()))
            } else {
                None
            };
            self.path
                .push(name.clone().unwrap_or_else(|| count.to_string()));
            // The key is printed in any case, so that approvers see that something is left out.
            if self.redaction.hides(&self.path, name.as_deref()) {
                self.cursor.skip();
                self.push(REDACTED);
            } else {
                self.value(depth + 1);
            }
            self.path.pop();
            count += 1;
        }
        self.end(count == 0, depth, if is_object { "}" } else { "]" });
    }

    fn start_item(&mut self, index: usize, depth: usize) {
        if index > 0 {
            self.push(",");
        }
        self.line(depth + 1);
    }

    fn end(&mut self, empty: bool, depth: usize, bracket: &str) {
        if !empty {
            self.line(depth);
        }
        self.push(bracket);
    }

    fn line(&mut self, depth: usize) {
        self.push("\n");
        self.push(&"  ".repeat(depth.min(INDENT_MAX)));
    }

    /// Prints a string with its quotes, or another value that has no parts.
    fn scalar(&mut self, text: &str) {
        // serde_json writes newlines and the like in the usual way; `visible` spells out the rest.
        let spelled = serde_json::from_str::<String>(text).ok();
        let spelled = spelled.and_then(|string| serde_json::to_string(&string).ok());
        self.push(&visible(spelled.as_deref().unwrap_or(text)));
    }

    fn push(&mut self, text: &str) {
        // Cannot underflow: the output never exceeds its limit.
        let room = self.bytes_max - self.out.len();
        if self.full || text.len() <= room {
            if !self.full {
                self.out.push_str(text);
            }
            return;
        }
        self.out.push_str(cut(text, room));
        self.full = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: &str, redaction: &Redaction, bytes_max: usize) -> Shown {
        let raw = RawValue::from_string(json.to_owned()).unwrap();
        render(Some(&raw), redaction, bytes_max)
    }

    #[test]
    fn order_and_numbers_stay_as_sent() {
        let shown = shown(
            r#"{"b":1e400,"a":[1.50,{}],"c":12345678901234567890123}"#,
            &Redaction::default(),
            999,
        );
        assert_eq!(
            shown.text,
            "{\n  \"b\": 1e400,\n  \"a\": [\n    1.50,\n    {}\n  ],\n  \"c\": 12345678901234567890123\n}"
        );
        assert!(shown.complete);
    }

    #[test]
    fn secrets_are_left_out_by_name_pointer_and_altogether() {
        let json = r#"{"Password":"p1","deep":[{"token":"t1","id":7}],"card":{"number":"n1"}}"#;
        let by_name = shown(json, &Redaction::default(), 999);
        assert!(!by_name.text.contains("p1") && !by_name.text.contains("t1"));
        assert!(by_name.text.contains("n1"));
        let by_pointer = shown(json, &Redaction::new(["/card/number", "/deep/*/id"]), 999);
        assert!(!by_pointer.text.contains("n1") && !by_pointer.text.contains('7'));
        assert!(by_pointer.text.contains("p1"));
        assert!(
            !shown(json, &Redaction::new(["all"]), 999)
                .text
                .contains("card")
        );
    }

    #[test]
    fn a_name_spelled_with_escapes_or_far_down_is_still_left_out() {
        let mut json = r#"{"p\u0061ssword":"hidden"}"#.to_owned();
        for _ in 0..40 {
            json = format!("[{json}]");
        }
        assert!(
            !shown(&json, &Redaction::default(), 99_999)
                .text
                .contains("hidden")
        );
    }

    #[test]
    fn a_key_that_is_no_text_shows_and_hides_nothing_else() {
        let json = r#"{"\ud800":[1],"password":{"a":[{"b":"hidden"}]},"c":2}"#;
        let shown = shown(json, &Redaction::default(), 999);
        assert_eq!(
            shown.text,
            "{\n  \"\\ud800\": [\n    1\n  ],\n  \"password\": \"[redacted]\",\n  \"c\": 2\n}"
        );
    }

    #[test]
    fn endless_nesting_is_cut_and_told() {
        let json = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
        assert!(!shown(&json, &Redaction::default(), 99_999).complete);
    }

    #[test]
    fn hidden_characters_in_keys_and_values_show() {
        let shown = shown(
            "{\"a\u{202e}\":\"x\\u202ey\\n\"}",
            &Redaction::default(),
            999,
        );
        assert!(shown.text.contains("\\u{202e}") && !shown.text.contains('\u{202e}'));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let cut = shown(
            &format!("[\"{}\"]", "é".repeat(500)),
            &Redaction::default(),
            100,
        );
        assert!(!cut.complete);
        assert!(cut.text.len() <= 100);
    }
}
