//! The lines of sessions, and the scorecard over all of them, with exact bounds.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::effect::Effect;
use crate::metrics::judge::paired::{Judged, Row};
use crate::metrics::judge::verdict::Verdict;
use crate::metrics::model::Run;
use crate::metrics::render::table;
use crate::metrics::stats::distribution;
use crate::metrics::store;

/// The result of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// The name of the slowdown.
    pub effect: String,
    /// The value of the variable that slowed the program down.
    pub slowdown: String,
    /// Determines all random orders.
    pub seed: u64,
    /// The machine and the settings of the measurement: the key of a history.
    pub machine: String,
    /// SHA-256 of the judged program.
    pub sha256: String,
    /// Seconds that the blocks took.
    pub seconds: u64,
    /// The greatest of all verdicts.
    pub overall: Verdict,
    /// The verdict on the metric that was slowed down.
    pub found: Option<Verdict>,
    /// Verdict and effect of each metric.
    pub metrics: BTreeMap<String, (Verdict, f64)>,
}

impl Scored {
    /// The line of a session.
    pub fn of(
        effect: &Effect,
        slowdown: String,
        machine: String,
        run: &Run,
        judged: &Judged,
    ) -> Scored {
        let rows = judged.rows.iter();
        // Four digits, for people.
        let rounded = |effect: f64| (effect * 1e4).round() / 1e4;
        Scored {
            effect: effect.name.to_owned(),
            slowdown,
            seed: run.seed,
            machine,
            sha256: run.subject.sha256.clone(),
            seconds: run.finished.saturating_sub(run.started),
            overall: judged.overall,
            found: effect
                .metric
                .and_then(|metric| Some(verdict_on(judged, metric.name)?.verdict)),
            metrics: rows
                .map(|row| {
                    (
                        row.metric.name.to_owned(),
                        (row.verdict, rounded(row.effect)),
                    )
                })
                .collect(),
        }
    }
}

/// Reads all lines; a missing file has none.
pub fn read(path: &Path) -> anyhow::Result<Vec<Scored>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = store::read(path)?;
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    let complete = text.ends_with('\n');
    let last = text.lines().count();
    lines
        .filter_map(|(number, line)| match serde_json::from_str(line) {
            // A line that was cut off is ignored: its session is measured again.
            Err(_) if number + 1 == last && !complete => None,
            read => {
                let place = || format!("line {} of `{}`", number + 1, path.display());
                Some(read.with_context(place))
            }
        })
        .collect()
}

pub fn append(path: &Path, line: &Scored) -> anyhow::Result<()> {
    store::append(path, &serde_json::to_string(line)?)
}

/// The text on `drawn` sessions that were drawn from the blocks of `sessions`.
pub fn replayed(found: usize, drawn: usize, sessions: usize) -> String {
    let [_, upper] = distribution::rate_bounds(found as u64, drawn as u64, 0.975);
    format!(
        "\n{drawn} sessions drawn from the blocks of {sessions} without a slowdown: {found} false \
         alarms (rate at most {:.1} %)\n",
        100.0 * upper
    )
}

/// The scorecard: how often a regression was found, by slowdown.
pub fn card(all: &[Scored]) -> String {
    let header = [
        "slowdown",
        "sessions",
        "found",
        "95 % bounds",
        "inconclusive",
        "median effect",
    ];
    let mut table = table::empty(&header);
    for effect in Effect::ALL {
        let lines = all.iter().filter(|line| line.effect == effect.name);
        let lines: Vec<&Scored> = lines.collect();
        if lines.is_empty() {
            continue;
        }
        // Without a slowdown any regression is a false alarm; with one, only its own metric counts as found.
        let said = |line: &&&Scored| match effect.metric {
            None => line.overall.is_regression(),
            Some(_) => line.found.is_some_and(Verdict::is_regression),
        };
        let unclear = |line: &&&Scored| match effect.metric {
            None => line.overall == Verdict::Inconclusive,
            Some(_) => line.found == Some(Verdict::Inconclusive),
        };
        let (found, tried) = (lines.iter().filter(said).count(), lines.len());
        // 2.5 % beyond either bound: 95 % between them.
        let [lower, upper] = distribution::rate_bounds(found as u64, tried as u64, 0.975);
        let effects = effect.metric.map(|metric| {
            let effects = lines
                .iter()
                .filter_map(|line| line.metrics.get(metric.name));
            let effects: Vec<f64> = effects.map(|(_, effect)| *effect).collect();
            crate::metrics::stats::median(&effects).unwrap_or_default()
        });
        table.add_row([
            effect.name.to_owned(),
            tried.to_string(),
            found.to_string(),
            format!("{:.0} … {:.0} %", 100.0 * lower, 100.0 * upper),
            lines.iter().filter(unclear).count().to_string(),
            effects
                .map(|effect| format!("{:+.1} %", 100.0 * effect))
                .unwrap_or_default(),
        ]);
    }
    table::finish(&table)
}

/// The verdict on one metric of a session.
fn verdict_on(judged: &Judged, metric: &str) -> Option<Row> {
    let mut rows = judged.rows.iter();
    rows.find(|row| row.metric.name == metric).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(effect: &str, overall: Verdict) -> Scored {
        Scored {
            effect: effect.to_owned(),
            slowdown: String::new(),
            seed: 1,
            machine: "m".to_owned(),
            sha256: "s".to_owned(),
            seconds: 200,
            overall,
            found: Some(overall),
            metrics: BTreeMap::from([("cpu/us_per_request".to_owned(), (overall, 0.031))]),
        }
    }

    #[test]
    fn lines_add_up_and_the_card_has_exact_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calibration.jsonl");
        assert_eq!(read(&path).unwrap(), []);
        for _ in 0..6 {
            append(&path, &line("none", Verdict::Pass)).unwrap();
        }
        append(&path, &line("cpu-3", Verdict::Notice)).unwrap();
        append(&path, &line("cpu-3", Verdict::Inconclusive)).unwrap();
        let all = read(&path).unwrap();
        assert_eq!(all.len(), 8);
        expect_test::expect![[r"
            slowdown  sessions  found  95 % bounds  inconclusive  median effect
            none      6         0      0 … 46 %     0
            cpu-3     2         1      1 … 99 %     1             +3.1 %
        "]]
        .assert_eq(&card(&all));
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calibration.jsonl");
        std::fs::write(&path, "\n{\"effect\":\n").unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.starts_with("line 2 of"), "{error}");
    }
}
