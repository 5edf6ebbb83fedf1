//! The JSON-RPC error codes that ThoughtGate sends.
//!
//! JSON-RPC reserves -32768..=-32000, so ThoughtGate's own codes are positive: an HTTP status followed
//! by two digits. This module does not decide when a code is used; the callers do.

/// The body is not JSON.
pub const PARSE_ERROR: i64 = -32700;
/// The body is JSON, but not a single JSON-RPC 2.0 message.
pub const INVALID_REQUEST: i64 = -32600;
/// The method is unknown.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// A member of `params` is missing or of the wrong type.
pub const INVALID_PARAMS: i64 = -32602;
/// An internal error of the gateway.
pub const INTERNAL_ERROR: i64 = -32603;
/// MCP 2026-07-28: a header is missing or differs from the body.
pub const HEADER_MISMATCH: i64 = -32020;
/// MCP 2026-07-28: the client did not declare a capability that the answer needs.
pub const MISSING_CLIENT_CAPABILITY: i64 = -32021;

/// A policy, or the absence of one, refused the request.
pub const POLICY_DENIED: i64 = 40301;
/// The policies could not be evaluated for this request, so it is refused.
pub const POLICY_ERROR: i64 = 40302;
/// An approver denied the call.
pub const APPROVAL_REJECTED: i64 = 40303;
/// The agent withdrew its request for approval.
pub const APPROVAL_CANCELLED: i64 = 40304;
/// No approver has decided yet: the call was not made, and can be sent again.
pub const APPROVAL_PENDING: i64 = 42501;
/// The call was approved and is running: the same call, sent again, gets its result.
pub const CALL_RUNNING: i64 = 42502;
/// The approval was already used; it is valid for one call.
pub const APPROVAL_USED: i64 = 40901;
/// No approver answered in time, the approval was not used in time, or the policies now require one in
/// another channel.
pub const APPROVAL_EXPIRED: i64 = 40801;
/// The call was made, and its result is too large for the stream that answers it: the same call, sent
/// again, gets it.
pub const RESULT_TOO_LARGE: i64 = 41301;
/// The upstream server could not be reached.
pub const UPSTREAM_UNREACHABLE: i64 = 50201;
/// The upstream server's answer must not be passed on.
pub const UPSTREAM_INVALID: i64 = 50202;
/// Approvers could not be asked, or the approval could not be stored.
pub const APPROVAL_UNAVAILABLE: i64 = 50301;
/// The proxy is shutting down and accepts no new requests.
pub const DRAINING: i64 = 50302;
/// The proxy has no room for the request now; the client can retry later.
pub const OVERLOADED: i64 = 50303;
/// The upstream server did not answer in time.
pub const UPSTREAM_TIMEOUT: i64 = 50401;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_codes_lie_outside_the_range_the_protocol_keeps() {
        let own = [
            POLICY_DENIED,
            POLICY_ERROR,
            APPROVAL_REJECTED,
            APPROVAL_CANCELLED,
            APPROVAL_PENDING,
            APPROVAL_USED,
            APPROVAL_EXPIRED,
            RESULT_TOO_LARGE,
            CALL_RUNNING,
            UPSTREAM_UNREACHABLE,
            UPSTREAM_INVALID,
            APPROVAL_UNAVAILABLE,
            DRAINING,
            OVERLOADED,
            UPSTREAM_TIMEOUT,
        ];
        for (index, code) in own.iter().enumerate() {
            assert!(!(-32768..=-32000).contains(code), "{code}");
            assert!(!own[..index].contains(code), "{code} is used twice");
        }
    }
}
