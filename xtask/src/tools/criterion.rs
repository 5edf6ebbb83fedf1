//! The policy benchmark: runs it, and reads the percentiles of single evaluations that it prints.
//!
//! Criterion's own samples are means of batches, from which no percentile of single evaluations can
//! be computed; with `--percentiles` the benchmark times each evaluation. Knows nothing of metrics.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use super::cargo;
use super::process::Launch;
use super::valgrind::Valgrind;

const BENCHMARK: &str = "policy_eval";
/// Time limit of a run, which takes some seconds.
const DEADLINE: Duration = Duration::from_secs(180);

/// Percentiles of single policy evaluations, as the benchmark prints them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Percentiles {
    /// Median cost of reading the clock twice, in ns: part of every figure.
    pub timer_ns_p50: f64,
    pub cases: Vec<Case>,
    /// The output as it was printed.
    #[serde(skip)]
    pub raw: serde_json::Value,
}

/// One case of the benchmark.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Case {
    /// Number of loaded policies.
    pub policies: u64,
    /// `context_free` or `context_reading`.
    pub kind: String,
    /// `cached` or `cold`.
    pub state: String,
    /// `thoughtgate` or `naive`.
    pub engine: String,
    /// Evaluations timed.
    pub evaluations: u64,
    /// Median, in ns.
    pub p50_ns: f64,
    /// 99th percentile, in ns.
    pub p99_ns: f64,
}

impl Percentiles {
    pub fn case(
        &self,
        policies: u64,
        kind: &str,
        state: &str,
        engine: &str,
    ) -> anyhow::Result<&Case> {
        let wanted = |case: &&Case| {
            case.policies == policies
                && case.kind == kind
                && case.state == state
                && case.engine == engine
        };
        self.cases.iter().find(wanted).with_context(|| {
            format!("the policy benchmark printed no case {policies}/{kind}/{state}/{engine}")
        })
    }
}

/// The built executable of the benchmark.
#[derive(Debug)]
pub struct Benchmark {
    executable: PathBuf,
    workspace: PathBuf,
}

impl Benchmark {
    /// Builds it, which may take minutes and must not run while something is measured.
    pub fn build(workspace: &Path) -> anyhow::Result<Benchmark> {
        Ok(Benchmark {
            executable: cargo::build_benchmark(workspace, BENCHMARK)?,
            workspace: workspace.to_path_buf(),
        })
    }

    /// Builds the benchmark of `checkout` in a directory of its own, `target`.
    pub fn build_apart(checkout: &Path, target: &Path) -> anyhow::Result<Benchmark> {
        Ok(Benchmark {
            executable: cargo::build_comparable_benchmark(checkout, target, BENCHMARK)?,
            workspace: checkout.to_path_buf(),
        })
    }

    /// Times single evaluations, once.
    pub fn percentiles(&self) -> anyhow::Result<Percentiles> {
        let command = Launch::bare(&self.executable).args(["--bench", "--percentiles", "--quoted"]);
        let output = command
            .directory(&self.workspace)
            .run(DEADLINE)?
            .success()?;
        parse(&output.stdout.text())
    }

    /// Counts the instructions of two processes that differ only in the number of evaluations: the cost
    /// of starting and loading is in both, and cancels out in their difference.
    pub fn instructions(&self, valgrind: &Valgrind) -> anyhow::Result<Instructions> {
        let count = |evaluations: u64| {
            let arguments = ["--bench", "--evaluations", &evaluations.to_string()];
            valgrind.instructions(&self.executable, &arguments, &self.workspace)
        };
        Ok(Instructions {
            few: count(Instructions::FEW)?,
            many: count(Instructions::MANY)?,
        })
    }
}

/// The instructions of a process that makes a few evaluations, and of one that makes many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Instructions {
    /// With [`Instructions::FEW`] evaluations.
    pub few: u64,
    /// With [`Instructions::MANY`] evaluations.
    pub many: u64,
}

impl Instructions {
    // Each of the 1024 calls that the benchmark cycles through, once.
    const FEW: u64 = 1024;
    /// Like `FEW` a multiple of the number of calls that the benchmark cycles through, so that each is
    /// evaluated equally often.
    const MANY: u64 = 5 * Instructions::FEW;
    /// Evaluations in the difference of the two, over which [`Instructions::each`] takes the mean.
    pub const EVALUATIONS: u64 = Instructions::MANY - Instructions::FEW;

    /// Mean number of instructions of one evaluation.
    pub fn each(self) -> f64 {
        self.many.saturating_sub(self.few) as f64 / Instructions::EVALUATIONS as f64
    }
}

fn parse(text: &str) -> anyhow::Result<Percentiles> {
    let mut percentiles: Percentiles = serde_json::from_str(text.trim())
        .context("the policy benchmark printed no result that can be parsed")?;
    // Parsed once more, so that fields that `Percentiles` lacks are kept, too.
    percentiles.raw = serde_json::from_str(text.trim())?;
    ensure!(
        !percentiles.cases.is_empty(),
        "the policy benchmark printed no case"
    );
    Ok(percentiles)
}
