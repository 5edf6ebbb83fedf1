//! Interprets the exit of the `bencher` CLI, which has one exit code for an alert, an outage, a rejected key
//! and a failed comment.

use serde::Deserialize;

use super::sent::{Alert, Failure, KEY, Sent, TOKEN};

/// The report that the CLI prints; only the fields that are used.
#[derive(Deserialize)]
struct Stored {
    uuid: String,
    #[serde(default)]
    alerts: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    benchmark: Named,
    limit: String,
    status: String,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// Interprets an exit of the CLI.
pub(super) fn classify(code: Option<i32>, stdout: &str, stderr: &str) -> Sent {
    let said = last_words(stderr);
    match (code, serde_json::from_str::<Stored>(stdout)) {
        (Some(code @ (0 | 1)), Ok(stored)) => {
            let alerts = stored.alerts.into_iter();
            let active = alerts.filter(|alert| alert.status == "active");
            // Code 1 with a report: alerts count as an error, or the CLI failed to comment.
            let is_alert = stderr.trim_start().starts_with("Alerts detected");
            Sent::Stored {
                alerts: active
                    .map(|alert| Alert {
                        benchmark: alert.benchmark.name,
                        limit: alert.limit,
                    })
                    .collect(),
                report: stored.uuid,
                complaint: (code == 1 && !is_alert).then_some(said),
            }
        }
        (Some(0), Err(error)) => Sent::Failed(Failure::Nonsense, error.to_string()),
        // Code 2: an invalid command line. This program writes it, except for the variables with secrets.
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

/// Messages of the CLI if the server is down, or its response is invalid.
const UNREACHED: [&str; 4] = [
    "Failed to send after",
    "Failed to check API version",
    "Invalid response payload",
    // The connection broke off within the response.
    "Invalid response body bytes",
];

/// The reason why a report was not stored, by the messages of the CLI.
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
        // Rate limit: Bencher asks to try later.
        Some(429) => Failure::Outage,
        Some(status) if status >= 500 => Failure::Outage,
        Some(_) => Failure::Refused,
        None if UNREACHED.iter().any(|sign| stderr.contains(sign)) => Failure::Outage,
        None => Failure::Unsent,
    }
}

/// The first lines of an error, joined: the last ones are advice.
fn last_words(stderr: &str) -> String {
    let lines = stderr.lines().map(str::trim);
    // Warnings, such as that of a server of another version, come before the error.
    let is_error = |line: &&str| !line.is_empty() && !line.to_lowercase().starts_with("warning");
    let lines: Vec<&str> = lines.filter(is_error).take(4).collect();
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
            alerts: vec![Alert {
                benchmark: "latency/p50".to_owned(),
                limit: "upper".to_owned(),
            }],
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
            (
                1,
                "Failed to read from output file: No such file or directory (os error 2)",
                Failure::Unsent,
            ),
            (
                1,
                "Failed to create new report: Invalid response payload: expected value at line 1 column 1",
                Failure::Outage,
            ),
        ];
        for (code, stderr, expected) in cases {
            assert_eq!(failed(code, "", stderr), expected, "{stderr}");
        }
        assert_eq!(failed(0, "<html>", ""), Failure::Nonsense);
        assert_eq!(failed(0, "", ""), Failure::Nonsense);
    }
}
