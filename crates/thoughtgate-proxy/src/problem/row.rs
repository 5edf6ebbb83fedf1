//! One row of the table of refusals: how a refusal is answered, and where it is counted.
//!
//! Only data. [`super::Problem::row`] says which refusal has which row.

use http::StatusCode;
use thoughtgate_mcp::codes;

use crate::metrics::Failure;

/// Answer and metric of a refusal.
#[derive(Debug, Clone, Copy)]
pub struct Row<'p> {
    pub status: Status,
    pub form: Form,
    pub count: Count<'p>,
    /// The answer is the last on its connection: bytes that follow may be the rest of an unread body.
    pub closes: bool,
    /// The same request may be accepted a second later.
    pub retry_after: bool,
    /// A bearer token is asked for.
    pub challenges: bool,
    /// Value of the header `Allow`.
    pub allow: Option<&'static str>,
}

/// HTTP status of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Always(StatusCode),
    /// 200 for a JSON-RPC answer, so that an agent's client shows the error. If none is expected, 403: the
    /// status alone then shows the refusal.
    Answered,
}

/// Form of an answer's body, which is JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A JSON-RPC error with this code.
    JsonRpc(i64),
    /// A tool result with `isError` for a `tools/call`, as `refusals` says; otherwise a JSON-RPC error. Both
    /// have this code.
    ToolResult(i64),
    /// `{"error": text}`.
    Error,
    /// `{"message": text}`.
    Message,
}

/// Metric of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count<'p> {
    /// No metric.
    None,
    /// `thoughtgate_decisions`, in which it was counted when it was decided.
    Decision,
    /// `thoughtgate_refused`, by status.
    Refused,
    /// The same, and a line in the audit log, from the request's body as far as it is known.
    Audited(&'p [u8]),
    /// `thoughtgate_upstream_failures`, by kind.
    Failure(Failure),
}

impl Status {
    /// The status, if a JSON-RPC answer is expected or not.
    #[must_use]
    pub fn code(self, is_expected: bool) -> StatusCode {
        match self {
            Status::Always(status) => status,
            Status::Answered if is_expected => StatusCode::OK,
            Status::Answered => StatusCode::FORBIDDEN,
        }
    }
}

impl Row<'static> {
    /// A JSON-RPC error without a metric; its connection stays open.
    pub(super) fn error(status: StatusCode, code: i64) -> Row<'static> {
        Row {
            status: Status::Always(status),
            form: Form::JsonRpc(code),
            count: Count::None,
            closes: false,
            retry_after: false,
            challenges: false,
            allow: None,
        }
    }

    /// A JSON-RPC error with status 200, which an agent's client shows.
    pub(super) fn shown(code: i64) -> Row<'static> {
        Row::error(StatusCode::OK, code)
    }

    /// A tool result with status 200, which an agent's model reads.
    pub(super) fn tool_result(code: i64) -> Row<'static> {
        Row {
            form: Form::ToolResult(code),
            ..Row::shown(code)
        }
    }

    /// The same, for a message that need not expect an answer.
    pub(super) fn answered(code: i64) -> Row<'static> {
        Row {
            status: Status::Answered,
            ..Row::tool_result(code)
        }
    }

    /// The refusal of a call that needs approval. A model cannot do anything about a proxy that is stopping:
    /// its client has to find another.
    pub(super) fn of_approval(code: i64) -> Row<'static> {
        match code {
            codes::DRAINING => Row::shown(code),
            _ => Row::tool_result(code),
        }
    }

    /// The refusal of a request whose body has not been read to its end.
    pub(super) fn unread(status: StatusCode) -> Row<'static> {
        Row {
            count: Count::Audited(&[]),
            closes: true,
            ..Row::error(status, codes::INVALID_REQUEST)
        }
    }

    /// The refusal of a request that finds no room now.
    pub(super) fn busy() -> Row<'static> {
        Row {
            retry_after: true,
            ..Row::error(StatusCode::SERVICE_UNAVAILABLE, codes::OVERLOADED)
        }
    }

    /// The refusal of a request to another path than the MCP endpoint's, before its body is read.
    pub(super) fn of_path(form: Form, status: StatusCode) -> Row<'static> {
        Row {
            form,
            closes: true,
            ..Row::error(status, codes::INVALID_REQUEST)
        }
    }
}
