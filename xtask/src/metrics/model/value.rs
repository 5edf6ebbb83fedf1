//! A value of a metric: a truth value, a number, or a text.
//!
//! Deliberately absent: units, which the catalogue has.

use serde::{Deserialize, Serialize};

/// A JSON value. The order of the variants matters: the first that fits is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    Boolean(bool),
    Integer(u64),
    Float(f64),
    Text(String),
}

impl Value {
    /// The number, if it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Boolean(_) | Self::Text(_) => None,
        }
    }
}
