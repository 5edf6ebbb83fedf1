//! Reads the summary that the scripts of `xtask/k6` write. Independent of k6's own summary formats.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

/// Version of the format that the scripts write.
const FORMAT: u32 = 1;
/// Prefix of k6's names of percentiles, such as `p(99.9)`.
const PERCENTILE: &str = "p(";

/// Result of one run of a script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    format: u32,
    /// Wall-clock time just before the first call, in milliseconds since 1970.
    pub started_ms: f64,
    /// Calls sent, those of the warm-up included.
    pub requests: u64,
    /// Calls that were due and not sent, because no VU was free.
    pub dropped: u64,
    pub wrong: Wrong,
    /// Calls by tag, such as `http_reqs{phase:measured}`.
    pub counts: BTreeMap<String, u64>,
    /// Times in milliseconds by metric and tag, such as `http_req_duration{slice:3}`.
    pub trends_ms: BTreeMap<String, Trend>,
    /// The first wrong answer, as the script printed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complaint: Option<String>,
}

/// Numbers of calls without a correct answer, by the first thing that was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrong {
    /// No answer at all.
    pub connection: u64,
    /// A status other than 200.
    pub status: u64,
    /// A body that is not the JSON-RPC result of the request.
    pub body: u64,
}

/// A distribution of times in milliseconds, as statistics by the names that k6 gives them: `count`,
/// `med`, `p(99.9)` for each percentile that the script asks for, and so on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Trend {
    statistics: BTreeMap<String, f64>,
}

impl Trend {
    /// Number of times in the distribution.
    pub fn count(&self) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count"
        )]
        self.statistics
            .get("count")
            .map_or(0, |count| *count as u64)
    }

    pub fn median(&self) -> anyhow::Result<f64> {
        let median = self.statistics.get("med").copied();
        median.context("k6 reported no median (`med`), which its summary should have")
    }

    /// All times, ascending. The script asks k6 for as many percentiles as there are times; since k6
    /// interpolates linearly, each percentile then is one of the times.
    pub fn times(&self) -> anyhow::Result<Vec<f64>> {
        let percentiles = self.statistics.iter().filter_map(|(name, ms)| {
            let percentile = name.strip_prefix(PERCENTILE)?.strip_suffix(')')?;
            Some((percentile.parse::<f64>().ok()?, *ms))
        });
        let mut times: Vec<(f64, f64)> = percentiles.collect();
        times.sort_by(|left, right| left.0.total_cmp(&right.0));
        ensure!(
            times.len() as u64 == self.count(),
            "k6 reported {} percentiles for {} times, expected one for each",
            times.len(),
            self.count()
        );
        Ok(times.into_iter().map(|(_, ms)| ms).collect())
    }

    /// Without the percentiles.
    fn without_times(&self) -> Trend {
        let mut statistics = self.statistics.clone();
        statistics.retain(|name, _| !name.starts_with(PERCENTILE));
        Trend { statistics }
    }
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

    /// Why nothing of this run may be counted; none when every call was sent and answered correctly.
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
            // A run that sent nothing has no wrong answer either.
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

    /// A copy without percentiles: small enough to keep.
    pub fn without_times(&self) -> Summary {
        let trends = self.trends_ms.iter();
        Summary {
            trends_ms: trends
                .map(|(name, trend)| (name.clone(), trend.without_times()))
                .collect(),
            ..self.clone()
        }
    }

    /// The distribution of a metric and tag, such as `http_req_duration{slice:3}`.
    pub fn trend(&self, name: &str) -> anyhow::Result<&Trend> {
        self.trends_ms
            .get(name)
            .with_context(|| format!("k6 reported no `{name}`, which its summary should have"))
    }

    /// The count of a metric and tag, such as `http_reqs{arm:P}`.
    pub fn count(&self, name: &str) -> anyhow::Result<u64> {
        self.counts
            .get(name)
            .copied()
            .with_context(|| format!("k6 reported no `{name}`, which its summary should have"))
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// The fault in a captured summary, with the complaint that came with it.
    fn check(text: &str, complaint: Option<&str>, expected: &Expect) {
        let mut summary = Summary::parse(text).unwrap();
        summary.complaint = complaint.map(str::to_owned);
        expected.assert_eq(&summary.fault().unwrap_or_else(|| "none".to_owned()));
    }

    #[test]
    fn faults_are_told_in_words() {
        let read = |text, expected: Expect| check(text, None, &expected);
        read(
            include_str!("../../../test_data/k6/success.json"),
            expect!["none"],
        );
        read(
            include_str!("../../../test_data/k6/throughput.json"),
            expect!["none"],
        );
        read(
            include_str!("../../../test_data/k6/dropped.json"),
            expect!["of 121 calls, 91 not sent because all VUs were waiting"],
        );
        read(
            include_str!("../../../test_data/k6/status.json"),
            expect!["of 2435 calls, 608 with a status other than 200"],
        );
        read(
            include_str!("../../../test_data/k6/refused.json"),
            expect!["of 3899 calls, 3899 without an answer"],
        );
        check(
            include_str!("../../../test_data/k6/body.json"),
            Some("not the result of request 7: {}"),
            &expect![
                "of 2350 calls, 2350 with a wrong body; the first: not the result of request 7: {}"
            ],
        );
    }

    #[test]
    fn times_and_counts_are_found_by_name() {
        let summary = Summary::parse(include_str!("../../../test_data/k6/success.json")).unwrap();
        let slice = summary.trend("http_req_duration{slice:3}").unwrap();
        assert_eq!((slice.count(), slice.median().unwrap()), (40, 2.891_479_5));
        assert_eq!(summary.count("http_reqs{arm:P}").unwrap(), 80);
        let error = summary.trend("http_req_duration{slice:4}").unwrap_err();
        expect!["k6 reported no `http_req_duration{slice:4}`, which its summary should have"]
            .assert_eq(&error.to_string());
    }

    #[test]
    fn all_times_are_found_when_k6_was_asked_for_as_many_percentiles() {
        let read = |text: &str| serde_json::from_str::<Trend>(text).unwrap();
        let trend = read(r#"{"count":3,"med":2,"max":9,"p(100)":9,"p(50)":2,"p(0)":1.5}"#);
        assert_eq!(trend.times().unwrap(), [1.5, 2.0, 9.0]);
        assert_eq!(
            trend.without_times(),
            read(r#"{"count":3,"med":2,"max":9}"#)
        );
        let error = read(r#"{"count":4,"p(99)":1}"#).times().unwrap_err();
        assert_eq!(
            error.to_string(),
            "k6 reported 1 percentiles for 4 times, expected one for each"
        );
        let nothing = read(r#"{"p(x)":1}"#);
        assert_eq!((nothing.count(), nothing.times().unwrap()), (0, vec![]));
        assert!(nothing.median().is_err());
    }

    #[test]
    fn what_is_no_summary_of_ours_is_refused() {
        let read = |text: &str| format!("{:#}", Summary::parse(text).unwrap_err());
        let success = include_str!("../../../test_data/k6/success.json");
        expect!["failed to read the summary of k6: format 2 instead of 1"]
            .assert_eq(&read(&success.replace("\"format\": 1", "\"format\": 2")));
        expect![
            "failed to read the summary of k6: EOF while parsing an object at line 13 column 20"
        ]
        .assert_eq(&read(&success[..200]));
        expect!["failed to read the summary of k6: EOF while parsing a value at line 1 column 0"]
            .assert_eq(&read(""));
    }

    #[test]
    fn a_run_without_a_call_is_a_fault() {
        let text = include_str!("../../../test_data/k6/success.json");
        let text = text.replace("\"requests\": 200", "\"requests\": 0");
        check(&text, None, &expect!["k6 sent no call"]);
    }
}
