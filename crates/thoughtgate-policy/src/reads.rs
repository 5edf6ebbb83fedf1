//! The parts of a call that policies read, and their union.
//!
//! Only data: `infer.rs` finds them in a policy.

use crate::types::{Conflict, Fields, join_fields};

/// The parts of a call that one or more policies read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// Fields of `context.arguments`.
    pub arguments: Fields,
    /// Whether `context.now` is read.
    pub now: bool,
}

impl Reads {
    /// Whether nothing of the call is read, so that one decision holds for every call.
    pub fn is_nothing(&self) -> bool {
        self.arguments.is_empty() && !self.now
    }

    /// Adds what `other` reads.
    pub fn join(&mut self, other: &Reads) -> Result<(), Conflict> {
        self.now |= other.now;
        join_fields(&mut self.arguments, &other.arguments)
    }
}
