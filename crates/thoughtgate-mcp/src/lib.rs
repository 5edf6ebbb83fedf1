//! The parts of JSON-RPC and MCP that a gateway needs: reads one message, checks it against its
//! headers, and writes refusals as JSON-RPC errors.
//!
//! Deliberately absent: IO, an async runtime, policies, and a model of members other than those that
//! a gateway checks. The caller forwards an accepted message as the bytes that it received.

pub mod codes;
pub mod reply;
pub mod sse;
pub mod tasks;
pub mod tools;

mod canonical;
mod envelope;
mod fold;
mod headers;
mod members;
mod params;
mod refusal;
mod renumber;
mod rewrite;
mod scan;
mod shown;
mod skim;
mod text;
mod unique;

pub use canonical::canonical;
pub use envelope::{Envelope, Kind, parse};
pub use fold::{folds_to, folds_to_one_of, is_hidden, shown_forms};
pub use headers::{Era, HeaderField, Headers, check_headers};
pub use members::{Key, duplicate, has_nul};
pub use params::Params;
pub use refusal::Refusal;
pub use renumber::Renumber;
pub use rewrite::{with_member, with_members, without};
pub use scan::Limits;
pub use shown::{cut, is_misleading, visible};
pub use text::JsonText;
pub use unique::{Ambiguous, unique_keys};
