//! Lists of tools, whole and in streams of events: no reader finds a tool in what is passed on that
//! the policy does not permit, and a list that nobody can misread keeps all others as they came.

use thoughtgate_mcp::Era;
use thoughtgate_mcp::tools::{Events, Filtered, filter};

use super::target::{Check, Target, choices, kind, wording};
use crate::generate::Writer;
use crate::json::{self, Json, Value};
use crate::random::Random;
use crate::readers::Reader;
use crate::sse::CLIENTS;

pub const WHOLE: Target = Target {
    name: "list",
    generate: |random| list(random).into_bytes(),
    check: || Ok(Box::new(check_whole) as Check),
};

pub const STREAM: Target = Target {
    name: "stream",
    generate: stream,
    check: || Ok(Box::new(check_stream) as Check),
};

// Above the size of any input, so that no event is refused for its size.
const EVENT_BYTES_MAX: usize = 256 * 1024;

/// Whether the policy permits the tool `name`.
fn permitted(name: &str) -> bool {
    name.starts_with("ok")
}

fn list(random: &mut Random) -> String {
    let faults = [0, 8, 30][random.below(3)];
    let mut writer = Writer::new(random, faults);
    let count = writer.random.below(5);
    let tools: Vec<String> = (0..count).map(|_| tool(&mut writer)).collect();
    let tools = format!("[{}]", tools.join(", "));
    let mut result = vec![("tools".to_owned(), tools)];
    if writer.random.one_in(3) {
        result.push(("nextCursor".to_owned(), writer.text("n")));
    }
    if writer.random.one_in(3) {
        result.push(("cacheScope".to_owned(), writer.text("public")));
    }
    let result = writer.nested(result);
    let mut members = vec![
        ("jsonrpc".to_owned(), "\"2.0\"".to_owned()),
        ("id".to_owned(), "1".to_owned()),
    ];
    let name = if writer.faulty() { "error" } else { "result" };
    members.push((name.to_owned(), result));
    let message = writer.nested(members);
    if writer.faulty() {
        return format!("[{message},{}]", writer.value(1));
    }
    message
}

fn tool(writer: &mut Writer<'_>) -> String {
    if writer.faulty() {
        return writer.value(2);
    }
    let name = writer
        .random
        .pick(&["ok_read", "ok", "bad", "rm", "oK", "bad_ok"]);
    let mut members = vec![("name".to_owned(), writer.text(name))];
    if writer.random.one_in(2) {
        members.push((
            "description".to_owned(),
            writer.text("does {[ \"things\" ]}"),
        ));
    }
    writer.nested(members)
}

/// A stream of some events, in the forms that lines may have.
fn stream(random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    if random.one_in(5) {
        out.extend_from_slice(b"\xef\xbb\xbf");
    }
    for _ in 0..=random.below(4) {
        let end = random.pick(&["\n", "\n", "\r\n", "\r"]);
        for _ in 0..random.below(3) {
            let line = random.pick(&[
                ": comment",
                "id: 1",
                "event: message",
                "event: ping",
                "retry: 1",
                "x",
            ]);
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(end.as_bytes());
        }
        let data = match random.below(5) {
            0 => "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}"
                .to_owned(),
            1 => random.pick(&["", "ping", "1"]).to_owned(),
            _ => list(random),
        };
        for line in in_lines(random, &data) {
            let name = if random.one_in(40) {
                random.pick(&["Data: ", "data:", " data: ", "data : ", "\u{feff}data: "])
            } else {
                "data: "
            };
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(end.as_bytes());
        }
        if !random.one_in(12) {
            out.extend_from_slice(end.as_bytes());
        }
    }
    out
}

/// The data of an event in one line, or in several, cut anywhere.
fn in_lines(random: &mut Random, data: &str) -> Vec<String> {
    let mut lines: Vec<String> = data.lines().map(str::to_owned).collect();
    while random.one_in(3) {
        let Some(line) = lines.pop() else { break };
        let at = random.below(line.len() + 1);
        let at = (at..=line.len())
            .find(|at| line.is_char_boundary(*at))
            .unwrap_or(0);
        let (before, after) = line.split_at(at);
        lines.extend([before.to_owned(), after.to_owned()]);
    }
    lines
}

fn check_whole(input: &[u8]) -> Result<u64, String> {
    let mut kinds = Vec::new();
    for era in [Era::Legacy, Era::Modern] {
        let filtered = filter(input, era, &mut |name: &str| permitted(name));
        let output = match &filtered {
            Ok(Filtered::Unchanged) => input,
            Ok(Filtered::Changed(message)) => message,
            // Nothing of a refused list is passed on.
            Err(_) => &[][..],
        };
        let text = String::from_utf8_lossy(output);
        nothing_hidden(&text)?;
        let read = std::str::from_utf8(input).ok().and_then(json::parse);
        if let Some(json) = read.filter(plain) {
            if let Err(error) = &filtered {
                return Err(format!("refused: a plain list, as {error}"));
            }
            all_kept(&json, input, &text)?;
        }
        kinds.push((
            filtered.as_ref().err().map(ToString::to_string),
            output.len() == input.len(),
        ));
    }
    Ok(kind(kinds))
}

fn check_stream(input: &[u8]) -> Result<u64, String> {
    let whole = in_pieces(input, &[input.len()]);
    let mut random = choices(input);
    let sizes: Vec<usize> = (0..32).map(|_| 1 + random.below(40)).collect();
    // Byte by byte, every character and every line end of two bytes is cut.
    for pieces in [&[1][..], &[2, 1, 3], &sizes] {
        if in_pieces(input, pieces) != whole {
            return Err(format!(
                "pieces matter: cut into {pieces:?}, other events come out"
            ));
        }
    }
    let (output, refused) = whole;
    for client in CLIENTS {
        for message in client.messages(&output) {
            nothing_hidden(&message).map_err(|reason| format!("{reason} ({client:?})"))?;
        }
    }
    if refused.is_none() {
        // By the specification, nothing but tools is lost.
        let (before, after) = (CLIENTS[1].messages(input), CLIENTS[1].messages(&output));
        if before.len() != after.len() {
            return Err(format!(
                "lost: {} messages of {}",
                after.len(),
                before.len()
            ));
        }
        for (before, after) in before.iter().zip(&after) {
            if let Some(json) = json::parse(before).filter(plain) {
                all_kept(&json, before.as_bytes(), after)?;
            } else if !before.contains("tools") && !before.contains('\\') && before != after {
                return Err("changed: a message that has no list".to_owned());
            }
        }
    }
    let words = refused.as_deref().map(wording);
    Ok(kind((words, output.len() == input.len(), output.first())))
}

/// Output for a stream that arrives in pieces of these sizes, again and again.
fn in_pieces(input: &[u8], sizes: &[usize]) -> (Vec<u8>, Option<String>) {
    let mut events = Events::new(Era::Legacy, EVENT_BYTES_MAX);
    let mut out = Vec::new();
    let keep = &mut |name: &str| permitted(name);
    let mut rest = input;
    for size in sizes.iter().cycle() {
        let (piece, after) = rest.split_at((*size).max(1).min(rest.len()));
        if let Err(refused) = events.push(piece, keep, &mut out) {
            return (out, Some(refused.to_string()));
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    let end = events.finish(keep, &mut out);
    (out, end.err().map(|refused| refused.to_string()))
}

/// Whether every tool that some reader finds in a message is one that the policy permits.
fn nothing_hidden(message: &str) -> Result<(), String> {
    // Clients skip a byte order mark, and some what follows the message.
    let message = message.trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']);
    let Some(json) = json::parse_start(message) else {
        return Ok(());
    };
    for reader in Reader::ALL {
        // An array may be read as a batch of messages.
        for message in std::iter::once(&json).chain(json.items()) {
            let tools = reader.find(message, &["result", "tools"]);
            for tool in tools.into_iter().flat_map(Json::items) {
                let Some(name) = reader.get(tool, "name").and_then(|name| reader.text(name)) else {
                    continue;
                };
                if !String::from_utf16(&name).is_ok_and(|name| permitted(&name)) {
                    let name = String::from_utf16_lossy(&name);
                    return Err(format!("shown: {reader:?} finds the tool {name:?}"));
                }
            }
        }
    }
    Ok(())
}

/// A list that no reader can misread: known keys, each once, and tools that are objects with a name.
fn plain(json: &Json) -> bool {
    const KNOWN: &[&str] = &[
        "jsonrpc",
        "id",
        "result",
        "tools",
        "nextCursor",
        "cacheScope",
        "name",
        "description",
    ];
    let known = |object: &Json| {
        object
            .members()
            .iter()
            .all(|(key, _)| String::from_utf16(key).is_ok_and(|key| KNOWN.contains(&key.as_str())))
    };
    let Some(result) = Reader::LastWins.get(json, "result") else {
        return false;
    };
    let Some(tools) = Reader::LastWins.get(result, "tools") else {
        return false;
    };
    let named = |tool: &Json| {
        let name = Reader::LastWins.get(tool, "name").map(|name| &name.value);
        let clear =
            |units: &[u16]| String::from_utf16(units).is_ok_and(|name| !name.contains('\0'));
        known(tool) && matches!(name, Some(Value::Text(units)) if clear(units))
    };
    let lists = matches!(tools.value, Value::Array(_)) && tools.items().iter().all(named);
    // One that stands beside `result` as well is not plain.
    let once = Reader::LastWins.get(json, "tools").is_none();
    lists && once && known(json) && known(result) && json.spelt().is_some()
}

/// Whether the permitted tools of a plain list are all there, in order, as they came.
fn all_kept(json: &Json, input: &[u8], output: &str) -> Result<(), String> {
    let input = std::str::from_utf8(input).unwrap_or_default();
    let kept = |json: &Json, text: &str| -> Vec<String> {
        let tools = Reader::LastWins.find(json, &["result", "tools"]);
        let tools = tools.into_iter().flat_map(Json::items);
        let permitted = tools.filter(|tool| {
            let name = Reader::LastWins.get(tool, "name");
            let name = name
                .and_then(|name| Reader::LastWins.text(name))
                .unwrap_or_default();
            String::from_utf16(&name).is_ok_and(|name| permitted(&name))
        });
        permitted.map(|tool| tool.raw(text).to_owned()).collect()
    };
    let after = json::parse(output).ok_or("not JSON: what a plain list became")?;
    // Line feeds may become others in a stream, between tokens alone.
    let flat = |tools: Vec<String>| tools.join(",").replace(['\n', '\r'], " ");
    if flat(kept(json, input)) != flat(kept(&after, output)) {
        return Err("lost: a permitted tool of a plain list".to_owned());
    }
    Ok(())
}
