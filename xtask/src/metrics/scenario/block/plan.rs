//! How many blocks a scenario makes, how long they take, and what disturbs them.

use super::Figure;
use crate::metrics::recorder::{Recorder, Tolerance};

/// How many blocks there are to be.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The scenario's name, in progress and in the run's tables.
    pub label: &'static str,
    /// Undisturbed blocks to come to.
    pub blocks: usize,
    /// Seconds that one takes, about.
    pub seconds_each: f64,
    /// Seconds after which no block is begun any more. Never fewer blocks than one.
    pub seconds_at_most: f64,
    /// What else the machine may do without disturbing the figures; none when nothing does.
    pub tolerance: Option<Tolerance>,
}

impl Plan {
    /// A plan that leaves a third of its time for blocks that have to be repeated.
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

    /// For a scenario that does not keep the cores busy itself: tasks may wait for a CPU in so many
    /// percent of the time.
    pub fn with_psi_below(mut self, percent: f64) -> Plan {
        if let Some(tolerance) = &mut self.tolerance {
            tolerance.psi_percent = Some(percent);
        }
        self
    }

    /// For a scenario whose programs are started by others, and which watches itself for what else
    /// runs.
    pub fn not_alone(mut self) -> Plan {
        if let Some(tolerance) = &mut self.tolerance {
            tolerance.is_alone = false;
        }
        self
    }

    /// For figures that a busy machine does not change: sizes, counts.
    pub fn deterministic(self) -> Plan {
        Plan {
            tolerance: None,
            ..self
        }
    }

    /// Seconds that all of them take, for the time left: none when no metric of `figures` is wanted.
    pub fn seconds_for<T>(&self, figures: &[Figure<T>], recorder: &Recorder) -> f64 {
        let wanted = figures.iter().any(|figure| recorder.pending(figure.0));
        if wanted {
            self.blocks as f64 * self.seconds_each
        } else {
            0.0
        }
    }
}
