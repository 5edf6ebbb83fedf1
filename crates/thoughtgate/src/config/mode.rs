//! The setting `mode`: whether decisions are carried out.

use serde::{Deserialize, Serialize};

use super::setting::{Form, Typed};

/// Handling of decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// They are carried out.
    Enforce,
    /// Everything that is decided is forwarded; what would be refused or held is counted and logged.
    Observe,
}

impl Typed for Mode {
    const FORM: Form = Form::Text;
}

impl Mode {
    /// The mode in the words of the log.
    pub fn in_words(self) -> &'static str {
        match self {
            Mode::Enforce => "policies are enforced",
            Mode::Observe => "policies are observed, and not enforced",
        }
    }
}
