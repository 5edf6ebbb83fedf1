//! The verdict on one metric of a comparison, with its figures, and the labels of the programs.
//!
//! Deliberately absent: how a verdict follows from the figures.

use crate::metrics::catalog::Metric;
use crate::metrics::judge::verdict::Verdict;

/// The label of the base in the tables.
pub const BASE: &str = "base";
/// A second process of the base: a difference between the two is chance, or a fault of the measurement.
pub const CONTROL: &str = "control";
/// The program that is judged.
pub const HEAD: &str = "head";

/// The verdict on one metric, with its figures. Effects are shares (0.1 is 10 % worse), or points where
/// the metric's threshold is in points.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub metric: &'static Metric,
    pub verdict: Verdict,
    /// The reason, if the figures alone do not explain the verdict.
    pub reason: Option<String>,
    /// The median over the blocks of the base.
    pub base: f64,
    /// The median over the blocks of the head.
    pub head: f64,
    /// The change for the worse, from the base to the head.
    pub effect: f64,
    /// The test behind the verdict; none for a metric that needs no test.
    pub test: Option<Test>,
}

/// The figures of a test.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// 95 % interval of the effect.
    pub interval: [f64; 2],
    /// Number of blocks with a value of both programs.
    pub blocks: usize,
    /// One-sided p for worse, of the signed rank test, times the number of looks.
    pub p: f64,
    /// The same, adjusted over the family by Holm.
    pub p_holm: f64,
    /// The same, by Benjamini and Hochberg.
    pub p_bh: f64,
    /// One-sided p for worse, of the sign-flip test: a second opinion.
    pub p_flip: f64,
    /// One-sided p for better, adjusted by Holm.
    pub p_better: f64,
    /// Whether there was a control.
    pub has_control: bool,
    /// The effect of the control.
    pub control: f64,
    /// Two-sided p of the control, adjusted by Holm.
    pub control_p: f64,
    /// The smallest effect that is reported.
    pub floor: f64,
    /// The smallest effect that these blocks find in four of five sessions.
    pub detectable: f64,
    /// Blocks that find a change as large as an alert takes, with this spread.
    pub blocks_needed: f64,
}
