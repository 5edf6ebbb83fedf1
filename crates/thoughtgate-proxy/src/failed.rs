//! The reasons why there is no answer of the upstream to pass on.
//!
//! Only the error; [`crate::forward`] and [`crate::listing`] find it, `problem.rs` says how it is answered.

use crate::budget::Spent;
use crate::listing::Unfiltered;
use crate::upstream::UpstreamError;

/// Reason why there is no answer to pass on.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error("the upstream did not answer within `timeouts.response`")]
    Timeout,
    /// A list that cannot be filtered is not passed on.
    #[error("the upstream's answer, which may list tools, cannot be filtered")]
    List(#[source] Unfiltered),
    /// Metadata that names the upstream is not passed on.
    #[error("the upstream's metadata cannot be made to name this proxy")]
    Metadata(#[from] Unusable),
    /// No room to hold a list or a document.
    #[error(transparent)]
    Spent(#[from] Spent),
}

/// Reason why a document cannot be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("it has a Content-Encoding, although none was asked for")]
    Encoded,
    #[error("it is larger than {0} bytes")]
    TooLarge(usize),
    #[error("it broke off")]
    Broken,
    #[error("it is not a JSON object with unique keys")]
    NotAnObject,
    #[error("the request's Host is not a valid one; set `public_url`")]
    NoHost,
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::io;
    use std::time::Duration;

    use thoughtgate_approval::chain;
    use thoughtgate_mcp::tools::{Refused, Unreadable};

    use super::*;
    use crate::identity::{TokenFault, Unidentified};
    use crate::upstream::{BadTarget, Redirect, UpstreamError};

    #[test]
    fn each_cause_is_printed_once() {
        let io = || io::Error::other("connection refused");
        let tls = rustls::Error::General("no cipher suite".to_owned());
        let redirect = |status: u16| {
            let response = http::Response::builder().status(status);
            let response = response.header("location", "https://u:p@other/mcp?q");
            Box::new(Redirect::of(&response.body(()).unwrap()))
        };
        let errors: [(&dyn Error, &str); 9] = [
            (
                &Failed::Upstream(UpstreamError::Moved(redirect(307))),
                "the upstream has begun to redirect (307) to https://other/mcp; it has not executed this request: send it again",
            ),
            (
                &Failed::Upstream(UpstreamError::Redirected(redirect(302))),
                "the upstream redirects (302) to https://other/mcp, which is not followed; set `upstream.url` to the address of the MCP endpoint",
            ),
            (
                &Failed::Metadata(Unusable::NotAnObject),
                "the upstream's metadata cannot be made to name this proxy: it is not a JSON object with unique keys",
            ),
            (
                &Failed::Upstream(UpstreamError::Connect(io())),
                "cannot connect to the upstream: connection refused",
            ),
            (
                &UpstreamError::ConnectTimeout(Duration::from_secs(5)),
                "connecting to the upstream took longer than 5s",
            ),
            (
                &BadTarget::Tls(tls),
                "TLS could not be set up: unexpected error: no cipher suite",
            ),
            (
                &Failed::List(Unreadable::NotJson.into()),
                "the upstream's answer, which may list tools, cannot be filtered: not valid JSON in UTF-8",
            ),
            (
                &Failed::List(Refused::Data(Unreadable::NotJson).into()),
                "the upstream's answer, which may list tools, cannot be filtered: failed to read an event: not valid JSON in UTF-8",
            ),
            (
                &Unidentified::BadToken(TokenFault::Expired),
                "the bearer token was not accepted: it has expired",
            ),
        ];
        for (error, expected) in errors {
            assert_eq!(chain(error), expected);
        }
    }
}
