//! Properties of all rows of the table, and the bytes of an answer in each form.

use thoughtgate_approval::InteractionError;
use thoughtgate_mcp::tools::Unreadable;

use super::*;
use crate::budget::Spent;
use crate::failed::Unusable;
use crate::metrics::REFUSED;
use crate::routes::Routes;

const UNREAD: [Unread; 5] = [
    Unread::TooLarge,
    Unread::Broken,
    Unread::Slow,
    Unread::NoPlace,
    Unread::Spent(Spent),
];

const ELSEWHERE: [Elsewhere; 11] = [
    Elsewhere::NoPath(Routes::All),
    Elsewhere::WellKnownPath,
    Elsewhere::AdminMethod,
    Elsewhere::AdminGuard(Rejected::Host),
    Elsewhere::WellKnownGuard,
    Elsewhere::WellKnownMethod,
    Elsewhere::WellKnownBody,
    Elsewhere::NoPress,
    Elsewhere::PressMethod,
    Elsewhere::PressDisabled,
    Elsewhere::Press(InteractionError::Stale),
];

/// Calls `check` with refusals of every row.
fn for_each(check: impl Fn(&Problem<'_>)) {
    let refusal = Refusal {
        status: 400,
        code: codes::PARSE_ERROR,
        message: "not JSON".into(),
        id: None,
    };
    let (decision, denial) = (Decision::error("a reason"), Denial::taken_back());
    let why = Unidentified::NoToken;
    let id = Id::parse("tg-00000000000000000000000000000000").unwrap();
    let failed = [
        Failed::Timeout,
        Failed::List(Unreadable::NotJson.into()),
        Failed::Metadata(Unusable::NoHost),
        Failed::Spent(Spent),
    ];
    let message = b"{}";
    let others = [
        Problem::Method,
        Problem::MediaType,
        Problem::ContentEncoding,
        Problem::UnexpectedBody,
        Problem::Guard(Rejected::Host),
        Problem::Guard(Rejected::Origin),
        Problem::NoPlace,
        Problem::AuditFull(Full),
        Problem::Invalid(&refusal),
        Problem::Unidentified { why: &why, message },
        Problem::Panicked,
        Problem::Rejected(&decision),
        Problem::NoChannel,
        Problem::NotACall,
        Problem::TooManyHeld(TooMany::InAll),
        Problem::Unseal(UnsealError::Expired),
        Problem::OtherCall,
        Problem::Unrequested(RequestError::Closed),
        Problem::Denied(id, &denial),
        Problem::Kept(Kept {
            approval: id,
            time: std::time::Duration::from_secs(300),
        }),
        Problem::Repeated(Repeated::Running(id)),
        Problem::Repeated(Repeated::Collected(id)),
        Problem::Repeated(Repeated::OtherEra(id)),
        Problem::NotSealed,
        Problem::NoTask,
        Problem::TasksUndeclared,
        Problem::TaskMethod,
        Problem::NotCancellable("it has ended".to_owned()),
        Problem::Encoded,
        Problem::BrokeOff,
        Problem::StreamEnded,
        Problem::NotKept,
        Problem::NoMessage(StatusCode::UNAUTHORIZED),
    ];
    others.iter().for_each(&check);
    UNREAD.map(Problem::Unread).iter().for_each(&check);
    ELSEWHERE.map(Problem::Elsewhere).iter().for_each(&check);
    let failed = failed.each_ref().map(Problem::Failed);
    failed.iter().for_each(&check);
}

#[test]
fn every_row_is_one_that_clients_can_read() {
    for_each(|problem| {
        let (row, text) = (problem.row(), problem.to_string());
        assert!(!text.is_empty() && !text.ends_with('.'), "{text}");
        let status = row.status.code(false);
        assert_ne!(status.is_success(), status.as_u16() >= 400, "{text}");
        if let Form::JsonRpc(code) | Form::ToolResult(code) = row.form {
            // Reserved by JSON-RPC, or an HTTP status with two more digits.
            let is_known = (-32768..=-32000).contains(&code) || (40000..60000).contains(&code);
            assert!(is_known, "{text}: {code}");
        } else {
            assert!(status.as_u16() >= 400, "{text}: only the status shows it");
        }
        let is_busy = status == StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(row.retry_after, is_busy, "{text}");
        let is_method = status == StatusCode::METHOD_NOT_ALLOWED;
        assert_eq!(row.allow.is_some(), is_method, "{text}");
        if let Count::Refused | Count::Audited(_) = row.count {
            assert!(matches!(row.status, row::Status::Always(_)), "{text}");
            // Each has a series from the start.
            assert!(REFUSED.contains(&status.as_u16().into()), "{text}");
        }
    });
}

#[test]
fn a_rejection_has_status_200_where_an_answer_is_expected_and_403_elsewhere() {
    let decision = Decision::error("a reason");
    let problem = Problem::Rejected(&decision);
    let status = problem.row().status;
    assert_eq!(status.code(true), StatusCode::OK);
    assert_eq!(status.code(false), StatusCode::FORBIDDEN);
    let id = RawValue::from_string("7".to_owned()).unwrap();
    let body = String::from_utf8(problem.body(Some(&id))).unwrap();
    assert_eq!(
        body,
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":40302,"message":"refused: a reason","data":{"policies":[]}}}"#
    );
}

#[test]
fn other_paths_are_answered_without_json_rpc() {
    let body = |elsewhere| Problem::Elsewhere(elsewhere).body(None);
    assert_eq!(
        body(Elsewhere::NoPath(Routes::All)),
        br#"{"error":"no such path; MCP is at /mcp, health at /health and /ready, metrics at /metrics"}"#
    );
    assert_eq!(body(Elsewhere::NoPress), br#"{"message":"no such path"}"#);
}

#[test]
fn the_audit_log_quotes_no_argument() {
    let problem = Problem::Unrequested(RequestError::DuplicateKey("secret".to_owned()));
    assert!(problem.to_string().contains("secret"));
    assert!(!problem.reason().contains("secret"));
    let press = Problem::Elsewhere(Elsewhere::Press(InteractionError::Stale));
    assert!(press.reason().starts_with("approval press: "));
}
