//! Blocks: fresh processes, one measurement, the check of its answers; again and again.
//!
//! A block whose answers were wrong gives no sample. One that the hypervisor disturbed is
//! repeated while the time lasts; its samples count only when there are too few others.

use std::time::{Duration, Instant};

use anyhow::bail;
use serde_json::{Value as Json, json};

use super::super::context::Context;
use super::super::recorder::{Note, Recorder, ends_the_run};
use super::seconds_if_wanted;
use crate::interrupt;

/// Blocks without a sample after which it is no use to go on, when there was none with one. Later
/// ones are a disturbance that passes, or end with the time.
const VOIDS_AT_FIRST: usize = 5;

/// How many blocks there are to be.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What progress calls them.
    pub label: &'static str,
    /// Undisturbed blocks to come to.
    pub blocks: usize,
    /// Seconds that one takes, about.
    pub seconds_each: f64,
    /// Seconds after which no block is begun any more. Never fewer blocks than one.
    pub seconds_at_most: f64,
}

impl Plan {
    /// A plan that leaves a third of its time for blocks that have to be repeated.
    pub fn new(label: &'static str, blocks: usize, seconds_each: f64) -> Plan {
        Plan {
            label,
            blocks,
            seconds_each,
            seconds_at_most: blocks as f64 * seconds_each * 4.0 / 3.0,
        }
    }

    /// Seconds that all of them take, for the time left: none when none of `metrics` is wanted.
    pub fn seconds_for(&self, metrics: &[&str], recorder: &Recorder) -> f64 {
        seconds_if_wanted(metrics, recorder, self.blocks as f64 * self.seconds_each)
    }
}

/// What came of one block.
#[derive(Debug)]
pub enum Block {
    /// A value for each metric, and raw data to keep with them.
    Measured {
        /// Metric and value in its base unit.
        samples: Vec<(&'static str, f64)>,
        /// What the tools told.
        raw: Json,
    },
    /// Nothing may be counted, for this reason.
    Void(String),
}

/// Makes blocks with `measure`, which gets their number, and reports what `metrics` gain by them.
///
/// # Errors
/// The error of a block ends the blocks and becomes the outcome of all `metrics`: a value of
/// the blocks before it would hide that it happened. Only an interruption, and a recorder that
/// cannot save, are errors here.
pub fn run(
    context: &Context<'_>,
    recorder: &mut Recorder,
    metrics: &[&'static str],
    plan: &Plan,
    measure: &mut dyn FnMut(usize) -> anyhow::Result<Block>,
) -> anyhow::Result<()> {
    let wanted: Vec<&'static str> = metrics
        .iter()
        .copied()
        .filter(|metric| recorder.pending(metric))
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let mut blocks = Blocks {
        recorder,
        wanted,
        raw: Vec::new(),
        clean: 0,
        voids: 0,
        disturbed: Vec::new(),
    };
    let Err(error) = blocks.run(context, plan, measure) else {
        return Ok(());
    };
    if ends_the_run(&error) {
        return Err(error);
    }
    let names = blocks.wanted.join("`, `");
    let line = format!("warning: `{names}` could not be measured: {error:#}");
    context.progress.line(&line);
    for metric in &blocks.wanted {
        blocks.recorder.fail(metric, &error)?;
    }
    Ok(())
}

struct Blocks<'a> {
    recorder: &'a mut Recorder,
    wanted: Vec<&'static str>,
    /// Raw data of all blocks, disturbed and void ones included.
    raw: Vec<Json>,
    /// Blocks that gave samples and were not disturbed.
    clean: usize,
    /// Samples of the blocks that were.
    disturbed: Vec<Vec<(&'static str, f64)>>,
    /// Blocks without samples.
    voids: usize,
}

impl Blocks<'_> {
    fn run(
        &mut self,
        context: &Context<'_>,
        plan: &Plan,
        measure: &mut dyn FnMut(usize) -> anyhow::Result<Block>,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        let limit = Duration::from_secs_f64(plan.seconds_at_most);
        let mut number = 0;
        while self.clean < plan.blocks && (number == 0 || started.elapsed() < limit) {
            interrupt::check()?;
            let label = format!(
                "{}, block {} of {}",
                plan.label,
                self.clean + 1,
                plan.blocks
            );
            let step = context.progress.step(&label, plan.seconds_each);
            let watch = context.watch();
            let block = measure(number)?;
            let pressure = watch.finish();
            drop(step);
            number += 1;
            if let Block::Void(why) = &block {
                let line = format!("warning: a block does not count: {why}");
                context.progress.line(&line);
            }
            self.take(block, pressure.noisy(), &json!(pressure))?;
        }
        self.finish(plan)
    }

    fn take(&mut self, block: Block, disturbed: bool, pressure: &Json) -> anyhow::Result<()> {
        match block {
            Block::Void(why) => {
                self.raw.push(json!({ "void": why, "pressure": pressure }));
                for metric in &self.wanted {
                    self.recorder.void(metric, &why)?;
                }
                self.keep_raw()?;
                self.voids += 1;
                if self.voids >= VOIDS_AT_FIRST && self.clean + self.disturbed.len() == 0 {
                    bail!("none of {VOIDS_AT_FIRST} blocks counts, the last: {why}");
                }
            }
            Block::Measured { samples, raw } => {
                let raw = json!({ "raw": raw, "disturbed": disturbed, "pressure": pressure });
                self.raw.push(raw);
                self.keep_raw()?;
                if disturbed {
                    self.disturbed.push(samples);
                } else {
                    self.clean += 1;
                    self.record(&samples)?;
                }
            }
        }
        Ok(())
    }

    /// Decides about the disturbed blocks: they count when there are too few others. Fewer than
    /// half of the blocks that were planned are few, whatever became of the rest.
    fn finish(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let disturbed = std::mem::take(&mut self.disturbed);
        let few = self.clean * 2 <= plan.blocks;
        if !few || (disturbed.is_empty() && self.voids == 0) {
            return Ok(());
        }
        for samples in &disturbed {
            self.record(samples)?;
        }
        for metric in &self.wanted {
            self.recorder.note(metric, Note::Noisy)?;
        }
        Ok(())
    }

    fn record(&mut self, samples: &[(&'static str, f64)]) -> anyhow::Result<()> {
        for (metric, value) in samples {
            if self.wanted.contains(metric) {
                self.recorder.sample(metric, *value)?;
            }
        }
        Ok(())
    }

    /// Raw data is kept once, with the first of the metrics that share it.
    fn keep_raw(&mut self) -> anyhow::Result<()> {
        let Some(first) = self.wanted.first() else {
            return Ok(());
        };
        self.recorder
            .detail(first, "blocks", Json::Array(self.raw.clone()))?;
        for metric in &self.wanted[1..] {
            self.recorder
                .detail(metric, "blocks", json!(format!("see {first}")))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
