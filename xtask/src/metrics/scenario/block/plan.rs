//! The plan of a scenario: the number of blocks, their duration, and the disturbance they tolerate.

use super::outcome::Figure;
use crate::metrics::recorder::{Recorder, Tolerance};

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The scenario's name, in progress lines and in the run's tables.
    pub label: &'static str,
    /// Number of undisturbed blocks to reach.
    pub blocks: usize,
    /// Approximate duration of one block.
    pub seconds_each: f64,
    /// Seconds after which no further block is started; the first one always is.
    pub seconds_at_most: f64,
    /// The disturbance above which a block is noisy; none when the load of the machine changes nothing.
    pub tolerance: Option<Tolerance>,
}

impl Plan {
    /// A plan with a third of the time on top, for blocks that have to be repeated.
    pub fn new(label: &'static str, blocks: usize, seconds_each: f64) -> Plan {
        Plan {
            label,
            blocks,
            seconds_each,
            seconds_at_most: blocks as f64 * seconds_each * 4.0 / 3.0,
            tolerance: Some(Tolerance {
                is_alone: true,
                psi_percent: None,
            }),
        }
    }

    /// For a scenario that does not keep the cores busy itself: a block is noisy when tasks wait for a
    /// CPU in more than this percentage of the time.
    pub fn with_psi_below(mut self, percent: f64) -> Plan {
        if let Some(tolerance) = &mut self.tolerance {
            tolerance.psi_percent = Some(percent);
        }
        self
    }

    /// For a scenario whose programs are not children of this process, such as containers: the block
    /// runner would take them for other programs, so the scenario watches the machine itself.
    pub fn not_alone(mut self) -> Plan {
        if let Some(tolerance) = &mut self.tolerance {
            tolerance.is_alone = false;
        }
        self
    }

    /// For figures that the load of the machine does not change: sizes, counts.
    pub fn deterministic(self) -> Plan {
        Plan {
            tolerance: None,
            ..self
        }
    }

    /// Planned seconds of all blocks; 0 when no metric of `figures` is pending.
    pub fn seconds_for<T>(&self, figures: &[Figure<T>], recorder: &Recorder) -> f64 {
        let wanted = figures.iter().any(|figure| recorder.pending(figure.0));
        if wanted {
            self.blocks as f64 * self.seconds_each
        } else {
            0.0
        }
    }
}
