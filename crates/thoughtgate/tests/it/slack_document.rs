//! The Slack set-up in `docs/slack.md`: its app manifest has the scopes that the calls need, and its
//! configuration is valid.

use std::collections::BTreeMap;
use std::process::Command;

use serde::Deserialize;
use thoughtgate_approval::SLACK_SCOPES;

use crate::markdown;
use crate::support::ALL;

#[derive(Deserialize)]
struct Manifest {
    features: Features,
    oauth_config: OauthConfig,
    settings: BTreeMap<String, bool>,
}

#[derive(Deserialize)]
struct Features {
    bot_user: BotUser,
}

#[derive(Deserialize)]
struct BotUser {
    display_name: String,
}

#[derive(Deserialize)]
struct OauthConfig {
    scopes: BTreeMap<String, Vec<String>>,
}

/// The YAML blocks of the document, in order.
fn blocks() -> Vec<String> {
    let blocks = markdown::blocks(&markdown::document("docs/slack.md")).into_iter();
    let yaml = blocks.filter(|block| block.language == "yaml");
    yaml.map(|block| block.text).collect()
}

#[test]
fn the_manifest_has_the_scopes_that_the_calls_need() {
    let manifest: Manifest = serde_saphyr::from_str(&blocks()[0]).unwrap();
    assert!(!manifest.features.bot_user.display_name.is_empty());
    let names: Vec<&str> = SLACK_SCOPES.iter().map(|scope| scope.name).collect();
    assert_eq!(manifest.oauth_config.scopes["bot"], names);
    // A token of a user would vote as that user; one that rotates expires.
    assert!(!manifest.oauth_config.scopes.contains_key("user"));
    assert!(!manifest.settings["token_rotation_enabled"]);
}

#[test]
fn the_manifest_gives_the_reason_of_each_scope() {
    let manifest = blocks().swap_remove(0);
    for scope in SLACK_SCOPES {
        let lines = manifest.lines().map(str::trim);
        let of_scope = lines.filter(|line| line.split_whitespace().nth(1) == Some(scope.name));
        let reasons: Vec<&str> = of_scope
            .filter_map(|line| Some(line.split_once("# ")?.1))
            .collect();
        assert_eq!(reasons, [scope.reason], "{}", scope.name);
    }
}

#[test]
fn the_configuration_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("slack-token", "xoxb-test\n");
    write("policies.cedar", ALL);
    write("thoughtgate.yaml", &blocks()[1]);
    let upstream = "http://127.0.0.1:1/mcp";
    let output = Command::new(env!("CARGO_BIN_EXE_thoughtgate"))
        .current_dir(folder.path())
        .args(["--check", "--config", "thoughtgate.yaml"])
        .args(["--policy", "policies.cedar", "--upstream", upstream])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
}
