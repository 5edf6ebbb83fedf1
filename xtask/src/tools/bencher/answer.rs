//! What an end of the `bencher` CLI means: it has one exit code for an alert, an outage, a refused key
//! and a failed comment.

use serde::Deserialize;

use super::{Failure, KEY, Sent, TOKEN};

/// The report of the CLI, as far as it is read.
#[derive(Deserialize)]
struct Stored {
    uuid: String,
    #[serde(default)]
    alerts: Vec<Alert>,
}

#[derive(Deserialize)]
struct Alert {
    benchmark: Named,
    limit: String,
    status: String,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// What an end of the CLI means.
pub(super) fn classify(code: Option<i32>, stdout: &str, stderr: &str) -> Sent {
    let said = last_words(stderr);
    match (code, serde_json::from_str::<Stored>(stdout)) {
        (Some(code @ (0 | 1)), Ok(stored)) => {
            let alerts = stored.alerts.into_iter();
            let active = alerts.filter(|alert| alert.status == "active");
            // 1 with a report: it counts alerts as an error, or a comment of its own failed.
            let is_alert = stderr.trim_start().starts_with("Alerts detected");
            Sent::Stored {
                alerts: active
                    .map(|alert| format!("{} ({} limit)", alert.benchmark.name, alert.limit))
                    .collect(),
                report: stored.uuid,
                complaint: (code == 1 && !is_alert).then_some(said),
            }
        }
        (Some(0), Err(error)) => Sent::Failed(Failure::Nonsense, error.to_string()),
        // 2: the command line itself, which is ours but for what the environment holds.
        (Some(2), _) if stderr.contains(KEY) || stderr.contains(TOKEN) || mentions_key(stderr) => {
            Sent::Failed(Failure::Credentials, said)
        }
        (Some(2), _) => Sent::Failed(Failure::Refused, said),
        (None, _) => Sent::Failed(Failure::Outage, "the CLI was killed".to_owned()),
        _ => Sent::Failed(failure(stderr), said),
    }
}

fn mentions_key(stderr: &str) -> bool {
    ["--key", "--token"]
        .iter()
        .any(|flag| stderr.contains(flag))
}

/// Why a report was not stored, by what the CLI printed.
fn failure(stderr: &str) -> Failure {
    let status = stderr.split("Status: ").nth(1);
    let status = status.and_then(|rest| rest.split_whitespace().next()?.parse::<u16>().ok());
    match status {
        Some(401 | 403) => Failure::Credentials,
        Some(400)
            if ["InvalidSignature", "ExpiredSignature", "InvalidToken"]
                .iter()
                .any(|fault| stderr.contains(fault)) =>
        {
            Failure::Credentials
        }
        // Asked to come back later.
        Some(429) | None => Failure::Outage,
        Some(status) if status >= 500 => Failure::Outage,
        Some(_) => Failure::Refused,
    }
}

/// The first lines of an error, in one: the last ones are advice.
fn last_words(stderr: &str) -> String {
    let lines = stderr.lines().map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).take(4).collect();
    let text = lines.join(" ");
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captured from the real CLI.
    const REPORT_JSON: &str = include_str!("../../../test_data/bencher/report.json");

    fn failed(code: i32, stdout: &str, stderr: &str) -> Failure {
        match classify(Some(code), stdout, stderr) {
            Sent::Failed(failure, _) => failure,
            stored @ Sent::Stored { .. } => panic!("{stored:?}"),
        }
    }

    #[test]
    fn a_report_is_stored_with_or_without_alerts() {
        let Sent::Stored {
            alerts,
            report,
            complaint,
        } = classify(Some(0), REPORT_JSON, "")
        else {
            panic!("not stored")
        };
        assert_eq!((alerts.len(), complaint), (0, None));
        assert_eq!(report, "01a20ac7-c917-71d2-8220-7e6a37be799a");
        let alert = |status: &str| {
            format!(
                "{{\"uuid\":\"u\",\"alerts\":[{{\"benchmark\":{{\"name\":\"latency/p50\"}},\
                 \"limit\":\"upper\",\"status\":\"{status}\"}}]}}"
            )
        };
        let found = classify(Some(1), &alert("active"), "\nAlerts detected (1)\n");
        let expected = Sent::Stored {
            alerts: vec!["latency/p50 (upper limit)".to_owned()],
            report: "u".to_owned(),
            complaint: None,
        };
        assert_eq!(found, expected);
        let dismissed = classify(Some(0), &alert("dismissed"), "");
        assert!(matches!(dismissed, Sent::Stored { alerts, .. } if alerts.is_empty()));
        let comment = "Failed to create GitHub comment: 403";
        let stored = classify(Some(1), REPORT_JSON, comment);
        assert!(matches!(stored, Sent::Stored { complaint: Some(why), .. } if why == comment));
    }

    /// The texts are those of the real CLI, version 0.6.12.
    #[test]
    fn the_ends_of_exit_1_and_2_are_told_apart() {
        let cases = [
            (
                1,
                "Failed to check API version: Failed to get API server version: Failed to send after 3 attempts",
                Failure::Outage,
            ),
            (
                1,
                "Failed to create new report: Failed to send after 2 attempts",
                Failure::Outage,
            ),
            (
                1,
                "Failed to create new report: Error processing request:\nStatus: 429 Too Many Requests",
                Failure::Outage,
            ),
            (
                1,
                "Failed to check API version: Invalid response payload: expected value at line 1 column 1",
                Failure::Outage,
            ),
            (
                1,
                "Failed to create new report: Error processing request:\nStatus: 401 Unauthorized\nMessage: Invalid project key",
                Failure::Credentials,
            ),
            (
                1,
                "Error processing request:\nStatus: 400 Bad Request\nMessage: InvalidSignature",
                Failure::Credentials,
            ),
            (
                1,
                "Failed to create new report: Error processing request:\nStatus: 400 Bad Request\nMessage: Failed to convert results with adapter (json | …)",
                Failure::Refused,
            ),
            (
                1,
                "Failed to create new report: Error processing request:\nStatus: 404 Not Found",
                Failure::Refused,
            ),
            (
                2,
                "error: invalid value 'x' for '--key <KEY>': Failed to validate Bencher API key: . Expected prefix",
                Failure::Credentials,
            ),
            (
                2,
                "error: unexpected argument '--no-such' found",
                Failure::Refused,
            ),
        ];
        for (code, stderr, expected) in cases {
            assert_eq!(failed(code, "", stderr), expected, "{stderr}");
        }
        assert_eq!(failed(0, "<html>", ""), Failure::Nonsense);
        assert_eq!(failed(0, "", ""), Failure::Nonsense);
    }
}
