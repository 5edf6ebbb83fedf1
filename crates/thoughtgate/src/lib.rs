//! Arguments, configuration, wiring, signals and shutdown of the `thoughtgate` binary.
//!
//! Handles no request and makes no decision: `thoughtgate-proxy` and `thoughtgate-policy` do. This is
//! a library only so that the fuzz targets can reach the configuration.

mod approvals;
mod cgroup;
mod config;
mod container;
mod descriptors;
mod flags;
mod load;
mod overlay;
mod policies;
mod reload;
mod run;
mod settings;

pub use flags::Flags;
pub use run::{check, main};
