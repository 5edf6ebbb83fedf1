//! The parts of a request that policies read, and their union.
//!
//! Only data: `infer.rs` finds them in a policy.

use crate::types::{Conflict, Fields, Text, join_fields};

/// The parts of a request that one or more policies read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// Fields of `context.arguments`.
    pub arguments: Fields,
    /// Whether `context.now` is read.
    pub now: bool,
    /// The use of the resource's name or URI as a string, if it is read.
    pub name: Option<Text>,
}

impl Reads {
    /// Whether nothing of the call is read besides agent with its claims, action and
    /// resource, so that one decision holds for every call of an agent with these.
    pub fn is_nothing(&self) -> bool {
        self.arguments.is_empty() && !self.now
    }

    /// Adds what `other` reads.
    pub fn join(&mut self, other: &Reads) -> Result<(), Conflict> {
        self.now |= other.now;
        self.name = match (self.name, other.name) {
            (Some(own), Some(other)) => Some(own.join(other)),
            (own, other) => own.or(other),
        };
        join_fields(&mut self.arguments, &other.arguments)
    }
}
