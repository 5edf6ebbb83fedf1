//! The canonical text of a JSON value, for the digests that bind an approval to a call.
//!
//! Two passes over the text: the first finds the members of each object, the second writes them in
//! order. Neither recurses, so that deep nesting cannot overflow the stack.

mod outline;

use serde_json::Value;

use outline::{Outline, skip_space};

use crate::scan::after_string;
use crate::text::JsonText;

/// The value with sorted keys, no white space, and one spelling of each string; `None` is an empty
/// object. Duplicate keys all stay, in their order, since parsers differ in which of them counts.
///
/// Numbers keep their spelling, so that no two different ones become equal by rounding; a client that
/// repeats a call sends the same spelling. Text that cannot be parsed is returned as it is.
#[must_use]
pub fn canonical(json: Option<JsonText<'_>>) -> String {
    let Some(json) = json else {
        return "{}".to_owned();
    };
    let written = Outline::of(json.get()).and_then(|outline| write(json.get(), &outline));
    written.unwrap_or_else(|| json.get().to_owned())
}

/// The array or object that is being written.
enum Container {
    Array,
    Object {
        /// Index of the object in the outline.
        index: usize,
        /// Index of the member to write next.
        next: usize,
    },
}

/// `None` if a string is not valid Unicode, such as half of a surrogate pair.
fn write(text: &str, outline: &Outline) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut containers: Vec<Container> = Vec::new();
    // The offset of the next value, and the number of objects that begin before it.
    let (mut at, mut objects) = (0, 0);
    loop {
        match bytes.get(at)? {
            b'{' => {
                out.push('{');
                let members = outline.members(objects)?;
                let (index, next) = (objects, members.start);
                containers.push(Container::Object { index, next });
            }
            b'[' => {
                out.push('[');
                at = skip_space(bytes, at + 1);
                containers.push(Container::Array);
                if bytes.get(at)? != &b']' {
                    continue;
                }
            }
            b'"' => {
                let end = after_string(bytes, at);
                write_string(text.get(at..end)?, &mut out)?;
                at = end;
            }
            _ => {
                let end = after_scalar(bytes, at)?;
                out.push_str(text.get(at..end)?);
                at = end;
            }
        }
        // A value, or an empty container, has been written. Next is a further value of its container,
        // or the container's end.
        loop {
            match containers.last_mut() {
                None => return Some(out),
                Some(Container::Array) => {
                    at = skip_space(bytes, at);
                    let is_next = bytes.get(at)? == &b',';
                    at += 1;
                    if is_next {
                        out.push(',');
                        at = skip_space(bytes, at);
                        break;
                    }
                    out.push(']');
                }
                Some(Container::Object { index, next }) => {
                    let members = outline.members(*index)?;
                    if let Some(member) = outline.member(*next).filter(|_| *next < members.end) {
                        if *next > members.start {
                            out.push(',');
                        }
                        write_string(member.key(text)?, &mut out)?;
                        out.push(':');
                        *next += 1;
                        (at, objects) = (member.value(), member.objects_before());
                        break;
                    }
                    out.push('}');
                    (at, objects) = outline.after(*index)?;
                }
            }
            containers.pop();
        }
    }
}

/// The end of a number, `true`, `false` or `null`.
fn after_scalar(bytes: &[u8], at: usize) -> Option<usize> {
    let length = bytes.get(at..)?.iter();
    let ends = |byte: &u8| b",]} \t\r\n".contains(byte);
    Some(at + length.take_while(|byte| !ends(byte)).count())
}

fn write_string(quoted: &str, out: &mut String) -> Option<()> {
    if memchr::memchr(b'\\', quoted.as_bytes()).is_none() {
        // Only strings with escapes have several spellings.
        out.push_str(quoted);
        return Some(());
    }
    let string: String = serde_json::from_str(quoted).ok()?;
    out.push_str(&Value::from(string).to_string());
    Some(())
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn of(text: &str) -> String {
        let raw = RawValue::from_string(text.to_owned()).unwrap();
        canonical(Some((&*raw).into()))
    }

    #[test]
    fn spellings_of_one_value_agree_and_others_do_not() {
        assert_eq!(
            of(" {\"b\" : [1, {\"d\":null,\"c\":\"\\u0061\"}], \"a\":true} "),
            r#"{"a":true,"b":[1,{"c":"a","d":null}]}"#
        );
        assert_eq!(canonical(None), of("{ }"));
        assert_ne!(of("9007199254740993"), of("9007199254740992"));
        assert_ne!(of("[1,2]"), of("[2,1]"));
        assert_ne!(of("\"1\""), of("1"));
        assert_ne!(of(r#"{"v":1,"v":2}"#), of(r#"{"v":2}"#));
        assert_ne!(of(r#"{"v":1,"v":2}"#), of(r#"{"v":2,"v":1}"#));
    }

    /// The definition of the canonical text, by a parser that reads each level again.
    fn defined(raw: &RawValue, text: &mut String) -> serde_json::Result<()> {
        match raw.get().as_bytes().first() {
            Some(b'{') => {
                let read = crate::members::Object::read(raw.get(), &[]);
                let object = read.map_err(|_| serde::de::Error::custom("unclear"))?;
                let mut members: Vec<_> = object.top().members().collect();
                members.sort_by(|left, right| left.0.cmp(right.0));
                text.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        text.push(',');
                    }
                    text.push_str(&Value::from(key.as_ref()).to_string());
                    text.push(':');
                    defined(value.raw(), text)?;
                }
                text.push('}');
            }
            Some(b'[') => {
                text.push('[');
                let items: Vec<&RawValue> = serde_json::from_str(raw.get())?;
                for (index, item) in items.into_iter().enumerate() {
                    if index > 0 {
                        text.push(',');
                    }
                    defined(item, text)?;
                }
                text.push(']');
            }
            Some(b'"') => {
                let string: String = serde_json::from_str(raw.get())?;
                text.push_str(&Value::from(string).to_string());
            }
            _ => text.push_str(raw.get()),
        }
        Ok(())
    }

    /// Random JSON of every kind; `state` is the seed.
    fn random(state: &mut u64, depth: usize, out: &mut String) {
        let mut pick = |count: u64| {
            *state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (*state >> 33) % count
        };
        let space = ["", "", " ", "\n\t"][usize::try_from(pick(4)).unwrap()];
        out.push_str(space);
        match if depth == 0 { pick(2) } else { pick(5) } {
            0 => out.push_str(
                ["1", "-1.50", "1e999", "true", "null"][usize::try_from(pick(5)).unwrap()],
            ),
            1 => out.push_str(STRINGS[usize::try_from(pick(STRINGS.len() as u64)).unwrap()]),
            2 => {
                out.push('[');
                for index in 0..pick(4) {
                    if index > 0 {
                        out.push(',');
                    }
                    random(state, depth - 1, out);
                }
                out.push_str(" ]");
            }
            _ => {
                out.push('{');
                let count = pick(5);
                let keys: Vec<u64> = (0..count).map(|_| pick(STRINGS.len() as u64)).collect();
                for (index, key) in keys.into_iter().enumerate() {
                    if index > 0 {
                        out.push_str(" ,");
                    }
                    out.push_str(STRINGS[usize::try_from(key).unwrap()]);
                    out.push_str(": ");
                    random(state, depth - 1, out);
                }
                out.push('}');
            }
        }
        out.push_str(space);
    }

    const STRINGS: [&str; 12] = [
        r#""a""#,
        r#""\u0061""#,
        r#""b""#,
        r#""""#,
        r#""\"\\\/\n\u0000""#,
        r#""{\"a\":[""#,
        "\"\u{e9}\u{7f}\u{2028}\"",
        r#""\u00e9""#,
        r#""\ud83d\ude00""#,
        "\"\u{1f600}\"",
        r#""a\\""#,
        r#""\ud800""#,
    ];

    #[test]
    fn it_is_what_its_definition_says() {
        let (mut state, mut unreadable) = (7, 0);
        for _ in 0..5_000 {
            let mut text = String::new();
            random(&mut state, 5, &mut text);
            let raw: Box<RawValue> = serde_json::from_str(&text).unwrap();
            let mut expected = String::new();
            if defined(&raw, &mut expected).is_err() {
                raw.get().clone_into(&mut expected);
                unreadable += 1;
            }
            assert_eq!(canonical(Some((&*raw).into())), expected, "{text}");
        }
        assert!(unreadable > 200, "{unreadable}");
    }

    #[test]
    fn neither_depth_nor_width_bring_it_down() {
        let depth = 100_000;
        let unsorted = format!(
            "{}1{}",
            r#"{"b":"#.repeat(depth),
            r#","a":0}"#.repeat(depth)
        );
        let sorted = format!("{}1{}", r#"{"a":0,"b":"#.repeat(depth), "}".repeat(depth));
        assert!(of(&unsorted) == sorted);
        let arrays = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(of(&arrays) == arrays);
        let keys = |order: &mut dyn Iterator<Item = u32>| {
            let members: Vec<String> = order.map(|key| format!("\"{key:06}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert!(of(&keys(&mut (0..50_000).rev())) == keys(&mut (0..50_000)));
    }
}
