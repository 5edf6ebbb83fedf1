//! `cargo xtask metrics`: dispatches to its commands, one file per command. The modules that they share
//! are described in their own heads.

pub mod badges;
pub mod calibrate;
pub mod catalog;
pub mod check;
pub mod compare;
pub mod context;
pub mod digest;
pub mod ending;
pub mod estimate;
pub mod history;
pub mod host;
pub mod judge;
pub mod list;
pub mod measure;
pub mod merge;
pub mod model;
pub mod notes;
pub mod outputs;
pub mod page;
pub mod publish;
pub mod recorder;
pub mod render;
pub mod replay;
pub mod report;
pub mod scenario;
pub mod stats;
pub mod store;
pub mod subject;
pub mod tier1;
pub mod tier2;
pub mod tier3;
pub mod trend;

use crate::exit::Exit;
use crate::flags::{self, MetricsCommand};

pub fn run(flags: &flags::Metrics) -> anyhow::Result<Exit> {
    match &flags.command {
        None => measure::run(&flags.measure),
        Some(MetricsCommand::List(flags)) => list::run(flags),
        Some(MetricsCommand::Merge(flags)) => merge::run(flags),
        Some(MetricsCommand::Compare(flags)) => compare::run(flags),
        Some(MetricsCommand::Judge(flags)) => replay::run(flags),
        Some(MetricsCommand::Check(flags)) => check::run(flags),
        Some(MetricsCommand::Trend(flags)) => trend::run(flags),
        Some(MetricsCommand::History(flags)) => history::run(flags),
        Some(MetricsCommand::Calibrate(flags)) => calibrate::run(flags),
        Some(MetricsCommand::Report(flags)) => report::run(flags),
        Some(MetricsCommand::Publish(flags)) => publish::run(flags),
        Some(MetricsCommand::Notes(flags)) => notes::run(flags),
        Some(MetricsCommand::Badges(flags)) => badges::run(flags),
        Some(MetricsCommand::Page(flags)) => page::run(flags),
    }
}
