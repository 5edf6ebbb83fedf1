//! Child processes with a limit on everything: a deadline, a cap on what is kept
//! of their output, and a whole process group that dies with its owner.
//!
//! `duct` starts and waits for them, and `wait-timeout` limits what the reaper runs; the rest of what they lack
//! is here: bounded output, the list of what must not outlive this process, and interruptions.
//!
//! Knows nothing of what it runs. Does not interpret output, retry, or choose
//! deadlines for its callers.

mod capture;
mod child;
mod environment;
mod journal;
mod launch;
mod leftover;
mod output;
mod reaper;

pub use capture::{Capture, Captured};
pub use child::{Child, Stream};
pub use environment::{raise_open_files, temporary_folder};
pub use journal::begin as begin_journal;
pub use launch::Launch;
pub use leftover::Leftover;
pub use output::Output;
pub use reaper::reaper_main;

/// Folder of the journals, which list what each run has created, below cargo's target directory.
pub const JOURNALS: &str = "xtask/made";

/// Whether a command could not be started because there is no such program.
pub fn is_missing(error: &anyhow::Error) -> bool {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref());
    let mut kinds = causes.map(std::io::Error::kind);
    kinds.any(|kind| kind == std::io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests;
