//! Decides what an agent may do: an MCP request in, a decision with its reasons out.
//!
//! Cedar evaluates; this crate turns policies into something that can be asked thousands of times a
//! second. It does no IO, in loading or in deciding, and never answers "forward" for want of a
//! better answer: no policy, an error, an argument that cannot be represented are refusals.

mod annotations;
mod arguments;
mod asked;
mod depth;
mod engine;
mod error;
mod index;
mod memory;
mod paths;
mod place;
mod policy;
mod reader;
mod reads;
mod references;
mod rule;
mod schema;
mod similar;
mod slice;
mod time;
mod types;

pub use depth::LOAD_STACK_BYTES;
pub use engine::{Decision, Engine, Options, Outcome, Plain, Query, Source, Target};
pub use error::LoadError;
pub use time::rfc3339;
