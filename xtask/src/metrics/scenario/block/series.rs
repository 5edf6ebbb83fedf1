//! The loop over the blocks of one scenario, and the decision which of them count.

use std::time::{Duration, Instant};

use anyhow::bail;

use super::outcome::{Block, Figure, Measured};
use super::plan::Plan;
use crate::interrupt;
use crate::metrics::catalog::Metric;
use crate::metrics::context::Context;
use crate::metrics::recorder::{At, Missing, Note, Reading, Recorder, Taken};

/// Void blocks after which a scenario gives up, as long as no block was measured: something is broken.
/// After a measured block they are repeated until the time is up, since a disturbance passes: a compiler
/// that runs for twenty seconds is enough to make three blocks void in a row.
pub(super) const VOIDS_AT_FIRST: usize = 5;

pub(super) struct Series<'a, T> {
    pub(super) recorder: &'a mut Recorder,
    pub(super) arm: &'a str,
    pub(super) figures: Vec<Figure<T>>,
    pub(super) metrics: Vec<&'static Metric>,
    /// Results of the undisturbed blocks.
    pub(super) counted: Vec<T>,
    /// Results of the disturbed blocks.
    pub(super) noisy: Vec<T>,
    /// Number of void blocks.
    pub(super) voids: usize,
    /// The last reason, by metric, why it could not be read.
    pub(super) missing: Vec<(&'static Metric, Missing)>,
}

/// The progress line of block `number`; `counted` of the earlier blocks were undisturbed.
fn label(plan: &Plan, number: usize, counted: usize) -> String {
    let (name, blocks) = (plan.label, plan.blocks);
    let place = number + 1;
    if counted == number {
        format!("{name}, block {place} of {blocks}")
    } else {
        format!("{name}, block {place} ({counted} of {blocks} undisturbed so far)")
    }
}

impl<T> Series<'_, T> {
    pub(super) fn run(
        &mut self,
        context: &Context<'_>,
        plan: &Plan,
        measure: &mut dyn FnMut(usize) -> anyhow::Result<Block<T>>,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        let limit = Duration::from_secs_f64(plan.seconds_at_most);
        let mut number = 0;
        // The first block is made whatever the limit is: no data would be an error.
        while self.counted.len() < plan.blocks && (number == 0 || started.elapsed() < limit) {
            interrupt::check()?;
            let label = label(plan, number, self.counted.len());
            let step = context.progress.step(&label, plan.seconds_each);
            // After the progress step and right before the block, so that only the block is watched.
            let watch = context.watch(None);
            let started_ms = watch.started_ms;
            let block = measure(number)?;
            // Before anything is saved: writing the file is no disturbance of the block.
            let pressure = watch.finish();
            drop(step);
            let at = At {
                scenario: plan.label,
                block: number,
                arm: self.arm,
                started_ms,
                pressure,
            };
            match block {
                Block::Void(why) => {
                    let line = format!("warning: a block is not counted: {why}");
                    context.progress.line(&line);
                    self.void(&at, &why)?;
                }
                Block::Measured(measured) => {
                    let noise = plan
                        .tolerance
                        .and_then(|tolerance| pressure.noise(tolerance).or(measured.noise.clone()));
                    self.take(&at, measured, noise)?;
                }
            }
            number += 1;
        }
        self.finish(plan)
    }

    fn void(&mut self, at: &At<'_>, why: &str) -> anyhow::Result<()> {
        self.recorder
            .block(at, Taken::Void(self.metrics.clone(), why.to_owned()))?;
        self.voids += 1;
        if self.voids >= VOIDS_AT_FIRST && self.counted.len() + self.noisy.len() == 0 {
            bail!("none of {VOIDS_AT_FIRST} blocks has a value; last reason: {why}");
        }
        Ok(())
    }

    pub(super) fn take(
        &mut self,
        at: &At<'_>,
        measured: Measured<T>,
        noise: Option<String>,
    ) -> anyhow::Result<()> {
        // Figures are read from noisy blocks too, since they may have to count in the end.
        let (readings, is_noisy) = (self.read(&measured.figures), noise.is_some());
        let taken = Taken::Measured {
            readings,
            noise,
            distributions: measured.distributions,
            raw: measured.raw,
        };
        // The row is saved before its figures are used: a killed run keeps the block.
        self.recorder.block(at, taken)?;
        if is_noisy {
            self.noisy.push(measured.figures);
        } else {
            self.counted.push(measured.figures);
        }
        Ok(())
    }

    fn read(&mut self, figures: &T) -> Vec<(&'static Metric, Reading)> {
        let mut readings = Vec::new();
        for (metric, read) in &self.figures {
            let reading = read(figures);
            if let Err(missing) = &reading {
                // Only the last one is kept: its hint goes with the last reason, which is reported.
                self.missing.retain(|other| other.0 != *metric);
                self.missing.push((metric, missing.clone()));
            }
            readings.push((*metric, reading));
        }
        readings
    }

    /// Lets the disturbed blocks count when no more than half of the planned blocks were undisturbed,
    /// whatever became of the rest, and marks their metrics as noisy. Then gives up on the metrics that
    /// no block could read.
    pub(super) fn finish(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let few = self.counted.len() * 2 <= plan.blocks;
        if few && (!self.noisy.is_empty() || self.voids > 0) {
            self.recorder.count_noisy(&self.metrics)?;
            self.counted.append(&mut self.noisy);
            for metric in &self.metrics {
                // A metric without any value gets no note: there is nothing to doubt.
                if !self.recorder.pending(metric) {
                    self.recorder.note(metric, Note::Noisy)?;
                }
            }
        }
        for metric in &self.metrics {
            if self.recorder.pending(metric) {
                let mut missing = self.missing.iter();
                let missing = missing.find(|missing| missing.0 == *metric);
                self.recorder
                    .give_up(metric, missing.and_then(|(_, missing)| missing.hint))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_its_number_whatever_became_of_those_before() {
        let plan = Plan::new("latency", 2, 1.0);
        assert_eq!(label(&plan, 1, 1), "latency, block 2 of 2");
        let disturbed = label(&plan, 2, 1);
        assert_eq!(disturbed, "latency, block 3 (1 of 2 undisturbed so far)");
    }
}
