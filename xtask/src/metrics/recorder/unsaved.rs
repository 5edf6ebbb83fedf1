//! The errors after which a run cannot go on, and how they are told from those of one measurement.

use std::fmt;

use crate::interrupt;

/// The context of an error after which a run cannot go on: what it measures has no place.
#[derive(Debug)]
pub struct Unsaved;

impl fmt::Display for Unsaved {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the run ends, since its samples have no place")
    }
}

/// Whether an error ends the run, and not only what was being measured.
pub fn ends_the_run(error: &anyhow::Error) -> bool {
    interrupt::cause(error).is_some() || error.is::<Unsaved>()
}
