//! Checks whether an answer is correct. A fast wrong answer is a failure.
//!
//! Pure: status and bytes in, result out.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// Conditions for a correct answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// HTTP status.
    pub status: u16,
    /// Text that the body must contain.
    pub body: Option<String>,
    /// Whether the body must be a JSON-RPC response with a result, that of a tool without `isError`, and the
    /// id that was sent; in an event stream, its last event. Without effect for messages that have no id.
    pub id_echo: bool,
}

/// The fault of an answer, or the reason why there was none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    Connect(String),
    Timeout,
    Closed(String),
    Status(u16),
    WrongBody,
    NotJsonRpc,
    WrongId,
    ErrorReply,
    /// A tool result that says that the call failed or was refused.
    ToolError,
    NoResult,
    /// No connection was free before the end of the slice.
    Unstarted,
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct ToolResult {
    #[serde(default, rename = "isError")]
    is_error: bool,
}

impl Failure {
    /// The key in `Outcome::errors`.
    pub(super) fn kind(&self) -> String {
        let kind = match self {
            Self::Connect(_) => "connect",
            Self::Timeout => "timeout",
            Self::Closed(_) => "closed",
            Self::Status(status) => return format!("status_{status}"),
            Self::WrongBody => "wrong_body",
            Self::NotJsonRpc => "not_json_rpc",
            Self::WrongId => "wrong_id",
            Self::ErrorReply => "error_reply",
            Self::ToolError => "tool_error",
            Self::NoResult => "no_result",
            Self::Unstarted => "unstarted",
        };
        kind.to_owned()
    }

    /// The cause, for kinds that have several.
    pub(super) fn detail(&self) -> Option<&str> {
        match self {
            Self::Connect(cause) | Self::Closed(cause) => Some(cause),
            _ => None,
        }
    }
}

impl Expect {
    /// Checks an answer to the request with `id`; `None` if the request had none.
    pub(super) fn check(
        &self,
        status: u16,
        is_event_stream: bool,
        body: &[u8],
        id: Option<&str>,
    ) -> Result<(), Failure> {
        if status != self.status {
            return Err(Failure::Status(status));
        }
        if let Some(wanted) = &self.body
            && !std::str::from_utf8(body).is_ok_and(|body| body.contains(wanted.as_str()))
        {
            return Err(Failure::WrongBody);
        }
        let (true, Some(id)) = (self.id_echo, id) else {
            return Ok(());
        };
        let message = if is_event_stream {
            last_data(body)
        } else {
            body
        };
        let reply: Reply<'_> = serde_json::from_slice(message).map_err(|_| Failure::NotJsonRpc)?;
        // Compared as text: an id has to come back as it was sent.
        if reply.id.is_none_or(|echoed| echoed.get() != id) {
            return Err(Failure::WrongId);
        }
        match (reply.result, reply.error) {
            (Some(result), None) if is_tool_error(result) => Err(Failure::ToolError),
            (Some(_), None) => Ok(()),
            (_, Some(_)) => Err(Failure::ErrorReply),
            (None, None) => Err(Failure::NoResult),
        }
    }
}

/// Whether a result says that the tool failed: so is a call answered that the proxy refuses.
fn is_tool_error(result: &RawValue) -> bool {
    let result = serde_json::from_str::<ToolResult>(result.get());
    result.is_ok_and(|result| result.is_error)
}

/// The last `data` line: the response is on one line and ends the stream.
fn last_data(body: &[u8]) -> &[u8] {
    body.split(|byte| matches!(byte, b'\n' | b'\r'))
        .rev()
        .find_map(|line| line.strip_prefix(b"data:"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str) -> Result<(), Failure> {
        let expect = Expect {
            status: 200,
            body: None,
            id_echo: true,
        };
        let is_event_stream = body.starts_with("event:") || body.starts_with("data:");
        expect.check(status, is_event_stream, body.as_bytes(), Some("7"))
    }

    #[test]
    fn only_a_result_with_the_same_id_is_right() {
        assert_eq!(
            check(200, r#"{"result":{},"jsonrpc":"2.0","id":7}"#),
            Ok(())
        );
        assert_eq!(
            check(500, r#"{"id":7,"result":{}}"#),
            Err(Failure::Status(500))
        );
        assert_eq!(check(200, r#"{"id":8,"result":{}}"#), Err(Failure::WrongId));
        assert_eq!(
            check(200, r#"{"id":"7","result":{}}"#),
            Err(Failure::WrongId)
        );
        assert_eq!(check(200, r#"{"result":{}}"#), Err(Failure::WrongId));
        assert_eq!(
            check(200, r#"{"id":7,"error":{}}"#),
            Err(Failure::ErrorReply)
        );
        let tool =
            |is_error| format!(r#"{{"id":7,"result":{{"content":[],"isError":{is_error}}}}}"#);
        assert_eq!(check(200, &tool(false)), Ok(()));
        assert_eq!(check(200, &tool(true)), Err(Failure::ToolError));
        assert_eq!(check(200, r#"{"id":7}"#), Err(Failure::NoResult));
        assert_eq!(check(200, r#"{"id":7,"resu"#), Err(Failure::NotJsonRpc));
        assert_eq!(check(200, ""), Err(Failure::NotJsonRpc));
    }

    #[test]
    fn in_an_event_stream_the_last_event_counts() {
        let events =
            "event: message\ndata: {\"method\":\"x\"}\n\ndata: {\"id\":7,\"result\":1}\n\n";
        assert_eq!(check(200, events), Ok(()));
        let unanswered = "data: {\"method\":\"x\"}\n\n: comment\n\n";
        assert_eq!(check(200, unanswered), Err(Failure::WrongId));
    }

    #[test]
    fn a_wanted_text_must_be_there() {
        let expect = Expect {
            status: 403,
            body: Some("40301".to_owned()),
            id_echo: false,
        };
        assert_eq!(expect.check(403, false, b"{\"code\":40301}", None), Ok(()));
        let wrong = expect.check(403, false, b"{\"code\":40302}", None);
        assert_eq!(wrong, Err(Failure::WrongBody));
    }
}
