//! The commands for authors of policies: they ask the policies that the configuration names, and serve
//! nothing.
//!
//! Each command has its own file; `asked.rs` reads the configuration for them, and the answer of `explain` is
//! printed by `words.rs` or `json.rs`.

mod answer;
mod asked;
mod audit_line;
mod explain;
mod json;
mod shown;
mod test;
mod words;

pub use explain::explain;
pub use test::test;
