//! The options of a driver that hold for all slices, and the errors of invalid input.
//!
//! Only data: the options are checked where they are used.

use std::time::Duration;

use super::check::Expect;

/// Options that hold for all slices.
#[derive(Debug, Clone)]
pub struct Options {
    /// The JSON-RPC message to send; its `id`, if it has one, is replaced by a new number each
    /// time.
    pub body: Vec<u8>,
    /// Header names and values, besides `Host`, `Content-Type` and `Accept`.
    pub headers: Vec<(String, String)>,
    /// Conditions for a correct answer.
    pub expect: Expect,
    /// Connections of a slice that has no own number.
    pub connections: usize,
    /// Time limit for one answer.
    pub timeout: Duration,
    /// Time after its end in which a slice still starts overdue requests.
    pub drain: Duration,
}

/// Invalid input of the driver. A server that fails is not an error: it shows in the outcome.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The URL is not of the form `http://host:port/path`.
    #[error("`{url}` must have the form `http://host:port/path`")]
    Url {
        /// The URL as given.
        url: String,
    },
    /// A header that HTTP does not allow.
    #[error("invalid header `{header}`: expected `name: value`")]
    Header {
        /// The header as `name: value`.
        header: String,
    },
    /// The body is not one JSON object.
    #[error("the request body is not a JSON object")]
    Body(#[source] serde_json::Error),
    /// A slice without a duration, a connection or a positive rate.
    #[error("a slice needs a duration and a connection; its rate, if given, must be above 0")]
    Nothing,
    /// The system has no timer to give.
    #[error("failed to create a timer")]
    Timer(#[source] std::io::Error),
}
