//! The new id of a response that passes in pieces: every value of `id` is replaced, and nothing else
//! changes, wherever the pieces end.

use serde_json::value::RawValue;
use thoughtgate_mcp::Renumber;

use super::target::{Check, Target, choices, kind};
use crate::generate::Writer;
use crate::json::{self, Value};
use crate::random::Random;

const ID: &str = r#""the new id""#;

pub const TARGET: Target = Target {
    name: "renumber",
    generate,
    check: || Ok(Box::new(check) as Check),
};

/// A response with members around its id, some of them with a twin of it.
fn generate(random: &mut Random) -> Vec<u8> {
    let faults = [0, 10][random.below(2)];
    let mut writer = Writer::new(random, faults);
    let members = ["jsonrpc", "id", "result", "id2"].map(|key| {
        let value = match key {
            "result" => writer.value(3),
            _ => writer.scalar(),
        };
        (key.to_owned(), value)
    });
    writer.object(members.into());
    writer.out.into_bytes()
}

fn check(input: &[u8]) -> Result<u64, String> {
    let id: &RawValue = serde_json::from_str(ID).map_err(|error| error.to_string())?;
    let whole = Renumber::new(id).piece(input);
    let mut random = choices(input);
    let mut renumber = Renumber::new(id);
    let (mut pieces, mut rest) = (Vec::new(), input);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(1 + random.below(rest.len().min(9)));
        pieces.extend(renumber.piece(piece));
        rest = after;
    }
    if pieces != whole {
        return Err(format!(
            "depends on the pieces: {:?} and {:?}",
            String::from_utf8_lossy(&pieces),
            String::from_utf8_lossy(&whole)
        ));
    }
    let Some((text, parsed)) = std::str::from_utf8(input)
        .ok()
        .and_then(|text| Some((text, json::parse(text)?)))
    else {
        return Ok(0);
    };
    let (expected, ids) = with_id(text, &parsed.value);
    if whole != expected.as_bytes() {
        let found = String::from_utf8_lossy(&whole);
        return Err(format!("changed wrongly: {found:?}, expected {expected:?}"));
    }
    Ok(kind((ids, text.len().ilog2())))
}

/// The text with each id replaced, and their number.
fn with_id(text: &str, value: &Value) -> (String, usize) {
    let Value::Object(members) = value else {
        return (text.to_owned(), 0);
    };
    let (mut out, mut from, mut ids) = (String::new(), 0, 0);
    for (key, value) in members {
        if String::from_utf16_lossy(key) != "id" {
            continue;
        }
        // White space around the old id goes with it.
        let before = text[..value.start].trim_end();
        let after = text[value.end..].trim_start();
        out.push_str(&before[from..]);
        out.push_str(ID);
        from = text.len() - after.len();
        ids += 1;
    }
    out.push_str(&text[from..]);
    (out, ids)
}
