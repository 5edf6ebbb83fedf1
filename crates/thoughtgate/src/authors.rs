//! The commands for authors of policies: they ask the policies that the configuration names, and serve
//! nothing.
//!
//! Each command has its own file; `asked.rs` reads the configuration for them.

mod asked;
mod audit_line;
mod explain;
mod test;

pub use explain::explain;
pub use test::test;
