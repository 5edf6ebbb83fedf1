//! Reads the members of `params` that a gateway uses; all others pass unread.

use std::borrow::Cow;

use crate::codes;
use crate::members::{Level, Object, Unclear, has_nul, pick, string};
use crate::refusal::Invalid;
use crate::text::JsonText;

const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const META_CLIENT: &str = "io.modelcontextprotocol/clientInfo";
const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// Members that affect a decision or its execution, so that no lookalike of them may pass.
const GOVERNED: [&str; 9] = [
    "_meta",
    "arguments",
    "inputResponses",
    "name",
    "requestId",
    "requestState",
    "task",
    "taskId",
    "uri",
];
const GOVERNED_META: [&str; 3] = [META_VERSION, META_CAPABILITIES, "progressToken"];

/// The members of a request's `params` that the gateway uses.
#[derive(Debug, Default)]
pub struct Params<'a> {
    /// Name of the tool or prompt.
    pub name: Option<Cow<'a, str>>,
    /// URI of the resource.
    pub uri: Option<Cow<'a, str>>,
    /// Id of the task, for `tasks/*`.
    pub task_id: Option<Cow<'a, str>>,
    /// Id of the request that `notifications/cancelled` names, as raw JSON.
    pub request_id: Option<JsonText<'a>>,
    /// Arguments of a call, as raw JSON.
    pub arguments: Option<JsonText<'a>>,
    /// Request to run the call as a task (2025-11-25).
    pub task: Option<JsonText<'a>>,
    /// State that an earlier answer asked the client to return (2026-07-28).
    pub request_state: Option<Cow<'a, str>>,
    /// The client's answers to an earlier `input_required`.
    pub input_responses: Option<JsonText<'a>>,
    /// Notifications that `subscriptions/listen` asks for (2026-07-28).
    pub(crate) notifications: Option<JsonText<'a>>,
    /// Protocol revision in `_meta`.
    pub protocol_version: Option<Cow<'a, str>>,
    /// Capabilities of the client in `_meta`.
    pub(crate) client_capabilities: Option<JsonText<'a>>,
    /// The client's description of itself: in `_meta`, or a member of `initialize`. Decides nothing.
    client_info: Option<JsonText<'a>>,
    /// Token for progress notifications in `_meta`: a string or a number, as raw JSON.
    pub progress_token: Option<JsonText<'a>>,
}

impl<'a> Params<'a> {
    /// Whether the client accepts a task as the answer (the extension of 2026-07-28).
    #[must_use]
    pub fn declares_tasks(&self) -> bool {
        self.client_capabilities
            .and_then(|capabilities| member(capabilities, "extensions"))
            .and_then(|extensions| member(extensions, TASKS_EXTENSION))
            .is_some_and(|settings| settings.get().starts_with('{'))
    }

    /// Whether a subscription asks for changes of the list of tools.
    #[must_use]
    pub fn watches_tools(&self) -> bool {
        self.notifications
            .and_then(|asked| member(asked, "toolsListChanged"))
            .is_some_and(|asked| asked.get() == "true")
    }

    /// Name and version of the client, as it describes itself; the version may be empty.
    #[must_use]
    pub fn client(&self) -> Option<(String, String)> {
        let [name, version] = pick(self.client_info?, ["name", "version"])?;
        let name = string(name?)?;
        let version = version.and_then(string).unwrap_or_default();
        Some((name.into_owned(), version.into_owned()))
    }

    /// `known` are the members of `json`, and of its `_meta`, if they have been read already.
    pub(crate) fn read(
        json: JsonText<'a>,
        known: Option<Level<'_, 'a>>,
    ) -> Result<Params<'a>, Invalid> {
        match known {
            Some(known) => Params::of(known),
            None => Params::of(object("params", json)?.top()),
        }
    }

    fn of(object: Level<'_, 'a>) -> Result<Params<'a>, Invalid> {
        let unclear = |unclear| invalid("params", &unclear);
        object.check(&GOVERNED).map_err(unclear)?;
        let mut params = Params::default();
        for (key, value) in object.members() {
            match key.as_ref() {
                "name" => params.name = Some(text(value, "params.name")?),
                "uri" => params.uri = Some(text(value, "params.uri")?),
                "taskId" => params.task_id = Some(text(value, "params.taskId")?),
                "requestState" if !is_null(value) => {
                    params.request_state = Some(text(value, "params.requestState")?);
                }
                "requestId" => params.request_id = Some(value),
                "arguments" => params.arguments = Some(value),
                "task" if !is_null(value) => params.task = Some(value),
                "inputResponses" if !is_null(value) => params.input_responses = Some(value),
                "notifications" => params.notifications = Some(value),
                "clientInfo" => params.client_info = params.client_info.or(Some(value)),
                "_meta" => match object.inner() {
                    Some(meta) => params.read_meta(meta)?,
                    None if is_null(value) => {}
                    None => params.read_meta(self::object("params._meta", value)?.top())?,
                },
                _ => {}
            }
        }
        Ok(params)
    }

    fn read_meta(&mut self, object: Level<'_, 'a>) -> Result<(), Invalid> {
        let unclear = |unclear| invalid("params._meta", &unclear);
        object.check(&GOVERNED_META).map_err(unclear)?;
        for (key, value) in object.members() {
            match key.as_ref() {
                META_VERSION => {
                    self.protocol_version =
                        Some(text(value, "the protocol version in params._meta")?);
                }
                META_CAPABILITIES => self.client_capabilities = Some(value),
                META_CLIENT => self.client_info = Some(value),
                "progressToken" => self.progress_token = progress_token(value)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether an optional member counts as absent: some libraries write all of them, those without a value as
/// `null`.
pub(crate) fn is_null(value: JsonText<'_>) -> bool {
    value.get() == "null"
}

/// The members of the object at `place`.
fn object<'a>(place: &str, json: JsonText<'a>) -> Result<Object<'a>, Invalid> {
    Object::read(json.get(), &[]).map_err(|unclear| invalid(place, &unclear))
}

fn member<'a>(object: JsonText<'a>, name: &str) -> Option<JsonText<'a>> {
    let [value] = pick(object, [name])?;
    value
}

fn text<'a>(json: JsonText<'a>, place: &str) -> Result<Cow<'a, str>, Invalid> {
    let invalid = |problem: &str| Invalid {
        code: codes::INVALID_PARAMS,
        message: format!("{place} {problem}"),
    };
    let text = string(json).ok_or_else(|| invalid("must be a string"))?;
    if has_nul(&text) {
        return Err(invalid("contains U+0000, where some servers end a string"));
    }
    Ok(text)
}

/// The token as raw JSON. A number may have any size, since it is sent back in its original spelling; a
/// string must be valid Unicode.
fn progress_token(json: JsonText<'_>) -> Result<Option<JsonText<'_>>, Invalid> {
    match json.get().as_bytes().first() {
        Some(b'n') => Ok(None),
        Some(b'-' | b'0'..=b'9') => Ok(Some(json)),
        Some(b'"') if string(json).is_some() => Ok(Some(json)),
        _ => Err(Invalid {
            code: codes::INVALID_PARAMS,
            message: "params._meta.progressToken must be a string or a number".to_owned(),
        }),
    }
}

/// The reason for refusing the object at `place`.
pub(crate) fn invalid(place: &str, unclear: &Unclear) -> Invalid {
    let message = match unclear {
        Unclear::NotAnObject => format!("{place} must be an object"),
        Unclear::Duplicate(key) => format!("{place} has the duplicate key `{}`", shown(key)),
        Unclear::Lookalike(key) => format!(
            "{place} has the key `{}`, which differs only in case, width or invisible characters from a key of MCP",
            shown(key)
        ),
        Unclear::Nul(key) => format!(
            "{place} has the key `{}`, which contains U+0000, where some servers end a string",
            shown(key)
        ),
    };
    Invalid {
        code: codes::INVALID_REQUEST,
        message,
    }
}

/// The first 64 characters of a key, with invisible ones escaped.
fn shown(key: &str) -> String {
    key.chars().take(64).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use crate::{Limits, parse};

    /// Whether `params` watch tools and declare tasks, and the client that they name.
    fn read(params: &str) -> (bool, bool, Option<(String, String)>) {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{params}}}"#);
        let limits = Limits { depth: usize::MAX };
        let envelope = parse(body.as_bytes(), &limits).unwrap();
        let params = &envelope.params;
        (
            params.watches_tools(),
            params.declares_tasks(),
            params.client(),
        )
    }

    #[test]
    fn what_a_client_says_of_itself_is_found_beside_anything() {
        // Deeper than serde_json makes a tree of: nothing may be made of what is not looked for.
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        let params = format!(
            r#"{{"notifications":{{"x":{deep},"toolsListChanged": true}},"_meta":{{
                "io.modelcontextprotocol/clientCapabilities":{{"x":{deep},"extensions":
                    {{"x":{deep},"io.modelcontextprotocol/tasks": {{}}}}}},
                "io.modelcontextprotocol/clientInfo":{{"x":{deep},"name": "n\u0061","version":"1"}}}}}}"#
        );
        let client = Some(("na".to_owned(), "1".to_owned()));
        assert_eq!(read(&params), (true, true, client));
        let only_name = r#"{"clientInfo":{"name":"n","version":1}}"#;
        let client = Some(("n".to_owned(), String::new()));
        assert_eq!(read(only_name), (false, false, client));
        for other in [
            "{}",
            r#"{"notifications":{"toolsListChanged":"true"},"clientInfo":{"name":1}}"#,
            r#"{"notifications":["toolsListChanged"],"clientInfo":"n"}"#,
            r#"{"_meta":{"io.modelcontextprotocol/clientCapabilities":{"extensions":
                {"io.modelcontextprotocol/tasks":true}}}}"#,
        ] {
            assert_eq!(read(other), (false, false, None), "{other}");
        }
    }
}
