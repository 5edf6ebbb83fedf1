//! Filters one message: removes tools from its list, and keeps the rest byte for byte.
//!
//! Finds no list in text that is not valid JSON; [`may_list`] returns whether a more lenient parser
//! might find one.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::choose::Choose;
use super::error::Unreadable;
use super::find::{Found, find, for_each};
use crate::headers::Era;
use crate::members::{has_nul, string};
use crate::rewrite::Edits;

/// Result of filtering one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filtered {
    /// The message has no list of tools, or no tool had to be removed.
    Unchanged,
    /// The message to send instead.
    Changed(Vec<u8>),
}

/// Removes the tools that do not stay by `choose` from an answer to `tools/list`, or from the answers
/// in a batch (2025-03-26). All else stays byte for byte, except that in the modern era the answer is
/// marked private (`cacheScope`), since it now depends on the agent.
pub fn filter(body: &[u8], era: Era, choose: &mut dyn Choose) -> Result<Filtered, Unreadable> {
    // Most clients skip a byte order mark.
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let text = std::str::from_utf8(body).map_err(|_| Unreadable::NotJson)?;
    let whole: &RawValue = serde_json::from_str(text).map_err(|_| Unreadable::NotJson)?;
    let mut edits = Edits::new(text);
    if whole.get().starts_with('[') {
        for_each(whole, |message| {
            // A batch in a batch is not JSON-RPC: some clients may unpack it, others not.
            if message.get().starts_with('[') {
                return Err(Unreadable::Ambiguous);
            }
            cut(message, era, choose, &mut edits)
        })?;
    } else {
        cut(whole, era, choose, &mut edits)?;
    }
    Ok(if edits.is_empty() {
        Filtered::Unchanged
    } else {
        Filtered::Changed(edits.finish().into_bytes())
    })
}

/// Whether some parser might find a list of tools in text that [`filter`] cannot read: the text begins
/// like JSON, and contains `tools` or characters that could encode it.
#[must_use]
pub fn may_list(body: &[u8]) -> bool {
    if !matches!(begins(body), Some('{' | '[')) {
        return false;
    }
    let plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t') && *byte != b'\\';
    !body.iter().all(plain)
        || body
            .windows(TOOLS.len())
            .any(|window| window.eq_ignore_ascii_case(TOOLS.as_bytes()))
}

/// The first character that no parser skips.
pub(super) fn begins(text: &[u8]) -> Option<char> {
    let skipped = |char: &char| {
        char.is_whitespace()
            || char.is_control()
            || matches!(
                char,
                '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{fffd}'
            )
    };
    let text = String::from_utf8_lossy(text);
    text.chars().find(|char| !skipped(char))
}

const TOOLS: &str = "tools";
const PRIVATE: &str = "\"private\"";

/// Removes tools from one message.
fn cut(
    message: &RawValue,
    era: Era,
    choose: &mut dyn Choose,
    edits: &mut Edits<'_>,
) -> Result<(), Unreadable> {
    if !message.get().starts_with('{') {
        return Ok(());
    }
    let [result, tools] = find(message, ["result", TOOLS])?;
    // A lenient client might look for the list next to `result`, and not only in it.
    if !matches!(tools, Found::Absent) {
        return Err(Unreadable::Ambiguous);
    }
    let Some(result) = result
        .sole()?
        .filter(|result| result.get().starts_with('{'))
    else {
        return Ok(());
    };
    let [list, scope, cursor] = find(result, [TOOLS, "cacheScope", "nextCursor"])?;
    let Some(list) = list.sole()? else {
        return Ok(());
    };
    match list.get().as_bytes().first() {
        Some(b'[') => {}
        Some(b'{' | b'"') => return Err(Unreadable::Ambiguous),
        // No parser could take this value for a list of tools.
        _ => return Ok(()),
    }
    let (mut kept, mut left_out) = (String::from("["), false);
    for_each(list, |tool| {
        if name(tool).is_some_and(|name| choose.keep(&name)) {
            if kept.len() > 1 {
                kept.push(',');
            }
            kept.push_str(tool.get());
        } else {
            left_out = true;
        }
        Ok(())
    })?;
    kept.push(']');
    let is_last = match cursor {
        Found::Absent => true,
        Found::Sole(cursor) => cursor.get() == "null",
        Found::Ambiguous => false,
    };
    choose.ended(!is_last);
    if left_out {
        edits.replace(list.get(), kept);
    }
    // Also where no tool was left out: for another agent one would be.
    if era == Era::Modern {
        match scope.sole()? {
            Some(scope) if scope.get() == PRIVATE => {}
            Some(scope) => edits.replace(scope.get(), PRIVATE.to_owned()),
            None => edits.insert_after(list.get(), format!(",\"cacheScope\":{PRIVATE}")),
        }
    }
    Ok(())
}

/// The name of a tool; `None` if it has none, or an ambiguous one, which cannot be decided on.
fn name(tool: &RawValue) -> Option<Cow<'_, str>> {
    let [name] = find(tool, ["name"]).ok()?;
    let name = string(name.sole().ok()??.into())?;
    (!has_nul(&name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"result": { "tools":[{"name":"a","x":1.0}, {"name":"b"},{"x":2} , {"name":"\u0061"}],"nextCursor":"n","cacheScope" : "public"}}"#;

    fn filtered(body: impl AsRef<[u8]>, era: Era) -> String {
        match filter(body.as_ref(), era, &mut |name: &str| name == "a") {
            Ok(Filtered::Unchanged) => "unchanged".to_owned(),
            Ok(Filtered::Changed(message)) => String::from_utf8(message).unwrap(),
            Err(unreadable) => format!("{unreadable:?}"),
        }
    }

    #[test]
    fn tools_that_may_not_be_called_go_and_the_rest_stays_as_it_came() {
        let cut = r#"{"jsonrpc":"2.0","id":1,"result": { "tools":[{"name":"a","x":1.0},{"name":"\u0061"}],"nextCursor":"n","cacheScope" : "public"}}"#;
        assert_eq!(filtered(LIST, Era::Legacy), cut);
        assert_eq!(
            filtered(LIST, Era::Modern),
            cut.replace("public", "private")
        );
        let all = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[ {"name":"a"}]} }"#;
        assert_eq!(filtered(all, Era::Legacy), "unchanged");
        assert_eq!(
            filtered(all, Era::Modern),
            r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[ {"name":"a"}],"cacheScope":"private"} }"#
        );
        assert_eq!(
            filtered(filtered(all, Era::Modern), Era::Modern),
            "unchanged"
        );
    }

    #[test]
    fn the_caller_sees_all_names_and_the_last_page() {
        #[derive(Default)]
        struct Seen(Vec<String>);
        impl Choose for Seen {
            fn keep(&mut self, tool: &str) -> bool {
                self.0.push(tool.to_owned());
                false
            }
            fn ended(&mut self, more: bool) {
                self.0.push(format!("more: {more}"));
            }
        }
        let seen = |body: &str| {
            let mut seen = Seen::default();
            filter(body.as_bytes(), Era::Legacy, &mut seen).unwrap();
            seen.0.join(" ")
        };
        assert_eq!(seen(LIST), "a b a more: true");
        for last in ["", ",\"nextCursor\":null"] {
            let list = format!("{{\"result\":{{\"tools\":[{{\"name\":\"a\"}}]{last}}}}}");
            assert_eq!(seen(&list), "a more: false");
        }
        assert_eq!(seen(r#"{"result":{}}"#), "");
    }

    #[test]
    fn lists_are_found_however_they_are_written() {
        let cut = r#"{"result":{"tools":[]}}"#;
        for (body, expected) in [
            ("\u{feff}{\"result\":{\"tools\":[{\"name\":\"b\"}]}}", cut),
            (
                r#" [{"id":1,"result":{}},{"result":{"tools":[{"name":"b"}]}}]"#,
                r#" [{"id":1,"result":{}},{"result":{"tools":[]}}]"#,
            ),
            (
                r#"{"r\u0065sult":{"\u0074ools":[{"name":"b"}]}}"#,
                r#"{"r\u0065sult":{"\u0074ools":[]}}"#,
            ),
        ] {
            assert_eq!(filtered(body, Era::Legacy), expected, "{body}");
        }
    }

    #[test]
    fn tools_that_readers_could_read_differently_go() {
        for tool in [
            r#"{"name":"a","name":"b"}"#,
            r#"{"name":"b","n\u0061me":"a"}"#,
            r#"{"name":"a","Name":"b"}"#,
            r#"{"name":"a","name\u0000":"b"}"#,
            r#"{"Name":"a"}"#,
            r#"{"name":"a\u0000"}"#,
            r#"{"name":"\ud800"}"#,
            r#"{"name":["a"]}"#,
            r#""a""#,
            r#"["a"]"#,
        ] {
            let list = format!(r#"{{"result":{{"tools":[{tool}]}}}}"#);
            let cut = filtered(&list, Era::Legacy);
            assert_eq!(cut, r#"{"result":{"tools":[]}}"#, "{tool}");
        }
    }

    #[test]
    fn lists_that_readers_could_read_differently_are_refused() {
        let list = r#"{"tools":[{"name":"b"}]}"#;
        for (body, expected) in [
            (format!(r#"{{"result":{{}},"result":{list}}}"#), "Ambiguous"),
            (format!(r#"{{"Result":{list}}}"#), "Ambiguous"),
            (format!(r#"{{"result\u0000":{list}}}"#), "Ambiguous"),
            (format!(r#"{{"re\u017fult":{list}}}"#), "Ambiguous"),
            (
                r#"{"result":{"tools":[],"tools":[{"name":"b"}]}}"#.to_owned(),
                "Ambiguous",
            ),
            (
                r#"{"result":{"tools":[],"TOOLS":[{"name":"b"}]}}"#.to_owned(),
                "Ambiguous",
            ),
            (
                r#"{"result":{"tool\u017f":[{"name":"b"}]}}"#.to_owned(),
                "Ambiguous",
            ),
            (
                r#"{"result":{"tools\u0000x":[{"name":"b"}]}}"#.to_owned(),
                "Ambiguous",
            ),
            (
                r#"{"result":{"tools":{"0":{"name":"b"}}}}"#.to_owned(),
                "Ambiguous",
            ),
            (format!("[[{{\"result\":{list}}}]]"), "Ambiguous"),
            (list.to_owned(), "Ambiguous"),
            (format!("{{\"result\":{list}}} x"), "NotJson"),
            (format!("{{\"result\":{list},}}"), "NotJson"),
            (format!("{{\"result\":{list},\"x\":NaN}}"), "NotJson"),
        ] {
            assert_eq!(filtered(&body, Era::Modern), expected, "{body}");
            assert!(
                expected == "Ambiguous" || may_list(body.as_bytes()),
                "{body}"
            );
        }
        let not_text = b"{\"result\":{\"tools\":[{\"name\":\"b\",\"x\":\"\xff\"}]}}";
        assert_eq!(filtered(not_text, Era::Modern), "NotJson");
        assert!(may_list(not_text));
    }

    #[test]
    fn other_messages_pass() {
        for body in [
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"tools":3}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"capabilities":{"tools":{}}}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"a":1,"a":2}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":null}"#,
            "[]",
            "[1]",
            "null",
        ] {
            assert_eq!(filtered(body, Era::Modern), "unchanged", "{body}");
        }
    }

    #[test]
    fn what_begins_like_json_and_may_name_tools_may_be_a_list() {
        for body in [
            &b"{'tools':[]}"[..],
            b"\0 {TOOLS",
            b"\xEF\xBB\xBF\xEF\xBB\xBF{\"tools\":[]}",
            b"\xC2\xA0[{\\u0074",
            b"{\xffools",
            b"{\"to\nols\"",
        ] {
            assert!(may_list(body), "{body:?}");
        }
        for body in [
            &b""[..],
            b"ping",
            b"[DONE]",
            b"5 tools {",
            b"<html>{tools}",
            b"{\"data\":NaN}",
        ] {
            assert!(!may_list(body), "{body:?}");
        }
    }
}
