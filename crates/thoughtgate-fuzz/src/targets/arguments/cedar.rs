//! The oracle: Cedar's authorizer over all policies, with all arguments as one reader sees them.

use std::collections::{BTreeSet, HashMap, HashSet};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request,
    RestrictedExpression,
};

use crate::json::{Json, Value};
use crate::readers::Reader;

/// Members of `Group::"ops"`.
pub const OPS: &[&str] = &["alice"];
/// Members of `ToolGroup::"read-only"`.
pub const READ_ONLY: &[&str] = &["read_file", "list"];

/// A call as one reader sees it.
pub struct Call<'c> {
    pub agent: &'c str,
    pub tool: &'c str,
    pub json: &'c Json,
    /// Names that the policies may read.
    pub names: &'c BTreeSet<String>,
    pub reader: Reader,
    pub now_s: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Permitted; whether a determining policy wants approval.
    Permitted {
        asks: bool,
    },
    Denied,
    /// A policy could not be evaluated, so that its answer is not known.
    Failed(String),
}

pub fn verdict(policies: &PolicySet, call: &Call<'_>) -> Verdict {
    ask(policies, call, str::to_owned)
}

/// Asks Cedar with each argument `path` as the file that a server would open.
pub fn verdict_on_real_path(policies: &PolicySet, call: &Call<'_>) -> Verdict {
    ask(policies, call, real_path)
}

fn ask(policies: &PolicySet, call: &Call<'_>, path: fn(&str) -> String) -> Verdict {
    match request(call, path) {
        Ok((request, entities)) => {
            let response = Authorizer::new().is_authorized(&request, policies, &entities);
            // Cedar skips a policy that fails, a `forbid` too, so that its decision would prove nothing.
            if let Some(error) = response.diagnostics().errors().next() {
                return Verdict::Failed(error.to_string());
            }
            let mut reasons = response.diagnostics().reason();
            match response.decision() {
                Decision::Allow => Verdict::Permitted {
                    asks: reasons.any(|id| policies.annotation(id, "approve").is_some()),
                },
                Decision::Deny => Verdict::Denied,
            }
        }
        Err(error) => Verdict::Failed(error),
    }
}

fn request(call: &Call<'_>, path: fn(&str) -> String) -> Result<(Request, Entities), String> {
    let arguments = record(call, call.json, path)?;
    let now = RestrictedExpression::new_datetime(rfc3339(call.now_s));
    let context =
        Context::from_pairs([("arguments".to_owned(), arguments), ("now".to_owned(), now)]);
    let uid = |kind: &str, id: &str| {
        let kind = kind.parse().map_err(|_| "not a type".to_owned())?;
        Ok::<_, String>(EntityUid::from_type_name_and_id(
            kind,
            cedar_policy::EntityId::new(id),
        ))
    };
    let (principal, resource) = (uid("Agent", call.agent)?, uid("Tool", call.tool)?);
    let mut groups = HashSet::new();
    if OPS.contains(&call.agent) {
        groups.insert(uid("Group", "ops")?);
    }
    let mut parents = HashSet::from([uid("Upstream", "upstream")?]);
    if READ_ONLY.contains(&call.tool) {
        parents.insert(uid("ToolGroup", "read-only")?);
    }
    let name = RestrictedExpression::new_string(call.tool.to_owned());
    let attributes = HashMap::from([("name".to_owned(), name)]);
    let tool = Entity::new(resource.clone(), attributes, parents);
    let entities = Entities::from_entities(
        [
            Entity::new_no_attrs(principal.clone(), groups),
            tool.map_err(|error| error.to_string())?,
        ],
        None,
    );
    let action = uid("Action", "tools/call")?;
    let context = context.map_err(|error| error.to_string())?;
    let request = Request::new(principal, action, resource, context, None);
    Ok((
        request.map_err(|error| error.to_string())?,
        entities.map_err(|error| error.to_string())?,
    ))
}

/// The members that policies may ask for, as the reader finds them, and no others: what is not asked
/// for cannot matter.
fn record(
    call: &Call<'_>,
    object: &Json,
    path: fn(&str) -> String,
) -> Result<RestrictedExpression, String> {
    let pairs = call.names.iter().filter_map(|name| {
        // Strict schemas send `null` for an optional argument that is left out.
        let value = call.reader.get(object, name);
        let value = value.filter(|value| !matches!(value.value, Value::Null))?;
        Some(expression(call, name, value, path).map(|value| (name.clone(), value)))
    });
    let pairs: Result<Vec<_>, String> = pairs.collect();
    RestrictedExpression::new_record(pairs?).map_err(|error| error.to_string())
}

fn expression(
    call: &Call<'_>,
    name: &str,
    json: &Json,
    path: fn(&str) -> String,
) -> Result<RestrictedExpression, String> {
    // What Cedar cannot hold is a text that no policy names, so that comparing it fails or is false.
    let other = |what: &str| RestrictedExpression::new_string(format!("\u{1}{what}"));
    Ok(match &json.value {
        Value::Null => other("null"),
        Value::Bool(value) => RestrictedExpression::new_bool(*value),
        Value::Number(text) => match whole(text) {
            Some(number) => RestrictedExpression::new_long(number),
            None => other(text),
        },
        Value::Text(_) => {
            let units = call.reader.text(json).unwrap_or_default();
            match String::from_utf16(&units) {
                Ok(text) if name == "path" => RestrictedExpression::new_string(path(&text)),
                Ok(text) => RestrictedExpression::new_string(text),
                Err(_) => other("half of a surrogate pair"),
            }
        }
        Value::Array(items) => {
            let items: Result<Vec<_>, _> = items
                .iter()
                .map(|item| expression(call, "", item, path))
                .collect();
            RestrictedExpression::new_set(items?)
        }
        Value::Object(_) => record(call, json, path)?,
    })
}

/// The 64-bit integer that a number is, however it is written.
fn whole(text: &str) -> Option<i64> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = format!("{integer}{fraction}");
    // Zero stays zero with any exponent, even one that is too large to be read.
    if digits.bytes().all(|byte| matches!(byte, b'0' | b'-')) {
        return Some(0);
    }
    let shift = exponent.parse::<i64>().ok()? - i64::try_from(fraction.len()).ok()?;
    for _ in shift..0 {
        digits = digits.strip_suffix('0')?.to_owned();
    }
    // More zeros than 64 bits hold would still be too many.
    for _ in 0..shift.min(40) {
        digits.push('0');
    }
    digits.parse().ok()
}

/// The file that a server opens which decodes percent signs, takes a backslash for a slash and ends
/// at U+0000, once `.`, `..` and empty segments are resolved. Symbolic links are the server's affair.
fn real_path(path: &str) -> String {
    // Decoded twice, as where two programs on the way each decode once.
    let decoded = decode(&decode(path)).replace('\\', "/");
    let cut = decoded.split('\0').next().unwrap_or_default();
    if !cut.starts_with('/') {
        return cut.to_owned();
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in cut.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    // A folder is written with a slash at its end, or without: the pattern knows which it wants.
    let end = if cut.ends_with('/') && !segments.is_empty() {
        "/"
    } else {
        ""
    };
    format!("/{}{end}", segments.join("/"))
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = text.get(at + 1..at + 3).filter(|_| *byte == b'%');
        if let Some(Ok(decoded)) = digits.map(|digits| u8::from_str_radix(digits, 16)) {
            out.push(decoded);
            at += 3;
        } else {
            out.push(*byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The time of the call, which is always the same one.
fn rfc3339(now_s: u64) -> String {
    let (days, seconds) = (now_s / 86_400, now_s % 86_400);
    // Days from 2026-01-01 to the end of the year: no leap day to think of.
    let mut day = days - 20_454;
    let mut month = 0;
    for length in [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!(
        "2026-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.000Z",
        month + 1,
        day + 1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_a_server_goes() {
        for (path, real) in [
            ("/srv/a", "/srv/a"),
            ("/srv/../etc/passwd", "/etc/passwd"),
            ("/srv/%2e%2e/etc", "/etc"),
            ("/srv/%252e%252e/etc", "/etc"),
            ("/srv\\..\\etc", "/etc"),
            ("/srv//./a/", "/srv/a/"),
            ("/srv/a\0/b", "/srv/a"),
        ] {
            assert_eq!(real_path(path), real);
        }
    }

    #[test]
    fn whole_numbers_have_many_spellings() {
        for (text, expected) in [
            ("50.0", Some(50)),
            ("-5e1", Some(-50)),
            ("0.5e+2", Some(50)),
            ("-0.0e9", Some(0)),
            ("5.5", None),
            ("1e19", None),
            ("1e-2", None),
        ] {
            assert_eq!(whole(text), expected, "{text}");
        }
    }

    #[test]
    fn the_time_is_written_as_cedar_reads_it() {
        assert_eq!(rfc3339(1_785_240_000), "2026-07-28T12:00:00.000Z");
    }
}
