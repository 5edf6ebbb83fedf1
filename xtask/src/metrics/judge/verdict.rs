//! The verdicts of all kinds of comparison.

use serde::{Deserialize, Serialize};

use crate::metrics::catalog::threshold::Thresholds;

/// The verdict on one metric, in ascending order; that on a comparison is the greatest of its metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// Not worse by as much as the threshold of an alert.
    Pass,
    /// Perhaps worse, but by too little or with too much uncertainty for a notice.
    Suspect,
    /// Could not be decided. Never a pass.
    Inconclusive,
    /// Worse, by less than the threshold of an alert.
    Notice,
    /// Worse by the threshold of an alert or more.
    Alert,
    /// Worse by so much that the build fails.
    Block,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Pass => "PASS",
            Verdict::Suspect => "SUSPECT",
            Verdict::Inconclusive => "INCONCLUSIVE",
            Verdict::Notice => "NOTICE",
            Verdict::Alert => "ALERT",
            Verdict::Block => "BLOCK",
        }
    }

    /// The verdict on a change that needs no test.
    pub fn of_exact(effect: f64, thresholds: &Thresholds) -> Verdict {
        if effect >= thresholds.block {
            Verdict::Block
        } else if effect >= thresholds.alert {
            Verdict::Alert
        } else if thresholds.notice.is_some_and(|notice| effect >= notice) {
            Verdict::Notice
        } else {
            Verdict::Pass
        }
    }

    /// Whether it is a regression: NOTICE or worse.
    pub fn is_regression(self) -> bool {
        self >= Verdict::Notice
    }
}
