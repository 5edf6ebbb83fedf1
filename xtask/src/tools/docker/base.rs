//! The base of an image: the one its Dockerfile names, checked against the image's history. Pure.

use anyhow::{Context as _, bail};

/// The base that the last stage of a Dockerfile names; an error when the image's history contradicts.
///
/// The history of an image `FROM scratch` names no base: its first entry is the Dockerfile's first
/// instruction. Any other base brings entries of its own below it.
pub fn base(dockerfile: &str, history: &[String]) -> anyhow::Result<String> {
    let instruction = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let lines: Vec<&str> = dockerfile.lines().filter(instruction).collect();
    let last = lines
        .iter()
        .rposition(|line| line.trim_start().to_ascii_uppercase().starts_with("FROM "));
    let from = last.context("the Dockerfile has no FROM")?;
    let name = lines[from]
        .split_whitespace()
        // Options such as `--platform` come before the name.
        .filter(|word| !word.starts_with("--"))
        .nth(1)
        .context("the last FROM of the Dockerfile names no image")?;
    if name != "scratch" {
        return Ok(name.to_owned());
    }
    // Each instruction after FROM has one entry in the history, with BuildKit and without.
    let own = lines[from + 1..]
        .iter()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()))
        .count();
    if history.len() > own {
        bail!(
            "the Dockerfile says FROM scratch, but the image's history has {} entries for {own} instructions",
            history.len()
        );
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> Vec<String> {
        include_str!("../../../test_data/docker_history.jsonl")
            .lines()
            .map(|line| {
                let entry: serde_json::Value = serde_json::from_str(line).unwrap();
                entry["CreatedBy"].as_str().unwrap().to_owned()
            })
            .collect()
    }

    #[test]
    fn scratch_is_believed_when_the_history_has_nothing_below() {
        let dockerfile = "# comment\nFROM scratch\nCOPY hello /hello\nUSER 65532:65532\nENTRYPOINT [\"/hello\"]\n";
        assert_eq!(base(dockerfile, &history()).unwrap(), "scratch");
        let mut more = history();
        more.push("/bin/sh -c #(nop) ADD file:1 in / ".to_owned());
        assert!(
            base(dockerfile, &more)
                .unwrap_err()
                .to_string()
                .contains("4 entries for 3 instructions")
        );
    }

    #[test]
    fn the_last_stage_counts() {
        assert_eq!(
            base(
                "FROM rust:1 AS build\nRUN x\nFROM scratch\nCOPY a /a\n",
                &[]
            )
            .unwrap(),
            "scratch"
        );
        assert_eq!(
            base("FROM --platform=linux/amd64 debian:12\nRUN x\n", &history()).unwrap(),
            "debian:12"
        );
        assert!(base("# nothing\n", &[]).is_err());
    }
}
