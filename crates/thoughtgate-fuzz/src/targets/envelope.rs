//! Messages: what `parse` accepts, every reader must read as the product does, and taking a member
//! out must leave all others as they came.

use thoughtgate_mcp::{Envelope, JsonText, Kind, Limits, parse, without};

use super::target::{Check, Target, kind, wording};
use crate::generate::Writer;
use crate::json::{self, Json, Value};
use crate::random::Random;
use crate::readers::{Reader, utf16};

pub const TARGET: Target = Target {
    name: "envelope",
    generate,
    check: || Ok(Box::new(check) as Check),
};

const DEPTH: usize = 64;
/// Members that the product takes out of what it forwards.
const TAKEN_OUT: &[&[&str]] = &[
    &["params", "requestState"],
    &["params", "inputResponses"],
    &["params", "task"],
    &["params", "_meta", "progressToken"],
    &["params"],
    &["id"],
];

fn generate(random: &mut Random) -> Vec<u8> {
    let faults = [0, 12, 40][random.below(3)];
    let mut writer = Writer::new(random, faults);
    let mut members = vec![("jsonrpc".to_owned(), "\"2.0\"".to_owned())];
    if !writer.random.one_in(6) {
        let id = writer.scalar();
        members.push(("id".to_owned(), id));
    }
    if writer.random.one_in(8) {
        let result = writer.value(3);
        members.push(("result".to_owned(), result));
    } else {
        let method = writer.random.pick(&[
            "tools/call",
            "tools/call",
            "tools/call",
            "tools/list",
            "resources/read",
            "prompts/get",
            "tasks/cancel",
            "notifications/cancelled",
            "notifications/x",
            "ping",
            "initialize",
            "response",
            "stream",
            "session/delete",
        ]);
        let method = writer.text(method);
        members.push(("method".to_owned(), method));
        let params = params(&mut writer);
        members.push(("params".to_owned(), params));
    }
    if writer.random.one_in(4) {
        let extra = writer.value(2);
        members.push(("extra".to_owned(), extra));
    }
    writer.object(members);
    writer.out.into_bytes()
}

fn params(writer: &mut Writer<'_>) -> String {
    let mut members = Vec::new();
    for name in ["name", "uri", "taskId", "requestState"] {
        if writer.random.one_in(2) {
            let word = writer
                .random
                .pick(&["deploy", "read_file", "file:///x", "t-1"]);
            members.push((name.to_owned(), writer.text(word)));
        }
    }
    for name in ["arguments", "task", "inputResponses", "other"] {
        if writer.random.one_in(3) {
            members.push((name.to_owned(), writer.value(4)));
        }
    }
    if writer.random.one_in(16) {
        members.push(("_meta".to_owned(), "null".to_owned()));
    } else if writer.random.one_in(2) {
        let token = writer.scalar();
        let version = writer.text("2026-07-28");
        let mut meta = vec![("progressToken".to_owned(), token)];
        if writer.random.one_in(2) {
            meta.push((
                "io.modelcontextprotocol/protocolVersion".to_owned(),
                version,
            ));
        }
        members.push(("_meta".to_owned(), writer.nested(meta)));
    }
    writer.nested(members)
}

fn check(input: &[u8]) -> Result<u64, String> {
    let envelope = match parse(input, &Limits { depth: DEPTH }) {
        Ok(envelope) => envelope,
        Err(refusal) => return Ok(kind((refusal.code, wording(&refusal.message)))),
    };
    let text = std::str::from_utf8(input).map_err(|_| "accepted: not UTF-8".to_owned())?;
    let json = json::parse(text).ok_or("accepted: not JSON")?;
    for reader in Reader::ALL {
        read_alike(&envelope, text, &json, reader)?;
    }
    for path in TAKEN_OUT {
        taken_out(text, &json, path)?;
    }
    let params = &envelope.params;
    let shape = (
        params.name.is_some(),
        params.uri.is_some(),
        params.arguments.is_some(),
    );
    let kinds = (envelope.kind == Kind::Request, envelope.method.len(), shape);
    Ok(kind((
        kinds,
        params.progress_token.is_some(),
        params.task.is_some(),
    )))
}

fn read_alike(
    envelope: &Envelope<'_>,
    text: &str,
    json: &Json,
    reader: Reader,
) -> Result<(), String> {
    let differs = |what: &str| Err(format!("read differently: {reader:?} reads another {what}"));
    let answers = ["result", "error"]
        .iter()
        .any(|name| reader.get(json, name).is_some());
    if answers != (envelope.kind == Kind::Response) {
        return differs("kind of message");
    }
    if answers {
        return match reader.get(json, "method") {
            Some(_) => differs("method"),
            None => Ok(()),
        };
    }
    if reader.get(json, "id").is_some() != (envelope.kind == Kind::Request) {
        return differs("kind of message");
    }
    let params = &envelope.params;
    for (path, known) in [
        (&["method"][..], Some(envelope.method.as_ref())),
        (&["params", "name"], params.name.as_deref()),
        (&["params", "uri"], params.uri.as_deref()),
        (&["params", "taskId"], params.task_id.as_deref()),
        (&["params", "requestState"], params.request_state.as_deref()),
    ] {
        let value = reader
            .find(json, path)
            .filter(|value| !is_left_out(path, value));
        let seen = value.map(|value| reader.text(value));
        if seen != known.map(|known| Some(utf16(known))) {
            return differs(&path.join("."));
        }
    }
    let raw = |json: Option<JsonText<'_>>| json.map(|json| json.get().to_owned());
    for (path, known) in [
        (&["id"][..], raw(envelope.id)),
        (&["params", "arguments"], raw(params.arguments)),
        (&["params", "task"], raw(params.task)),
        (&["params", "inputResponses"], raw(params.input_responses)),
        (
            &["params", "_meta", "progressToken"],
            raw(params.progress_token),
        ),
    ] {
        let value = reader.find(json, path);
        let value = value.filter(|value| !is_left_out(path, value));
        let seen = value.map(|value| value.raw(text).to_owned());
        if seen != known {
            return differs(&path.join("."));
        }
    }
    Ok(())
}

/// Whether a member is one that may be absent, and is so since it is null.
fn is_left_out(path: &[&str], value: &Json) -> bool {
    let optional = ["progressToken", "requestState", "task", "inputResponses"];
    let name = path.last().is_some_and(|name| optional.contains(name));
    name && matches!(value.value, Value::Null)
}

fn taken_out(text: &str, json: &Json, path: &[&str]) -> Result<(), String> {
    let there = Reader::LastWins.find(json, path).is_some();
    let Some(rewritten) = without(text.as_bytes(), path) else {
        return if there {
            // An object within with a key twice is left alone, and so is what it holds.
            let ambiguous = json.spelt().is_none();
            ambiguous
                .then_some(())
                .ok_or_else(|| format!("kept: `{}`", path.join(".")))
        } else {
            Ok(())
        };
    };
    let new = String::from_utf8(rewritten).map_err(|_| "rewritten: not UTF-8".to_owned())?;
    let new_json = json::parse(&new).ok_or("rewritten: not JSON")?;
    if Reader::ALL
        .iter()
        .any(|reader| reader.find(&new_json, path).is_some())
    {
        return Err(format!("rewritten: `{}` is still there", path.join(".")));
    }
    same_but((json, text), (&new_json, &new), path)
}

/// Whether two objects have the same members as the same text, but for the one at `path`.
fn same_but(old: (&Json, &str), new: (&Json, &str), path: &[&str]) -> Result<(), String> {
    let Some((name, rest)) = path.split_first() else {
        return Ok(());
    };
    let (Value::Object(_), Value::Object(_)) = (&old.0.value, &new.0.value) else {
        return Err("rewritten: an object is not one any more".to_owned());
    };
    let others = |(json, text): (&Json, &str)| {
        let mut others: Vec<(Vec<u16>, String)> = json
            .members()
            .iter()
            .filter(|(key, _)| *key != utf16(name))
            .map(|(key, value)| (key.clone(), value.raw(text).to_owned()))
            .collect();
        others.sort();
        others
    };
    if others(old) != others(new) {
        return Err(format!("rewritten: members beside `{name}` changed"));
    }
    let inner = |json| Reader::LastWins.get(json, name);
    match (inner(old.0), inner(new.0)) {
        (Some(before), Some(after)) if !rest.is_empty() => {
            same_but((before, old.1), (after, new.1), rest)
        }
        _ => Ok(()),
    }
}
