//! Reads the summary that our own scripts write. Independent of the summary formats of k6.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

/// The format that the scripts write.
const FORMAT: u32 = 1;

/// What one run of a script has seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    format: u32,
    /// Wall-clock time just before the first call, in milliseconds since 1970.
    pub started_ms: f64,
    /// Calls sent, those of the warm-up included.
    pub requests: u64,
    /// Calls that were due and not sent, because no VU was free.
    pub dropped: u64,
    /// Answers that were not what they should be.
    pub wrong: Wrong,
    /// Calls by tag, such as `http_reqs{phase:measured}`.
    pub counts: BTreeMap<String, u64>,
    /// Times in milliseconds by metric and tag, such as `http_req_duration{slice:3}`.
    pub trends_ms: BTreeMap<String, Trend>,
    /// The first wrong answer in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complaint: Option<String>,
}

/// Answers that were not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrong {
    /// No answer at all.
    pub connection: u64,
    /// A status other than 200.
    pub status: u64,
    /// A body that is not the result of the very request.
    pub body: u64,
}

/// A distribution of times, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// How many times.
    pub count: u64,
    /// The shortest.
    pub min: f64,
    /// The mean.
    pub avg: f64,
    /// The median.
    #[serde(rename = "med")]
    pub p50: f64,
    /// The 90th percentile.
    #[serde(rename = "p(90)")]
    pub p90: f64,
    /// The 95th percentile.
    #[serde(rename = "p(95)")]
    pub p95: f64,
    /// The 99th percentile.
    #[serde(rename = "p(99)")]
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Summary {
    /// Reads the text of a summary.
    pub fn parse(text: &str) -> anyhow::Result<Summary> {
        let summary: Summary =
            serde_json::from_str(text).context("failed to read the summary of k6")?;
        ensure!(
            summary.format == FORMAT,
            "failed to read the summary of k6: format {} instead of {FORMAT}",
            summary.format
        );
        Ok(summary)
    }

    /// Why nothing of this run may be counted; none when every call was sent and answered well.
    pub fn fault(&self) -> Option<String> {
        let Wrong {
            connection,
            status,
            body,
        } = self.wrong;
        let mut faults = Vec::new();
        let mut add = |count: u64, what: &str| {
            if count > 0 {
                faults.push(format!("{count} {what}"));
            }
        };
        add(connection, "without an answer");
        add(status, "with a status other than 200");
        add(body, "with a wrong body");
        add(self.dropped, "not sent because all VUs were waiting");
        if faults.is_empty() {
            return (self.requests == 0).then(|| "k6 sent no call".to_owned());
        }
        let example = self
            .complaint
            .as_ref()
            .map(|text| format!("; the first: {text}"));
        Some(format!(
            "of {} calls, {}{}",
            self.requests + self.dropped,
            faults.join(", "),
            example.unwrap_or_default()
        ))
    }

    /// The distribution called `name`, metric and tag.
    pub fn trend(&self, name: &str) -> anyhow::Result<&Trend> {
        self.trends_ms
            .get(name)
            .with_context(|| format!("failed to find `{name}` in the summary of k6"))
    }

    /// The number of calls called `name`, metric and tag.
    pub fn count(&self, name: &str) -> anyhow::Result<u64> {
        self.counts
            .get(name)
            .copied()
            .with_context(|| format!("failed to find `{name}` in the summary of k6"))
    }
}
