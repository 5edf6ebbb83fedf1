//! A JSON value of a message as text. Says nothing about its type, and decodes nothing.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// The text of a JSON value that has been read, and so is one; without white space around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonText<'a>(&'a str);

/// A key and its value.
pub(crate) type Member<'a> = (Cow<'a, str>, JsonText<'a>);

impl<'a> JsonText<'a> {
    pub(crate) const NULL: JsonText<'static> = JsonText("null");

    /// `text` must be exactly one JSON value.
    pub(crate) fn new(text: &'a str) -> JsonText<'a> {
        JsonText(text)
    }

    /// The text.
    #[must_use]
    pub fn get(self) -> &'a str {
        self.0
    }

    /// The same as a type of `serde_json`, which looks for the end of the value once more.
    #[must_use]
    pub fn raw(self) -> &'a RawValue {
        serde_json::from_str(self.0).expect("the text was read as one JSON value")
    }
}

impl<'a> From<&'a RawValue> for JsonText<'a> {
    fn from(raw: &'a RawValue) -> JsonText<'a> {
        JsonText(raw.get())
    }
}

impl Serialize for JsonText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.raw().serialize(serializer)
    }
}
