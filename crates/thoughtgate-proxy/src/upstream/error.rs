//! The reasons why an upstream gave no response that can be passed on.
//!
//! Only the errors, and advice; [`super::Pool`] finds them, `problem.rs` says how they are answered.

use std::time::Duration;

use http::StatusCode;

use super::redirect::{REDIRECTS_MAX, Redirect};

/// Reason why a request got no response head.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Nothing listens at the address, or TLS failed.
    #[error("cannot connect to the upstream")]
    Connect(#[source] std::io::Error),
    /// No connection within the deadline.
    #[error("connecting to the upstream took longer than {0:?}")]
    ConnectTimeout(Duration),
    /// The exchange broke after bytes were written; it is not repeated.
    #[error("the exchange with the upstream failed")]
    Exchange(#[source] hyper::Error),
    /// The request was sent, but it is ambiguous where the body of its answer ends.
    #[error("the upstream's answer cannot be passed on: {0}")]
    Framing(&'static str),
    /// It asks for the same request at another address, and of this request no copy was kept. The next one
    /// is followed.
    #[error(
        "the upstream has begun to redirect ({}) to {}; it has not executed this request: send it again",
        .0.status.as_u16(), .0.shown()
    )]
    Moved(Box<Redirect>),
    /// A redirect that is not followed, nor passed on: a client would follow it around the proxy.
    #[error(
        "the upstream redirects ({}) to {}, which is not followed; set `upstream.url` to the address of the MCP endpoint",
        .0.status.as_u16(), .0.shown()
    )]
    Redirected(Box<Redirect>),
    /// Redirects within its origin that lead nowhere.
    #[error(
        "the upstream redirects in a loop, or more than {REDIRECTS_MAX} times in a row, the last time ({}) to {}; set `upstream.url` to the address of the MCP endpoint",
        .0.status.as_u16(), .0.shown()
    )]
    Circular(Box<Redirect>),
}

/// Advice on a status that no answer of `setting`'s server should have.
#[must_use]
pub fn advice(status: StatusCode, setting: &str) -> String {
    match status {
        StatusCode::TOO_MANY_REQUESTS => "the server limits requests".to_owned(),
        status if status.is_server_error() => {
            "the server, or a proxy before it, fails: see its log".to_owned()
        }
        _ => format!("check the path of `{setting}`"),
    }
}
