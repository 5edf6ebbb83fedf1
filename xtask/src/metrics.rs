//! `cargo xtask metrics`: dispatches. One file a command; the modules that they share are described
//! in their own heads.

pub mod catalog;
pub mod context;
pub mod estimate;
pub mod host;
pub mod judge;
pub mod list;
pub mod measure;
pub mod merge;
pub mod model;
pub mod outputs;
pub mod recorder;
pub mod render;
pub mod scenario;
pub mod stats;
pub mod store;
pub mod subject;
pub mod tier1;
pub mod tier2;
pub mod tier3;

use crate::exit::Exit;
use crate::flags::{self, MetricsCommand};

/// Dispatches.
pub fn run(flags: &flags::Metrics) -> anyhow::Result<Exit> {
    match &flags.command {
        None => measure::run(&flags.measure),
        Some(MetricsCommand::List(flags)) => list::run(flags),
        Some(MetricsCommand::Merge(flags)) => merge::run(flags),
    }
}
