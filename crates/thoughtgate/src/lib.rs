//! What the `thoughtgate` binary is made of: arguments, configuration, wiring, signals, drain.
//!
//! It handles no request and makes no decision; those are `thoughtgate-proxy` and
//! `thoughtgate-policy`. A library only so that the fuzz targets can reach the configuration.

mod approvals;
mod cgroup;
mod config;
mod descriptors;
mod flags;
mod overlay;
mod policies;
mod reload;
mod run;
mod settings;

pub use flags::Flags;
pub use run::{check, main};
