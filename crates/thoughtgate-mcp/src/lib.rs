//! JSON-RPC and MCP as a gateway must know them: read one message, check it
//! against its headers, refuse it in the protocol's own words.
//!
//! What is absent on purpose: no IO, no async runtime, no policy, and no model
//! of what the members of a message mean beyond those a gateway governs. A
//! message that is accepted here is forwarded as the bytes it came in.

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
mod rewrite;
mod scan;
mod unique;

pub use canonical::canonical;
pub use envelope::{Envelope, Kind, parse};
pub use fold::{folds_to, folds_to_one_of, is_hidden, shown_forms};
pub use headers::{Era, HeaderField, Headers, MODERN_VERSION, check_headers};
pub use members::{Key, Member, Unclear, duplicate, has_nul, members};
pub use params::Params;
pub use refusal::Refusal;
pub use rewrite::without;
pub use scan::Limits;
pub use unique::{Ambiguous, unique_keys};
