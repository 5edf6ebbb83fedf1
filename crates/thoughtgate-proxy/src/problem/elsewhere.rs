//! Refusals on other paths than the MCP endpoint's, whose clients do not speak JSON-RPC.
//!
//! A part of the table in [`super::Problem`], apart because no JSON-RPC code and no id belongs to these.

use http::StatusCode;
use thoughtgate_approval::{InteractionError, chain};

use super::row::{Count, Form, Row};
use crate::guard::Rejected;
use crate::routes::Routes;

/// A refusal on another path than the MCP endpoint's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Elsewhere {
    #[error("no such path; {0}")]
    NoPath(Routes),
    #[error("use GET")]
    AdminMethod,
    /// `Host` or `Origin` of a request for the metrics.
    #[error("{0}")]
    AdminGuard(Rejected),
    /// A path that servers could read in two ways.
    #[error("no such path")]
    WellKnownPath,
    #[error("Host or Origin header not allowed")]
    WellKnownGuard,
    #[error("use GET")]
    WellKnownMethod,
    #[error("GET must not have a body")]
    WellKnownBody,
    /// A button press, while approvals are not configured.
    #[error("no such path")]
    NoPress,
    #[error("use POST")]
    PressMethod,
    /// Approvals are configured, but not the secret that presses need.
    #[error("no such path")]
    PressDisabled,
    #[error("{}", chain(.0))]
    Press(InteractionError),
}

impl Elsewhere {
    pub(super) fn row(self) -> Row<'static> {
        match self {
            Elsewhere::NoPath(_) | Elsewhere::WellKnownPath => {
                Row::of_path(Form::Error, StatusCode::NOT_FOUND)
            }
            Elsewhere::AdminMethod => Row {
                allow: Some("GET, HEAD"),
                ..Row::of_path(Form::Error, StatusCode::METHOD_NOT_ALLOWED)
            },
            // Not audited: monitoring by a wrong name asks every few seconds.
            Elsewhere::AdminGuard(_) => Row {
                count: Count::Refused,
                ..Row::of_path(Form::Error, StatusCode::FORBIDDEN)
            },
            Elsewhere::WellKnownGuard => Row {
                count: Count::Audited(&[]),
                ..Row::of_path(Form::Error, StatusCode::FORBIDDEN)
            },
            Elsewhere::WellKnownMethod => Row {
                allow: Some("GET"),
                ..Row::of_path(Form::Error, StatusCode::METHOD_NOT_ALLOWED)
            },
            Elsewhere::WellKnownBody => Row::of_path(Form::Error, StatusCode::BAD_REQUEST),
            Elsewhere::NoPress => Row::of_path(Form::Message, StatusCode::NOT_FOUND),
            Elsewhere::PressMethod => Row {
                allow: Some("POST"),
                ..Row::of_path(Form::Message, StatusCode::METHOD_NOT_ALLOWED)
            },
            // The body of these has been read, so that the connection can stay open.
            Elsewhere::PressDisabled => Row {
                closes: false,
                ..Row::of_path(Form::Message, StatusCode::NOT_FOUND)
            },
            Elsewhere::Press(_) => Row {
                count: Count::Audited(&[]),
                closes: false,
                ..Row::of_path(Form::Message, StatusCode::UNAUTHORIZED)
            },
        }
    }
}
