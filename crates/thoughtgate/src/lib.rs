//! Arguments, configuration, wiring, signals and shutdown of the `thoughtgate` binary.
//!
//! Handles no request and makes no decision: `thoughtgate-proxy` and `thoughtgate-policy` do. This is
//! a library so that the fuzz targets can reach the configuration, and tests of documents the cases.

mod approvals;
mod authors;
mod call;
pub mod cases;
mod cgroup;
mod config;
mod container;
mod descriptors;
mod exposure;
mod flags;
mod load;
mod mistakes;
mod online;
mod overlay;
mod places;
mod policies;
mod reload;
mod run;
mod settings;
mod text;

pub use call::{Asked, Call};
pub use flags::{Command, Explain, Flags, Format};
pub use mistakes::{Mistakes, lines};
pub use run::{check, main};
