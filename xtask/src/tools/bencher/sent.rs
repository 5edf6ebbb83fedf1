//! The result of sending a report: stored, with the values beyond a threshold, or the reason why not.
//!
//! Does not decide which, see `answer`.

/// Environment variable of the key.
pub(super) const KEY: &str = "BENCHER_API_KEY";
/// Environment variable of the older token.
pub(super) const TOKEN: &str = "BENCHER_API_TOKEN";

/// Result of sending a report.
#[derive(Debug, Clone, PartialEq)]
pub enum Sent {
    Stored {
        /// The values beyond a threshold.
        alerts: Vec<Alert>,
        /// The identifier of the report.
        report: String,
        /// An error of the CLI after the report was stored.
        complaint: Option<String>,
    },
    /// The report is not stored; with the reason in words.
    Failed(Failure, String),
}

/// A value beyond a threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The name of the metric.
    pub benchmark: String,
    /// `lower` or `upper`.
    pub limit: String,
}

impl std::fmt::Display for Alert {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} ({} limit)", self.benchmark, self.limit)
    }
}

/// The reason why a report is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The CLI is not installed.
    Missing,
    /// Bencher does not answer, or answers that it cannot at the moment.
    Outage,
    /// The key or token is not accepted.
    Credentials,
    /// The report is not accepted.
    Refused,
    /// The CLI succeeded, but printed no report.
    Nonsense,
    /// The CLI failed before it sent anything.
    Unsent,
}

impl Failure {
    pub fn describe(self) -> &'static str {
        match self {
            Failure::Missing => "the `bencher` CLI is not installed",
            Failure::Outage => "Bencher cannot be reached",
            Failure::Credentials => "Bencher does not accept the key",
            Failure::Refused => "Bencher refused the report",
            Failure::Nonsense => "Bencher returned an invalid report",
            Failure::Unsent => "the `bencher` CLI failed before it sent the report",
        }
    }
}
