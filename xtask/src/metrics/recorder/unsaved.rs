//! The errors that end a run, as opposed to those of one measurement.

use std::fmt;

use crate::interrupt;

/// The context of an error for which the run ends: its samples cannot be saved.
#[derive(Debug)]
pub struct Unsaved;

impl fmt::Display for Unsaved {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the run ends, since its samples cannot be saved")
    }
}

/// Whether an error ends the run, and not only the current measurement.
pub fn ends_the_run(error: &anyhow::Error) -> bool {
    interrupt::cause(error).is_some() || error.is::<Unsaved>()
}
