//! Values of the setting `refusals`: the form in which a refused `tools/call` is answered.
//!
//! Only the names; `thoughtgate-proxy` makes the answers.

use serde::{Deserialize, Serialize};

use super::setting::{Form, Typed};

/// Form of the answer to a refused `tools/call`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Refusals {
    /// A tool result with `isError`.
    Result,
    /// A JSON-RPC error.
    Error,
}

impl Typed for Refusals {
    const FORM: Form = Form::Text;
}
