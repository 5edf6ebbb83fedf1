//! `cargo xtask metrics`: plan, collect, save, report, and the exit code that follows.

pub mod catalog;
pub mod context;
pub mod host;
pub mod model;
pub mod recorder;
pub mod stats;
pub mod store;
pub mod tier1;
pub mod tier2;
pub mod tier3;
