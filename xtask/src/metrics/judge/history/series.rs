//! The values of one metric in the jobs of a branch, and the verdict on the last of them.
//!
//! Deliberately absent: how the verdict follows from the values.

use crate::metrics::catalog::Metric;
use crate::metrics::judge::verdict::Verdict;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    /// Student's, of one value against the history.
    Student,
    /// Welch's, of the latest jobs against those before them.
    Welch,
    /// Permutation test of the same values: assumes nothing of their distribution.
    Permutation,
}

/// The values of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub metric: &'static Metric,
    /// Values of the baseline, the oldest first.
    pub baseline: Vec<f64>,
    /// Values of the jobs since, the judged one last.
    pub latest: Vec<f64>,
    /// Of the jobs between the two that are no part of the baseline, since they are a regression that still
    /// lasts.
    pub held: Vec<f64>,
    /// The commits of all of these, those of the baseline first; none where a commit is not known.
    pub commits: Vec<Option<String>>,
}

/// The verdict on one metric, with its figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub metric: &'static Metric,
    pub verdict: Verdict,
    /// The reason, if the figures alone do not explain the verdict.
    pub reason: Option<String>,
    /// Mean of the baseline; none below three jobs. Of an exact metric the value of the job before.
    pub mean: Option<f64>,
    /// Standard deviation of the baseline, relative to the mean.
    pub spread: Option<f64>,
    pub value: f64,
    /// The change for the worse: a share, or points.
    pub effect: f64,
    /// Number of jobs in the baseline.
    pub jobs: usize,
    /// Number of outliers that were moved, see [`winsorised`](crate::metrics::stats::robust::winsorised).
    pub moved: usize,
    /// One-sided p for worse: raw, adjusted by Holm, and by Benjamini and Hochberg. None without a test.
    pub p: Option<[f64; 3]>,
    /// The commit with which it became worse, of an alert or a block; none where that is not known.
    pub since: Option<String>,
}
