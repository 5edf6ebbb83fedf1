//! The one table of refusals: every answer that the proxy gives in place of the upstream's.
//!
//! The text of a refusal is above its variant, or is that of the error in it; status, form with JSON-RPC
//! code, metric and headers are in [`Problem::row`]. Finds no fault itself, and makes no response:
//! [`crate::answer`] does.

mod elsewhere;
mod refusal;
mod retry;
mod row;

use http::{HeaderMap, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use thoughtgate_approval::{Id, RequestError, UnsealError, chain};
use thoughtgate_mcp::{Refusal, codes, reply};
use thoughtgate_policy::Decision;

use crate::approve::{Denial, Kept, Repeated, TooMany};
use crate::audit::Full;
use crate::failed::Failed;
use crate::guard::Rejected;
use crate::identity::Unidentified;
use crate::inbound::Unread;
use crate::logged;
use crate::metrics::Failure;
use crate::state::Shared;
use crate::upstream::UpstreamError;

pub use elsewhere::Elsewhere;
pub use refusal::{Call, Refused};
use row::{Count, Form, Row};

/// A request that is refused, or whose answer cannot be passed on.
#[derive(Debug, thiserror::Error)]
pub enum Problem<'p> {
    /// The method of a request to the MCP endpoint.
    #[error("use POST, GET or DELETE")]
    Method,
    #[error("Content-Type must be application/json, in UTF-8")]
    MediaType,
    #[error("request bodies with a Content-Encoding are not supported")]
    ContentEncoding,
    #[error("GET and DELETE requests must not have a body")]
    UnexpectedBody,
    /// `Host` or `Origin` of a request to the MCP endpoint.
    #[error("{0}")]
    Guard(Rejected),
    #[error("{0}")]
    Unread(Unread),
    #[error("all connections (`limits.connections`) are in use; retry later")]
    NoPlace,
    #[error("{0}")]
    AuditFull(Full),
    /// The body is not one unambiguous message, or its headers differ from it.
    #[error("{}", .0.message)]
    Invalid(&'p Refusal),
    /// No valid agent id; `message` is the request's body.
    #[error("{}", chain(.why))]
    Unidentified {
        why: &'p Unidentified,
        message: &'p [u8],
    },
    #[error("a bug in the proxy ended this request; see the proxy's log for its location")]
    Panicked,

    /// The policies refuse the request.
    #[error("{}", rejection(.0))]
    Rejected(&'p Decision),

    #[error("{}", chain(.0))]
    Failed(&'p Failed),

    #[error("this call needs approval, but no approval channel is configured")]
    NoChannel,
    #[error("only a tools/call request with an id can be approved")]
    NotACall,
    /// No place among the calls that are held.
    #[error("{0}")]
    TooManyHeld(TooMany),
    /// The request state of a retried call.
    #[error("{0}")]
    Unseal(UnsealError),
    #[error("requestState belongs to another call; send this call again without it")]
    OtherCall,
    /// Approval could not be requested.
    #[error("{}", chain(.0))]
    Unrequested(RequestError),
    /// The call of an approval is not made.
    #[error("{}", .1.text)]
    Denied(Id, &'p Denial),
    /// The result of a call that was made.
    #[error(
        "the call was executed; {0}; send the same call again, with the same arguments, to get it: the call is not executed again"
    )]
    Kept(Kept),
    /// The call of an approval runs, or its result is not for this request.
    #[error("{0}")]
    Repeated(Repeated),
    #[error("failed to seal a request state: the system's random source failed")]
    NotSealed,

    #[error("no such task, or it is no longer kept")]
    NoTask,
    #[error("declare the client extension io.modelcontextprotocol/tasks to use tasks/* methods")]
    TasksUndeclared,
    #[error("method not supported for the task of an approval")]
    TaskMethod,
    /// Explains the state of the task's approval.
    #[error("the task cannot be cancelled: {0}")]
    NotCancellable(String),

    // Ends of a client's stream that has begun, for a call that was made.
    #[error(
        "the call was made, but its answer cannot be read: the response has a Content-Encoding, although ThoughtGate asked for none; configure the server to honour Accept-Encoding"
    )]
    Encoded,
    #[error("the call was made and is not repeated: its answer broke off")]
    BrokeOff,
    #[error("the call was made and is not repeated: the upstream's stream ended without an answer")]
    StreamEnded,
    #[error(
        "the call was made and is not repeated: its result is too large for an event of this stream, and cannot be kept, because the proxy is stopping"
    )]
    NotKept,
    /// Such as a 401 with an HTML page.
    #[error("the upstream answered with status {0} and no JSON-RPC message")]
    NoMessage(StatusCode),

    #[error("{0}")]
    Elsewhere(Elsewhere),
}

impl<'p> Problem<'p> {
    /// Its row of the table.
    #[must_use]
    pub fn row(&self) -> Row<'p> {
        match self {
            Problem::Method => Row {
                allow: Some("POST, GET, DELETE"),
                ..Row::unread(StatusCode::METHOD_NOT_ALLOWED)
            },
            Problem::MediaType | Problem::ContentEncoding => {
                Row::unread(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            }
            Problem::UnexpectedBody => Row::unread(StatusCode::BAD_REQUEST),
            Problem::Guard(_) => Row::unread(StatusCode::FORBIDDEN),
            Problem::Unread(unread) => of_unread(*unread),
            Problem::NoPlace => Row {
                count: Count::Refused,
                closes: true,
                ..Row::busy()
            },
            // Without a line in the audit, which has no room for one.
            Problem::AuditFull(_) => Row {
                count: Count::Refused,
                ..Row::busy()
            },
            Problem::Invalid(refusal) => {
                let status = StatusCode::from_u16(refusal.status);
                Row {
                    count: Count::Audited(&[]),
                    ..Row::error(status.unwrap_or(StatusCode::BAD_REQUEST), refusal.code)
                }
            }
            Problem::Unidentified { why, message } => Row {
                count: Count::Audited(message),
                ..of_unidentified(why)
            },
            // Counted in `thoughtgate_panics_total` already.
            Problem::Panicked => {
                Row::error(StatusCode::INTERNAL_SERVER_ERROR, codes::INTERNAL_ERROR)
            }
            Problem::Rejected(decision) => of_rejection(decision),
            Problem::Failed(failed) => of_failure(failed),
            Problem::NoChannel => Row::answered(codes::APPROVAL_UNAVAILABLE),
            Problem::NotACall => Row::answered(codes::POLICY_DENIED),
            Problem::TooManyHeld(_) => Row::shown(codes::OVERLOADED),
            Problem::Unseal(UnsealError::Expired) => Row::tool_result(codes::INVALID_PARAMS),
            Problem::Unseal(UnsealError::Invalid)
            | Problem::OtherCall
            | Problem::NoTask
            | Problem::NotCancellable(_) => Row::shown(codes::INVALID_PARAMS),
            Problem::Unrequested(error) => Row::of_approval(code_of(error)),
            Problem::Denied(_, denial) => Row::of_approval(denial.code),
            Problem::Kept(_) => Row::tool_result(codes::RESULT_TOO_LARGE),
            Problem::Repeated(Repeated::Running(_)) => Row::tool_result(codes::CALL_RUNNING),
            Problem::Repeated(_) => Row::tool_result(codes::APPROVAL_USED),
            Problem::NotSealed => Row::shown(codes::INTERNAL_ERROR),
            Problem::TasksUndeclared => {
                Row::error(StatusCode::BAD_REQUEST, codes::MISSING_CLIENT_CAPABILITY)
            }
            Problem::TaskMethod => Row::shown(codes::METHOD_NOT_FOUND),
            Problem::Encoded
            | Problem::BrokeOff
            | Problem::StreamEnded
            | Problem::NotKept
            | Problem::NoMessage(_) => Row::shown(codes::UPSTREAM_INVALID),
            Problem::Elsewhere(elsewhere) => elsewhere.row(),
        }
    }

    /// Its text for the audit log, which must not quote an agent's arguments.
    #[must_use]
    pub fn reason(&self) -> String {
        let unquoted = "the call cannot be approved: invalid parameters";
        match self {
            Problem::Unseal(_) | Problem::OtherCall => unquoted.to_owned(),
            Problem::Unrequested(error) if code_of(error) == codes::INVALID_PARAMS => {
                unquoted.to_owned()
            }
            Problem::Elsewhere(Elsewhere::Press(error)) => {
                format!("approval press: {}", chain(error))
            }
            _ => self.to_string(),
        }
    }

    /// The body of its answer without a tool result; `id` is that of the request, if a JSON-RPC answer to
    /// it is expected.
    #[must_use]
    pub fn body(&self, id: Option<&RawValue>) -> Vec<u8> {
        let text = self.to_string();
        match self.row().form {
            Form::JsonRpc(code) | Form::ToolResult(code) => {
                reply::error(id, code, &text, self.data().as_ref())
            }
            Form::Error => json!({ "error": text }).to_string().into_bytes(),
            Form::Message => json!({ "message": text }).to_string().into_bytes(),
        }
    }

    /// The body of its answer to the request with `id`, with what the agent's model can use if that made `call`.
    #[must_use]
    pub fn body_for(&self, id: Option<&RawValue>, call: Option<&Call<'_>>) -> Vec<u8> {
        match (self.row().form, call) {
            (Form::ToolResult(code), Some(call)) => {
                let text = self.to_string();
                self.refused(code, call).answer(id, call, &text)
            }
            _ => self.body(id),
        }
    }

    /// Counts it.
    pub fn count(&self, shared: &Shared) {
        self.count_of(shared, None);
    }

    /// Counts it, and leaves its line in the audit log if it gets one; `headers` are those of the request.
    pub fn count_of(&self, shared: &Shared, headers: Option<&HeaderMap>) {
        let row = self.row();
        // Rows whose status depends on an expected answer are not counted by it, so `true` is exact.
        let status = row.status.code(true).as_u16();
        match row.count {
            Count::None | Count::Decision => {}
            Count::Refused => {
                shared.metrics.refused(status);
                logged::refused(status, || self.reason());
            }
            Count::Audited(message) => {
                shared.refused(status, &self.reason(), message, headers);
                logged::refused(status, || self.reason());
            }
            Count::Failure(kind) => {
                shared.metrics.failure(kind);
                shared.exchanges.failed(self);
                shared.suspect_upstream();
            }
        }
    }

    /// The refusal of `call` in words for the model of the agent that made it.
    fn refused(&self, code: i64, call: &Call<'_>) -> Refused<'_> {
        match self {
            Problem::Rejected(decision) => Refused::by_policies(code, decision, call),
            Problem::Denied(id, denial) => Refused::denied(*id, denial),
            Problem::Unrequested(error) => Refused::unrequested(code, error),
            Problem::Kept(kept) => Refused::kept(code, kept),
            Problem::Repeated(repeated) => Refused::repeated(code, repeated),
            Problem::Unseal(_) => Refused::outdated(code),
            _ => Refused::always(code, &self.to_string()),
        }
    }

    /// Details for programs.
    fn data(&self) -> Option<Value> {
        match self {
            Problem::Rejected(decision) => {
                let policies = decision.policies.iter().map(AsRef::as_ref);
                Some(json!({ "policies": policies.collect::<Vec<&str>>() }))
            }
            Problem::Denied(id, denial) => Some(denial.data(*id)),
            Problem::Kept(kept) => Some(kept.data()),
            Problem::Repeated(repeated) => Some(repeated.data()),
            Problem::TasksUndeclared => {
                let tasks = json!({ "io.modelcontextprotocol/tasks": {} });
                Some(json!({ "requiredCapabilities": { "extensions": tasks } }))
            }
            _ => None,
        }
    }
}

fn of_unread(unread: Unread) -> Row<'static> {
    match unread {
        Unread::TooLarge => Row::unread(StatusCode::PAYLOAD_TOO_LARGE),
        Unread::Broken => Row::unread(StatusCode::BAD_REQUEST),
        Unread::Slow => Row::unread(StatusCode::REQUEST_TIMEOUT),
        // A busy proxy keeps its connections open, but the rest of this body is unread.
        Unread::NoPlace | Unread::Spent(_) => Row {
            count: Count::Audited(&[]),
            closes: true,
            ..Row::busy()
        },
    }
}

fn of_unidentified(why: &Unidentified) -> Row<'static> {
    match why {
        // A 401 makes clients look for an authorization server, which a header does not have.
        Unidentified::Header(_) => Row::error(StatusCode::FORBIDDEN, codes::POLICY_DENIED),
        // A new token would not help.
        Unidentified::NoKeys => Row::busy(),
        _ => Row {
            challenges: true,
            ..Row::error(StatusCode::UNAUTHORIZED, codes::POLICY_DENIED)
        },
    }
}

fn of_rejection(decision: &Decision) -> Row<'static> {
    let code = match decision.error {
        Some(_) => codes::POLICY_ERROR,
        None => codes::POLICY_DENIED,
    };
    Row {
        count: Count::Decision,
        ..Row::answered(code)
    }
}

fn rejection(decision: &Decision) -> String {
    match &decision.error {
        Some(error) => format!("refused: {error}"),
        None => "refused by policy".to_owned(),
    }
}

fn of_failure(failed: &Failed) -> Row<'static> {
    let (kind, status, code) = match failed {
        Failed::Upstream(UpstreamError::Connect(_) | UpstreamError::ConnectTimeout(_)) => (
            Failure::Connect,
            StatusCode::BAD_GATEWAY,
            codes::UPSTREAM_UNREACHABLE,
        ),
        Failed::Upstream(UpstreamError::Exchange(_)) => (
            Failure::Exchange,
            StatusCode::BAD_GATEWAY,
            codes::UPSTREAM_UNREACHABLE,
        ),
        Failed::Timeout => (
            Failure::Timeout,
            StatusCode::GATEWAY_TIMEOUT,
            codes::UPSTREAM_TIMEOUT,
        ),
        Failed::List(_)
        | Failed::Metadata(_)
        | Failed::Upstream(
            UpstreamError::Framing(_)
            | UpstreamError::Moved(_)
            | UpstreamError::Redirected(_)
            | UpstreamError::Circular(_),
        ) => (
            Failure::Invalid,
            StatusCode::BAD_GATEWAY,
            codes::UPSTREAM_INVALID,
        ),
        // Counted in `thoughtgate_budget_refused` already.
        Failed::Spent(_) => return Row::busy(),
    };
    Row {
        count: Count::Failure(kind),
        ..Row::error(status, code)
    }
}

fn code_of(error: &RequestError) -> i64 {
    match error {
        RequestError::DuplicateKey(_)
        | RequestError::Unreadable
        | RequestError::TooLarge { .. }
        | RequestError::NameTooLong { .. } => codes::INVALID_PARAMS,
        RequestError::Closed => codes::DRAINING,
        _ => codes::APPROVAL_UNAVAILABLE,
    }
}

#[cfg(test)]
mod tests;
