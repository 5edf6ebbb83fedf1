//! The canonical form: equal for all spellings of one value, different for different values, and a
//! fixed point; judged by a spelling that shares no code with it.

use std::fmt::Write as _;

use serde_json::value::RawValue;
use thoughtgate_approval::digest;
use thoughtgate_mcp::canonical;

use super::target::{CUT, Check, Target, choices, kind};
use crate::generate::Writer;
use crate::json::{self, Json, Value};
use crate::random::Random;

pub const TARGET: Target = Target {
    name: "canonical",
    generate,
    check: || Ok(Box::new(check) as Check),
};

fn generate(random: &mut Random) -> Vec<u8> {
    if random.one_in(200) {
        return large(random).into_bytes();
    }
    let faults = [0, 20][random.below(2)];
    let mut writer = Writer::new(random, faults);
    let first = writer.value(6);
    if writer.random.one_in(2) {
        return first.into_bytes();
    }
    let second = writer.value(2);
    [first, second].join(CUT).into_bytes()
}

/// Inputs that take long unless the time is linear: deep, wide, or of long keys.
fn large(random: &mut Random) -> String {
    let size = 1 << (8 + random.below(7));
    match random.below(4) {
        0 => format!("{}1{}", "[".repeat(100), "]".repeat(100)),
        1 => {
            let payload = "x".repeat(size * 8);
            format!("{}\"{payload}\"{}", "{\"a\":".repeat(100), "}".repeat(100))
        }
        2 => format!("[{}1]", "1,".repeat(size)),
        _ => {
            let members: Vec<String> = (0..size).map(|key| format!("\"k{key}\":{key}")).collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

fn check(input: &[u8]) -> Result<u64, String> {
    let Ok(text) = std::str::from_utf8(input) else {
        return Ok(0);
    };
    let mut parts = text.split(CUT);
    let first = parts.next().unwrap_or_default();
    let Some(form) = of(first) else {
        return Ok(1);
    };
    let json = json::parse(first).ok_or("accepted: not JSON")?;
    let (Some(spelt), false) = (json.spelt(), json.has_lone_surrogate()) else {
        // Capped, so that not every length is a kind of its own.
        return Ok(kind(("no one value", form.len().min(64))));
    };
    if of(&form).as_deref() != Some(&form) {
        return Err("not a fixed point: the canonical form has another canonical form".to_owned());
    }
    let read = json::parse(&form).ok_or("not JSON: the canonical form")?;
    if read.spelt().as_deref() != Some(&spelt) {
        return Err("another value: the canonical form reads as another value".to_owned());
    }
    let mut random = choices(input);
    let respelt = respell(&json, &mut random);
    if of(&respelt).as_deref() != Some(&form) {
        return Err(format!(
            "spelling matters: {respelt} has another canonical form"
        ));
    }
    for other in parts {
        differ((&spelt, &form), other)?;
    }
    let changed = change(&json, first, &mut random);
    differ((&spelt, &form), &changed)?;
    digests(first, &changed)?;
    Ok(kind((form.len().min(200), form.as_bytes().first())))
}

fn of(text: &str) -> Option<String> {
    let raw = RawValue::from_string(text.to_owned()).ok()?;
    Some(canonical(Some((&*raw).into())))
}

/// Equal canonical forms if and only if equal values.
fn differ((spelt, form): (&str, &str), other: &str) -> Result<(), String> {
    let (Some(json), Some(other_form)) = (json::parse(other), of(other)) else {
        return Ok(());
    };
    let (Some(other_spelt), false) = (json.spelt(), json.has_lone_surrogate()) else {
        return Ok(());
    };
    if (spelt == other_spelt) != (form == other_form) {
        return Err(format!("values and forms disagree: {other}"));
    }
    Ok(())
}

/// Checks that digests bind an approval to principal, tool and arguments, with no way to shift one into
/// another.
fn digests(arguments: &str, other: &str) -> Result<(), String> {
    let raw = |text: &str| RawValue::from_string(text.to_owned()).ok();
    let (Some(arguments), Some(other)) = (raw(arguments), raw(other)) else {
        return Ok(());
    };
    let own = digest("agent", "tool", Some(&arguments));
    if own != digest("agent", "tool", Some(&arguments)) {
        return Err("digest: the same call has two".to_owned());
    }
    // Letters that move from one field to the next must change the digest.
    let others = [
        digest("agen", "ttool", Some(&arguments)),
        digest("agentt", "ool", Some(&arguments)),
        digest("agent", "", Some(&arguments)),
        digest("", "agenttool", Some(&arguments)),
    ];
    if others.contains(&own) {
        return Err("digest: another principal or tool has the same".to_owned());
    }
    let (form, other_form) = (
        canonical(Some((&*arguments).into())),
        canonical(Some((&*other).into())),
    );
    // Without arguments a call is the same, however that is written.
    let are_none = |form: &str| matches!(form, "null" | "{}");
    let same = form == other_form || (are_none(&form) && are_none(&other_form));
    if same != (own == digest("agent", "tool", Some(&other))) {
        return Err("digest: it does not follow the canonical form".to_owned());
    }
    if are_none(&form) != (own == digest("agent", "tool", None)) {
        return Err("digest: absent arguments are not those that are none".to_owned());
    }
    Ok(())
}

/// The same value in another spelling.
fn respell(json: &Json, random: &mut Random) -> String {
    match &json.value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        // The canonical form keeps a number as it is written, so another spelling is another value.
        Value::Number(text) => text.clone(),
        Value::Text(units) => respell_text(units, random),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| respell(item, random)).collect();
            format!("[ {}]", items.join(" ,"))
        }
        Value::Object(members) => {
            let mut members: Vec<String> = members
                .iter()
                .map(|(key, value)| {
                    format!(
                        "{} :\n{}",
                        respell_text(key, random),
                        respell(value, random)
                    )
                })
                .collect();
            for index in (1..members.len()).rev() {
                members.swap(index, random.below(index + 1));
            }
            format!("{{{}\t}}", members.join(", "))
        }
    }
}

fn respell_text(units: &[u16], random: &mut Random) -> String {
    let mut out = String::from("\"");
    for letter in char::decode_utf16(units.iter().copied()) {
        let letter = letter.unwrap_or(char::REPLACEMENT_CHARACTER);
        if matches!(letter, '"' | '\\' | '\0'..='\x1f') || random.one_in(3) {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = if random.one_in(2) {
                    write!(out, "\\u{unit:04X}")
                } else {
                    write!(out, "\\u{unit:04x}")
                };
            }
        } else {
            out.push(letter);
        }
    }
    out.push('"');
    out
}

/// The text with one leaf exchanged.
fn change(json: &Json, text: &str, random: &mut Random) -> String {
    let mut place = json;
    loop {
        let inner: Vec<&Json> = match &place.value {
            Value::Array(items) => items.iter().collect(),
            Value::Object(members) => members.iter().map(|(_, value)| value).collect(),
            _ => Vec::new(),
        };
        if inner.is_empty() {
            break;
        }
        place = inner[random.below(inner.len())];
    }
    let new = random.pick(&[
        "0", "1", "1.0", "10", "\"1\"", "null", "\"\"", "[]", "{}", "[[]]", "-1",
    ]);
    let (before, after) = (text.get(..place.start), text.get(place.end..));
    [before.unwrap_or_default(), new, after.unwrap_or_default()].concat()
}
