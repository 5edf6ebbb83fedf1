//! Reads what the processes of a soak wrote: calls that reached the upstream, results that clients
//! saw, decisions of approvers, audit lines.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;

use super::growth::Growth;
use crate::tools::subject::{self, Posted};

/// Everything that is counted. A call is known by its mark, such as `held-7-12`, which the client puts
/// into its arguments.
#[derive(Debug, Default)]
pub struct Records {
    /// Number of times that each call reached the upstream, by tool and mark.
    pub executed: BTreeMap<(String, String), u64>,
    /// Calls of the clients, with their results.
    pub ends: Vec<End>,
    /// Marks of calls that were shown to an approver.
    pub asked: BTreeSet<String>,
    /// Marks of calls that an approver approved.
    pub approved: BTreeSet<String>,
    /// Processes of the proxy, one after another.
    pub lives: Vec<Life>,
    pub reloads: u64,
}

/// One call of a client.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct End {
    /// Kind of client, such as `held` or `denied`.
    pub role: String,
    pub mark: String,
    /// Result, such as `result`, `status 503`, `error 40301` or `lost`.
    pub how: String,
}

/// One process of the proxy, from its start to its end.
#[derive(Debug, Default)]
pub struct Life {
    pub audit: PathBuf,
    /// Decisions in its `/metrics` at the last reading.
    pub decisions: u64,
    pub panics: u64,
    /// Audit lines that it reported as dropped.
    pub dropped: u64,
    /// Decisions in its audit file.
    pub lines: u64,
    /// Approvals that it used, according to its audit file.
    pub used: u64,
    pub killed: bool,
    pub ended_well: bool,
    pub stderr: String,
}

impl Life {
    pub fn new(audit: PathBuf) -> Life {
        Life {
            audit,
            ..Life::default()
        }
    }

    /// Updates the counts from the text of `/metrics`.
    pub fn take(&mut self, metrics: &str) -> anyhow::Result<()> {
        let count = |name: &str| {
            let value = subject::sum(metrics, name);
            value.with_context(|| format!("failed to find `{name}` in `/metrics`"))
        };
        self.decisions = whole(count("thoughtgate_decisions_total")?);
        self.panics = whole(count("thoughtgate_panics_total")?);
        self.dropped = whole(count("thoughtgate_audit_dropped_total")?);
        Ok(())
    }
}

impl Records {
    pub fn read(
        ledger: &Path,
        journal: &Path,
        messages: &[Posted],
        lives: Vec<Life>,
        reloads: u64,
    ) -> anyhow::Result<Records> {
        let mut records = Records {
            lives,
            reloads,
            ..Records::default()
        };
        for line in lines(ledger)? {
            let call: Value = serde_json::from_str(&line)
                .with_context(|| format!("failed to parse the line `{line}` of the ledger"))?;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let key = (text(&call["name"]), text(&call["arguments"]["mark"]));
            *records.executed.entry(key).or_default() += 1;
        }
        for line in lines(journal)? {
            let end = serde_json::from_str(&line);
            records
                .ends
                .push(end.with_context(|| format!("failed to parse the journal line `{line}`"))?);
        }
        for message in messages {
            for mark in marks(&message.blocks()) {
                if message.has("white_check_mark") {
                    records.approved.insert(mark.clone());
                }
                records.asked.insert(mark);
            }
        }
        for life in &mut records.lives {
            let audit = lines(&life.audit)?;
            // Lines about the fate of an approval, such as `executing`, are not counted as decisions.
            life.lines = count(&audit, &["forward", "reject", "approve", "error"]);
            life.used = count(&audit, &["executing"]);
        }
        Ok(records)
    }

    /// The figures in one line.
    pub fn summary(&self, growth: &Growth) -> String {
        let sum = |of: fn(&Life) -> u64| self.lives.iter().map(of).sum::<u64>();
        let kills = self.lives.iter().filter(|life| life.killed).count();
        let with_approval = self
            .executed
            .keys()
            .filter(|(tool, _)| tool == "deploy")
            .count();
        format!(
            "{} client calls, {} decisions, {} audit lines ({} lost in {kills} kills), \
             {} approvals requested, {} granted, {} used, {with_approval} approved calls executed, \
             {} reloads; {}",
            self.ends.len(),
            sum(|life| life.decisions),
            sum(|life| life.lines),
            self.lives.iter().map(Life::lost).sum::<u64>(),
            self.asked.len(),
            self.approved.len(),
            sum(|life| life.used),
            self.reloads,
            growth.describe()
        )
    }
}

impl Life {
    /// Decisions that it had counted but that are missing from its audit file.
    pub fn lost(&self) -> u64 {
        self.decisions.saturating_sub(self.lines)
    }
}

fn lines(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("failed to read `{}`", path.display()))?;
    // A process that was killed may have left half a line.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    Ok(whole
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

/// Number of audit lines with one of these decisions.
fn count(audit: &[String], decisions: &[&str]) -> u64 {
    let said = |line: &&String| {
        // A line that is not JSON counts as no decision, and so shows as a missing one.
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        line["decision"]
            .as_str()
            .is_some_and(|decision| decisions.contains(&decision))
    };
    audit.iter().filter(said).count() as u64
}

/// The marks of calls, such as `held-7-12`, in the text of a message.
fn marks(text: &str) -> Vec<String> {
    let part =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let is_mark = |word: &&str| {
        let mut parts = word.split('-');
        let number = |part: Option<&str>| part.is_some_and(|part| part.parse::<u64>().is_ok());
        let role = parts
            .next()
            .is_some_and(|role| role.chars().all(|letter| letter.is_ascii_lowercase()));
        role && number(parts.next()) && number(parts.next()) && parts.next().is_none()
    };
    text.split(|letter| !part(letter))
        .filter(is_mark)
        .map(str::to_owned)
        .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_in_whatever_a_message_looks_like() {
        let blocks = r#"[{"text":"*Agent* `held-7` calls `deploy` with ```{\"mark\": \"held-7-12\"}``` at 12-30"}]"#;
        assert_eq!(marks(blocks), ["held-7-12"]);
    }

    #[test]
    fn half_a_line_at_the_end_is_no_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            "{\"decision\":\"forward\"}\n{\"decision\":\"executing\"}\n{\"dec",
        )
        .unwrap();
        let audit = lines(file.path()).unwrap();
        assert_eq!(
            (
                count(&audit, &["forward"]),
                count(&audit, &["executing"]),
                audit.len()
            ),
            (1, 1, 2)
        );
    }
}
