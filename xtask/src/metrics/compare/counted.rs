//! Metrics that do not vary from block to block: the size of each program, and with valgrind the
//! instructions of one policy evaluation in each.

use super::session::LABELS;
use super::sides::{Side, Sides};
use crate::interrupt;
use crate::metrics::catalog::{BINARY_SIZE, INSTRUCTIONS_POLICY_EVAL, Metric};
use crate::metrics::judge::paired::{BASE, HEAD};
use crate::metrics::model::{Run, Sample, State, Value};
use crate::progress::Progress;
use crate::tools::criterion::{Benchmark, Instructions};
use crate::tools::valgrind::Valgrind;

/// Counts of each program: they differ a little, since each process seeds its hash tables anew.
const REPEATS: usize = 3;
// For the progress line only.
const SECONDS_EACH: f64 = 8.0;

/// The benchmarks of both programs, built, and valgrind, which counts their instructions.
pub struct Benchmarks {
    valgrind: Valgrind,
    of: [(&'static str, Benchmark); 2],
}

impl Benchmarks {
    /// Builds them below `place`.
    ///
    /// # Errors
    /// A machine without valgrind, or a program without source.
    pub fn build(
        sides: [&Side; 2],
        (workspace, place): (&std::path::Path, &std::path::Path),
        progress: &Progress,
    ) -> anyhow::Result<Benchmarks> {
        // Before the builds, which take minutes and are of no use without it.
        let valgrind = Valgrind::find()?;
        let [base, head] = sides;
        let build = |label: &'static str, side: &Side| {
            let _step = progress.step(&format!("building the benchmark of {label}"), 0.0);
            anyhow::Ok((label, side.benchmark(workspace, place)?))
        };
        Ok(Benchmarks {
            valgrind,
            of: [build(BASE, base)?, build(HEAD, head)?],
        })
    }

    /// Counts the instructions, and adds the figures to `run`.
    pub fn count(&self, run: &mut Run, progress: &Progress) -> anyhow::Result<()> {
        let version = self.valgrind.version.clone();
        run.tools.insert("valgrind".to_owned(), version);
        for block in 0..REPEATS {
            for (label, benchmark) in &self.of {
                interrupt::check()?;
                let _step = progress.step(&format!("instructions of {label}"), SECONDS_EACH);
                let counted = benchmark.instructions(&self.valgrind)?;
                let value = Value::Float(counted.each());
                run.samples.push(Sample {
                    block,
                    n: Some(Instructions::EVALUATIONS),
                    ..sample(label, &INSTRUCTIONS_POLICY_EVAL, value)
                });
            }
        }
        Ok(())
    }
}

pub fn lengths(run: &mut Run, sides: &Sides) {
    for (label, length) in LABELS.into_iter().zip(sides.lengths()) {
        let value = Value::Integer(length);
        run.samples.push(sample(label, &BINARY_SIZE, value));
    }
}

fn sample(label: &str, metric: &Metric, value: Value) -> Sample {
    Sample {
        session: 0,
        block: 0,
        arm: label.to_owned(),
        order: 0,
        metric: metric.name.to_owned(),
        value: Some(value),
        n: Some(1),
        started: None,
        steal: None,
        others: None,
        psi: None,
        state: State::Counted,
        reason: None,
    }
}
