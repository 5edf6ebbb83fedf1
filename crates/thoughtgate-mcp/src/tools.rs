//! `tools/list` answers: which tools stay, byte for byte, and which go.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::headers::Era;
use crate::rewrite::{object, replace, rewrite, to_raw};

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filtered {
    /// It is no list of tools, or nothing had to be taken out.
    Unchanged,
    /// The message to send instead.
    Changed(Vec<u8>),
}

/// A message that may be a list of tools and cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message is not a readable JSON-RPC message")]
pub struct Unreadable;

/// Takes the tools out of a `tools/list` answer for which `keep` says no. What is kept is kept as it
/// came; in the modern era the answer is marked private, since it now depends on who asked.
pub fn filter(
    body: &[u8],
    era: Era,
    mut keep: impl FnMut(&str) -> bool,
) -> Result<Filtered, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| Unreadable)?;
    let envelope = object(text).ok_or(Unreadable)?;
    let Some((_, result)) = envelope.iter().find(|(key, _)| key == "result") else {
        return Ok(Filtered::Unchanged);
    };
    let Some(members) = object(result.get()) else {
        return Ok(Filtered::Unchanged);
    };
    let Some((_, tools)) = members.iter().find(|(key, _)| key == "tools") else {
        return Ok(Filtered::Unchanged);
    };
    let Ok(tools) = serde_json::from_str::<Vec<&RawValue>>(tools.get()) else {
        return Ok(Filtered::Unchanged);
    };
    let mut kept = Vec::with_capacity(tools.len());
    for raw in &tools {
        // A tool without a name cannot be called, and cannot be decided either.
        if name(raw).is_some_and(|name| keep(&name)) {
            kept.push(*raw);
        }
    }
    if kept.len() == tools.len() && era == Era::Legacy {
        return Ok(Filtered::Unchanged);
    }
    let result = rewrite(
        &members,
        |key| key == "tools" || (era == Era::Modern && key == "cacheScope"),
        |out| {
            out.push(("tools".to_owned(), to_raw(&kept)));
            if era == Era::Modern {
                out.push(("cacheScope".to_owned(), to_raw(&"private")));
            }
        },
    );
    let message = replace(&envelope, "result", result);
    Ok(Filtered::Changed(message.get().as_bytes().to_vec()))
}

fn name(tool: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    // A derive refuses a second `name`, which a client might read instead of the first.
    serde_json::from_str::<Named>(tool.get())
        .ok()
        .map(|tool| tool.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","x":1.0},{"name":"b"},{"x":2},{"name":"a","name":"b"}],"nextCursor":"n","cacheScope":"public"}}"#;

    fn filtered(body: &str, era: Era) -> String {
        match filter(body.as_bytes(), era, |name| name == "a") {
            Ok(Filtered::Unchanged) => "unchanged".to_owned(),
            Ok(Filtered::Changed(message)) => String::from_utf8(message).unwrap(),
            Err(Unreadable) => "unreadable".to_owned(),
        }
    }

    #[test]
    fn tools_that_may_not_be_called_go_and_the_rest_stays_as_it_came() {
        assert_eq!(
            filtered(LIST, Era::Legacy),
            r#"{"jsonrpc":"2.0","id":1,"result":{"nextCursor":"n","cacheScope":"public","tools":[{"name":"a","x":1.0}]}}"#
        );
        assert_eq!(
            filtered(LIST, Era::Modern),
            r#"{"jsonrpc":"2.0","id":1,"result":{"nextCursor":"n","tools":[{"name":"a","x":1.0}],"cacheScope":"private"}}"#
        );
        let all = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"}]}}"#;
        assert_eq!(filtered(all, Era::Legacy), "unchanged");
        assert_eq!(
            filtered(all, Era::Modern),
            r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"}],"cacheScope":"private"}}"#
        );
    }

    #[test]
    fn other_messages_pass_and_unreadable_ones_do_not() {
        for body in [
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"tools":3}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":null}"#,
        ] {
            assert_eq!(filtered(body, Era::Modern), "unchanged", "{body}");
        }
        for body in ["", "[]", "{", r#"{"result":{},"result":{"tools":[]}}"#] {
            assert_eq!(filtered(body, Era::Modern), "unreadable", "{body}");
        }
    }
}
