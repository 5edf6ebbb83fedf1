//! The words that a comparison ends with, the same for all kinds of comparison.

use serde::{Deserialize, Serialize};

use crate::metrics::catalog::threshold::Thresholds;

/// What is said of one metric; of a whole comparison the greatest of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// Not worse by as much as an alert takes.
    Pass,
    /// Perhaps worse: too little, or too uncertain, to be said.
    Suspect,
    /// Could not be told. Never a pass.
    Inconclusive,
    /// Worse, by less than an alert takes.
    Notice,
    /// Worse by as much as deserves a look.
    Alert,
    /// Worse by as much as ends the build.
    Block,
}

impl Verdict {
    /// The word in reports.
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

    /// What a change comes to that needs no test.
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

    /// Whether it says that something became worse.
    pub fn is_regression(self) -> bool {
        self >= Verdict::Notice
    }
}
