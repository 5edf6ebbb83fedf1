//! The set-ups in `docs/oauth.md`: each configuration is valid.

use std::process::Command;

use crate::markdown;
use crate::support::{ALL, outcome};

#[test]
fn every_configuration_is_valid() {
    let blocks = markdown::blocks(&markdown::document("docs/oauth.md"));
    let blocks: Vec<_> = blocks
        .iter()
        .filter(|block| block.language == "yaml")
        .collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("policies.cedar"), ALL).unwrap();
        let path = folder.path().join("thoughtgate.yaml");
        std::fs::write(&path, &block.text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_thoughtgate"));
        let (code, _, error) = outcome(command.args(["--check", "--config"]).arg(&path));
        assert_eq!(code, Some(0), "{}\n{error}", block.text);
    }
}
