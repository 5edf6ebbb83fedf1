//! Contents of the message that approvers read, whatever an agent sends.

use super::*;
use crate::secret::Secret;

fn record(tool: &str, arguments: &str) -> Record {
    Record {
        policies: vec!["ask-before-delete".to_owned()],
        arguments: arguments.to_owned(),
        expires_ms: 1_785_230_100_000,
        ..crate::record::tests::record(tool, 1_785_229_500_000)
    }
}

fn settings() -> SlackSettings {
    SlackSettings::new(Secret::new("xoxb"), "C1")
}

/// All texts of a message, each checked against Slack's limits.
fn texts(message: &Value) -> Vec<String> {
    fn walk(value: &Value, out: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    match value {
                        Value::String(text) if key == "text" => out.push(text.clone()),
                        other => walk(other, out),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, out)),
            _ => {}
        }
    }
    let mut out = Vec::new();
    walk(message, &mut out);
    assert!(message["blocks"].as_array().unwrap().len() <= 50);
    assert!(out.iter().all(|text| text.encode_utf16().count() <= 3000));
    out
}

fn pending(record: &Record) -> String {
    let rendered = record.wanted_rendering();
    texts(&render(record, rendered, &settings())).join("\n")
}

#[test]
fn it_says_who_what_why_and_until_when() {
    let record = record("delete_user", "{\n  \"id\": 7\n}");
    let text = pending(&record);
    for part in [
        "agent-7",
        "delete_user",
        "ask-before-delete",
        "\"id\": 7",
        ":white_check_mark:",
        "2026-07-28 09:15:00 UTC",
        &record.id.to_string(),
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

#[test]
fn nothing_that_an_agent_writes_is_active() {
    let evil = "<!channel> <@U1> <https://evil|ok> ``` @here & \u{202e}";
    let shown = crate::text::visible(evil);
    let mut record = record(evil, &shown);
    record.principal = evil.to_owned();
    record.policies = vec![evil.to_owned()];
    for text in texts(&render(&record, record.wanted_rendering(), &settings())) {
        for active in ["<!channel", "<@U1", "<https", "\u{202e}", "``` @here"] {
            assert!(!text.contains(active), "{active} in {text}");
        }
    }
    let message = render(&record, record.wanted_rendering(), &settings());
    assert_eq!(message["parse"], "none");
    assert_eq!(message["unfurl_links"], false);
}

#[test]
fn what_is_cut_off_is_said() {
    let short = pending(&record("t", "{}"));
    assert!(!short.contains("Arguments truncated"));
    let long = record("t", &"<".repeat(20_000));
    assert!(pending(&long).contains("Arguments truncated"));
    let mut cut_before = record("t", "{}");
    cut_before.arguments_complete = false;
    assert!(pending(&cut_before).contains("Arguments truncated"));
}

#[test]
fn huge_names_keep_within_the_limits() {
    let mut record = record(&"&".repeat(10_000), "{}");
    record.principal = "<".repeat(10_000);
    record.policies = vec![">".repeat(10_000); 50];
    record.reason = Some("&".repeat(10_000));
    pending(&record);
    record.state = State::Rejected;
    let message = render(&record, record.wanted_rendering(), &settings());
    texts(&message);
    for field in message["blocks"][1]["fields"].as_array().unwrap() {
        assert!(field["text"].as_str().unwrap().len() <= 2000);
    }
}

#[test]
fn the_outcome_replaces_the_question() {
    let mut record = record("t", "{}");
    record.state = State::Done;
    record.decided_by = Some("U42".to_owned());
    let text = pending(&record);
    assert!(text.contains("Approved by <@U42>") && !text.contains("React with"));
    record.state = State::Rejected;
    record.decided_by = Some("policy".to_owned());
    record.reason = Some("the policy <changed>".to_owned());
    assert!(pending(&record).contains("Rejected by policy: the policy &lt;changed&gt;"));
}

#[test]
fn buttons_come_with_the_secret_and_go_with_the_decision() {
    let mut record = record("t", "{}");
    let mut settings = settings();
    let last = |record: &Record, settings: &SlackSettings| {
        let message = render(record, record.wanted_rendering(), settings);
        message["blocks"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()
            .clone()
    };
    assert_ne!(last(&record, &settings)["type"], "actions");
    settings.signing_secret = Some(Secret::new("s"));
    assert_eq!(
        last(&record, &settings)["elements"][1]["action_id"],
        DENY_ACTION
    );
    assert_eq!(
        last(&record, &settings)["elements"][0]["value"],
        record.id.to_string()
    );
    record.state = State::Approved;
    let left = last(&record, &settings)["elements"].clone();
    assert_eq!(left.as_array().unwrap().len(), 1);
    assert_eq!(left[0]["action_id"], DENY_ACTION);
    record.state = State::Executing;
    assert_ne!(last(&record, &settings)["type"], "actions");
}

#[test]
fn non_approvers_are_told_that_they_do_not_count() {
    let mut record = record("t", "{}");
    record.non_approvers = vec!["U9".to_owned()];
    assert!(pending(&record).contains("not an approver: <@U9>"));
}
