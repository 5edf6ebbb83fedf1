//! The session of a comparison: blocks, each saved, until the verdicts are decided.

use std::path::{Path, PathBuf};

use anyhow::bail;

use super::block::{self, Block, FIGURES, Figures};
use super::order::ARMS;
use super::sides::Sides;
use crate::metrics::catalog::{LATENCY_P50, Metric};
use crate::metrics::host::{HostWatch, Pressure};
use crate::metrics::judge::paired::{self, BASE, CONTROL, HEAD, Judged};
use crate::metrics::model::{Distribution, Run, Sample, State, Value};
use crate::metrics::store;
use crate::progress::Progress;
use crate::tools::subject::Upstream;
use crate::{clock, interrupt};

/// The scenario's name in the run's header.
pub const SCENARIO: &str = "compare";
/// Numbers of blocks after which the samples are judged. Each look costs a share of the significance
/// level: four looks at the full level would double the rate of false alarms.
pub const LOOKS: [usize; 4] = [16, 24, 32, 40];
/// Those of a quick comparison.
pub const QUICK_LOOKS: [usize; 1] = [6];
/// Consecutive void blocks after which the comparison gives up: something is broken.
const VOIDS_AT_MOST: usize = 5;
// For the progress line only.
const SECONDS_EACH: f64 = 9.0;
/// The labels of the programs in the tables, in the order of the arms.
pub const LABELS: [&str; ARMS] = [BASE, CONTROL, HEAD];

/// A comparison in progress.
pub struct Session<'a> {
    /// The samples so far.
    pub run: Run,
    /// The file that it is saved to.
    pub path: PathBuf,
    /// The directory of the helper binaries.
    pub release_dir: &'a Path,
    pub sides: &'a Sides,
    pub progress: &'a Progress,
}

impl Session<'_> {
    /// Makes blocks until all verdicts are decided or the last look was taken. `number` identifies the
    /// session in the run; each session has random orders of its own.
    pub fn measure(&mut self, number: usize) -> anyhow::Result<Judged> {
        let looks = self.run.looks[SCENARIO].clone();
        let last = looks.last().copied().unwrap_or_default();
        self.progress.plan(last as f64 * SECONDS_EACH);
        let seed = self.run.seed.wrapping_add(number as u64);
        let (mut counted, mut block, mut voids) = (0, 0, 0);
        // Void blocks do not count: the looks are planned in blocks with values.
        while counted < last {
            interrupt::check()?;
            let label = format!("comparison, block {} of at most {last}", counted + 1);
            let step = self.progress.step(&label, SECONDS_EACH);
            let watch = HostWatch::start(None);
            let setups = |upstream: &Upstream| self.sides.setups(upstream);
            let measured = block::measure(self.release_dir, setups, (seed, block))?;
            let at = At {
                session: number,
                block,
                started: watch.started_ms,
                pressure: watch.finish(),
            };
            drop(step);
            match measured {
                Block::Measured(figures) => {
                    counted += 1;
                    voids = 0;
                    at.add(&mut self.run, &figures);
                }
                Block::Void(why) => {
                    voids += 1;
                    at.add_void(&mut self.run, &why);
                    self.progress
                        .line(&format!("warning: a block is not counted: {why}"));
                    // In a row: a disturbance that passes costs blocks and not the comparison.
                    if voids >= VOIDS_AT_MOST {
                        bail!("{voids} consecutive blocks are void; last reason: {why}");
                    }
                }
            }
            // The number goes on after a void block, so that its rows keep a number of their own.
            block += 1;
            // Before the look: a run that is killed in between keeps its samples.
            self.save()?;
            // After a void block the count is the same as before, and the look would be taken twice.
            if looks.contains(&counted) && voids == 0 {
                let judged = paired::judge(&self.run, number);
                if counted == last || judged.is_decided() {
                    return Ok(judged);
                }
            }
        }
        Ok(paired::judge(&self.run, number))
    }

    pub fn save(&mut self) -> anyhow::Result<()> {
        self.run.finished = clock::seconds();
        store::save(&self.path, &self.run.to_text())
    }
}

/// A block: its numbers, its time, and the disturbance meanwhile.
struct At {
    session: usize,
    block: usize,
    started: u64,
    pressure: Pressure,
}

impl At {
    fn add(&self, run: &mut Run, figures: &[Figures; ARMS]) {
        for (label, figures) in LABELS.into_iter().zip(figures) {
            for (metric, read) in FIGURES {
                let value = read(figures).map(Value::Float);
                let (state, reason) = match value {
                    Some(_) => (State::Counted, None),
                    None => (State::Unmeasured, Some("value not readable".to_owned())),
                };
                let n = Some(figures.times.count());
                run.samples.push(Sample {
                    value,
                    n,
                    reason,
                    order: figures.order,
                    ..self.row(label, metric, state)
                });
            }
            run.distributions.push(Distribution {
                session: self.session,
                block: self.block,
                arm: label.to_owned(),
                of: LATENCY_P50.category().to_owned(),
                buckets: figures.times.clone(),
            });
        }
    }

    fn add_void(&self, run: &mut Run, why: &str) {
        for (metric, _) in FIGURES {
            for label in LABELS {
                run.samples.push(Sample {
                    reason: Some(why.to_owned()),
                    ..self.row(label, metric, State::Void)
                });
            }
        }
    }

    fn row(&self, label: &str, metric: &Metric, state: State) -> Sample {
        Sample {
            session: self.session,
            block: self.block,
            arm: label.to_owned(),
            order: 0,
            metric: metric.name.to_owned(),
            value: None,
            n: None,
            started: Some(self.started),
            steal: self.pressure.steal_percent,
            others: self.pressure.others_percent,
            psi: self.pressure.waiting_percent,
            state,
            reason: None,
        }
    }
}
