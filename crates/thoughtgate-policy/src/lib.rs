//! Decides what an agent may do: an MCP request in, a decision with its reasons out.
//!
//! Cedar evaluates; this crate prepares policies so that thousands of requests can be decided each
//! second. It does no IO, neither when loading nor when deciding. It fails closed: without a policy, on
//! an error, and for an argument that Cedar cannot represent, the decision is a refusal.

mod advice;
mod agreement;
mod annotations;
mod arguments;
mod cache;
mod claims;
mod clauses;
mod datetime;
mod decision;
mod declared;
mod depth;
mod engine;
mod error;
mod errors;
mod evident;
mod explain;
mod extension;
mod fault;
mod index;
mod infer;
mod kinds;
mod literals;
mod merged;
mod milliseconds;
mod number;
mod options;
mod paths;
mod place;
mod policy;
mod query;
mod reach;
mod read_claims;
mod reader;
mod reads;
mod references;
mod residual;
mod rule;
mod schema;
mod scope;
mod similar;
mod spelling;
mod syntax;
mod token;
mod tools;
mod types;
mod unsatisfiable;

pub use claims::{ClaimError, Claims, StatedError};
pub use datetime::Datetime;
pub use decision::{Decision, Outcome};
pub use declared::{ClaimType, Declared, DeclaredClaim};
pub use depth::LOAD_STACK_BYTES;
pub use engine::{About, Engine};
pub use error::{LoadError, TypeConflict};
pub use errors::LoadErrors;
pub use explain::{Considered, Effect, Explanation, Finding, Known};
pub use options::{Options, Source};
pub use query::{Plain, Principal, Query, Target};
pub use similar::nearest;
pub use thoughtgate_panic::rfc3339;
