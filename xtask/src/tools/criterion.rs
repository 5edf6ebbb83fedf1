//! The policy benchmark: runs it for single evaluations, reads the percentiles that it prints.
//!
//! Criterion's own samples are means of batches, from which no percentile of evaluations can be
//! had; so the benchmark times each evaluation when asked with `--percentiles`. Knows nothing of
//! metrics.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::process::Launch;

/// With a cold build of the benchmark.
const DEADLINE: Duration = Duration::from_secs(900);

/// What the benchmark prints.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Percentiles {
    /// Median cost of reading the clock twice, in ns: part of every figure.
    pub timer_ns_p50: f64,
    /// One entry a case.
    pub cases: Vec<Case>,
    /// All that was printed.
    #[serde(skip)]
    pub raw: serde_json::Value,
}

/// One case of the benchmark.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Case {
    /// How many policies were loaded.
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
    /// The case with these properties.
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
            format!("the benchmark has no case {policies}/{kind}/{state}/{engine}")
        })
    }
}

/// Builds the benchmark, which may take minutes and must not run while something is measured.
pub fn build(workspace: &Path) -> anyhow::Result<()> {
    let command = Launch::new(env!("CARGO")).args([
        "bench",
        "--quiet",
        "--locked",
        "--package",
        "benches",
        "--bench",
        "policy_eval",
        "--no-run",
    ]);
    command
        .directory(workspace)
        .pass_stderr()
        .run(DEADLINE)?
        .success()?;
    Ok(())
}

/// Runs it once.
pub fn percentiles(workspace: &Path) -> anyhow::Result<Percentiles> {
    let command = Launch::new(env!("CARGO")).args([
        "bench",
        "--quiet",
        "--locked",
        "--package",
        "benches",
        "--bench",
        "policy_eval",
        "--",
        "--percentiles",
    ]);
    let output = command.directory(workspace).run(DEADLINE)?.success()?;
    parse(&output.stdout.text())
}

fn parse(text: &str) -> anyhow::Result<Percentiles> {
    let mut percentiles: Percentiles = serde_json::from_str(text.trim())
        .context("failed to parse the output of the policy benchmark")?;
    percentiles.raw = serde_json::from_str(text.trim())?;
    ensure!(
        !percentiles.cases.is_empty(),
        "the policy benchmark printed no case"
    );
    Ok(percentiles)
}
