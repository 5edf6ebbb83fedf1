//! The sections "Configuration" and "Check, test, explain" of README.md: the commands, with the files, as they
//! are written there.
//!
//! Only the upstream and Slack are doubles, by variables of the environment, and the channel is one that the double
//! has.

use std::process::Command;

use thoughtgate_test::{mock_mcp, mock_slack};

use crate::markdown::{self, Block};
use crate::support::outcome;

/// A line of an audit.
const LINE: &str = r#"{"time":"2026-01-05T20:00:00.123Z","agent":"deployer","method":"tools/call","subject":"deploy","decision":"approve"}"#;

/// The text of the only block of this language in a section.
fn only(blocks: &[Block], heading: &str, language: &str) -> String {
    let mut found = blocks
        .iter()
        .filter(|block| (&*block.heading, &*block.language) == (heading, language));
    let text = found.next().map(|block| block.text.clone());
    assert!(found.next().is_none(), "{heading}, {language}");
    text.unwrap_or_else(|| panic!("no {language} in {heading}"))
}

#[test]
fn the_commands_for_authors_work_on_the_files_of_the_readme() {
    let blocks = markdown::blocks(&markdown::document("README.md"));
    let text = |heading, language| only(&blocks, heading, language);
    let folder = tempfile::tempdir().unwrap();
    let check = "Check, test, explain";
    for (name, text) in [
        ("policies.cedar", text("Configuration", "cedar")),
        ("thoughtgate.yaml", text("Configuration", "yaml")),
        ("cases.yaml", text(check, "yaml")),
        ("slack-token", "xoxb-test\n".to_owned()),
        ("audit.jsonl", format!("{LINE}\n").repeat(17)),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let slack = mock_slack::spawn(mock_slack::Config::default()).unwrap();
    let commands = text(check, "sh");
    // Which decision it is depends on the time of day.
    let expected = [
        "ok: configuration, schema and 4 policies are valid\n",
        "1 cases: 1 as expected",
        "decision: ",
        "\"decision\": ",
    ];
    assert_eq!(commands.lines().count(), expected.len(), "{commands}");
    for (line, expected) in commands.lines().zip(expected) {
        let rest = line.strip_prefix("thoughtgate ").expect("a command");
        let script = format!("exec \"$PROGRAM\" {rest}");
        let mut command = Command::new("sh");
        command
            .args(["-c", &script])
            .current_dir(folder.path())
            .env("PROGRAM", env!("CARGO_BIN_EXE_thoughtgate"))
            .env("THOUGHTGATE_UPSTREAM_URL", upstream.url())
            .env("THOUGHTGATE_APPROVAL_SLACK_BASE_URL", slack.url())
            .env("THOUGHTGATE_APPROVAL_SLACK_CHANNEL", "#general");
        let (code, out, error) = outcome(&mut command);
        assert_eq!(code, Some(0), "{line}\n{out}{error}");
        assert!(out.contains(expected), "{line}\n{out}{error}");
    }
}
