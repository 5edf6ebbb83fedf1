//! What a comparison found, for people, for pull requests and for programs: the verdict first, then
//! one line per metric, the worst first, and what to do.

use serde::Serialize;

use super::{number, table};
use crate::metrics::catalog::Metric;
use crate::metrics::catalog::threshold::{Change, Scale};
use crate::metrics::digest;
use crate::metrics::judge::paired::{self, Judged, Row};
use crate::metrics::judge::verdict::Verdict;
use crate::metrics::model::{Arm, Run};

/// The form of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Table,
    /// For a comment on a pull request.
    Markdown,
    /// For programs.
    Json,
}

const HEADER: [&str; 7] = [
    "verdict",
    "metric",
    "base",
    "head",
    "worse by",
    "95 % interval",
    "p",
];

/// The whole result.
pub fn render(form: Form, run: &Run, judged: &Judged) -> String {
    match form {
        Form::Table => text(run, judged),
        Form::Markdown => markdown(run, judged),
        Form::Json => json(run, judged),
    }
}

fn text(run: &Run, judged: &Judged) -> String {
    let mut table = table::empty(&HEADER);
    for row in &judged.rows {
        table.add_row(cells(row));
    }
    format!("{}\n\n{}", headline(run, judged), table::finish(&table))
        + &paragraphs(&notes(run, judged, str::to_owned))
}

fn markdown(run: &Run, judged: &Judged) -> String {
    let mut text = format!("**{}**\n\n", headline(run, judged));
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    text += &line(&HEADER.map(str::to_owned));
    text += &line(&HEADER.map(|_| "---".to_owned()));
    for row in &judged.rows {
        text += &line(&cells(row));
    }
    text + &paragraphs(&notes(run, judged, str::to_owned))
}

/// A comparison as JSON. Types and not maps: the same bytes however `serde_json` was built.
#[derive(Serialize)]
struct Whole<'a> {
    verdict: Verdict,
    seed: u64,
    arms: &'a [Arm],
    metrics: Vec<Line<'a>>,
    notes: Vec<String>,
}

/// One metric. What is infinite is none.
#[derive(Serialize)]
struct Line<'a> {
    metric: &'a str,
    unit: &'a str,
    verdict: Verdict,
    reason: Option<&'a str>,
    base: f64,
    head: f64,
    worse_by: Option<f64>,
    test: Option<Figures>,
}

#[derive(Serialize)]
struct Figures {
    interval: [Option<f64>; 2],
    interval_bootstrap: Option<[Option<f64>; 2]>,
    blocks: usize,
    p: f64,
    p_holm: f64,
    p_bh: f64,
    p_flip: f64,
    p_better_holm: f64,
    control: Option<f64>,
    control_p_holm: f64,
    floor: Option<f64>,
    detectable: Option<f64>,
}

fn json(run: &Run, judged: &Judged) -> String {
    let whole = Whole {
        verdict: judged.overall,
        seed: run.seed,
        arms: &run.arms,
        metrics: judged.rows.iter().map(|row| line(run, row)).collect(),
        notes: notes(run, judged, str::to_owned),
    };
    let mut text = serde_json::to_string_pretty(&whole).expect("plain data");
    text.push('\n');
    text
}

fn paragraphs(notes: &[String]) -> String {
    let lines = notes.iter();
    lines.fold(String::new(), |text, note| format!("{text}\n{note}\n"))
}

fn line<'a>(run: &Run, row: &'a Row) -> Line<'a> {
    let test = row.test.as_ref().map(|test| Figures {
        interval: test.interval.map(finite),
        interval_bootstrap: paired::bootstrapped(run, row.metric).map(|of| of.map(finite)),
        blocks: test.blocks,
        p: test.p,
        p_holm: test.p_holm,
        p_bh: test.p_bh,
        p_flip: test.p_flip,
        p_better_holm: test.p_better,
        control: finite(test.control),
        control_p_holm: test.control_p,
        floor: finite(test.floor),
        detectable: finite(test.detectable),
    });
    Line {
        metric: row.metric.name,
        unit: row.metric.unit.name(),
        verdict: row.verdict,
        reason: row.reason.as_deref(),
        base: row.base,
        head: row.head,
        worse_by: finite(row.effect),
        test,
    }
}

/// JSON has no infinity: no bound is none.
fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

fn headline(run: &Run, judged: &Judged) -> String {
    let arm = |name: &str| {
        let mut arms = run.arms.iter();
        arms.find(|arm| arm.name == name)
            .map_or_else(|| "unknown".to_owned(), version)
    };
    let quick = if run.quick { ", quick" } else { "" };
    format!(
        "{}: {} against {}{quick}, seed {}",
        judged.overall.word(),
        arm(paired::HEAD),
        arm(paired::BASE),
        run.seed
    )
}

/// The commit, or the executable where that is not known.
pub(super) fn version(arm: &Arm) -> String {
    match &arm.revision {
        Some(revision) => digest::short(revision).to_owned(),
        None => format!("binary {}", digest::short(&arm.sha256)),
    }
}

pub(super) fn cells(row: &Row) -> [String; 7] {
    let scale = number::Scale::of(row.metric.unit, row.base);
    let better = row
        .test
        .as_ref()
        .is_some_and(|test| test.is_better(row.effect));
    let verdict = match row.verdict {
        Verdict::Pass if better => "PASS, better",
        verdict => verdict.word(),
    };
    let (interval, p) = match &row.test {
        None => (String::new(), String::new()),
        Some(test) => {
            let [lower, upper] = test.interval.map(|bound| effect(row.metric, bound));
            (format!("{lower} … {upper}"), probability(test.p_holm))
        }
    };
    [
        verdict.to_owned(),
        row.metric.name.to_owned(),
        scale.with_unit(row.base),
        scale.with_unit(row.head),
        effect(row.metric, row.effect),
        interval,
        p,
    ]
}

fn effect(metric: &Metric, effect: f64) -> String {
    if !effect.is_finite() {
        return "?".to_owned();
    }
    let points = match metric.change() {
        Change::Tested(thresholds) | Change::Exact(thresholds) => thresholds.scale == Scale::Points,
        Change::Target => true,
    };
    if points {
        format!("{effect:+.2}")
    } else {
        format!("{:+.1} %", 100.0 * effect)
    }
}

fn probability(p: f64) -> String {
    if p < 0.0001 {
        "<0.0001".to_owned()
    } else {
        format!("{p:.4}")
    }
}

/// The reasons of verdicts that are not plain, and what to do. `shown` is what becomes of texts that
/// are not ours.
pub(super) fn notes(run: &Run, judged: &Judged, shown: fn(&str) -> String) -> Vec<String> {
    let mut notes: Vec<String> = judged
        .rows
        .iter()
        .filter_map(|row| Some(format!("`{}`: {}", row.metric.name, row.reason.as_ref()?)))
        .collect();
    if !run.complete {
        notes.push("Note: the comparison was cut off before its end.".to_owned());
    }
    if judged.rows.is_empty() {
        notes.push("Note: no block counts, so nothing was compared.".to_owned());
    }
    let marks = run
        .settings
        .iter()
        .filter(|(key, _)| key.starts_with("mark_"));
    notes.extend(marks.filter_map(|(_, mark)| Some(format!("Note: {}.", shown(mark.as_str()?)))));
    let todo = match judged.overall {
        Verdict::Pass | Verdict::Suspect => None,
        Verdict::Inconclusive => Some(inconclusive(run, judged)),
        Verdict::Notice => Some(
            "What to do: nothing has to be done; the change costs what the table says.".to_owned(),
        ),
        Verdict::Alert | Verdict::Block => Some(format!(
            "What to do: {}. The same command with `--seed {}` repeats this comparison.",
            judged
                .rows
                .first()
                .map_or("repeat it", |row| lead(row.metric)),
            run.seed
        )),
    };
    notes.extend(todo);
    notes
}

/// Where to look for what made a metric worse.
fn lead(metric: &Metric) -> &'static str {
    match metric.category() {
        "binary" => "`cargo tree` of both versions tells which packages came in",
        "memory" => "`valgrind --tool=massif` on both programs tells what holds the memory",
        "startup" => "`valgrind --tool=callgrind` on both programs tells what the start does",
        _ => "`perf record` on both programs tells where the time goes",
    }
}

fn inconclusive(run: &Run, judged: &Judged) -> String {
    let unclear = judged
        .rows
        .iter()
        .filter(|row| row.verdict == Verdict::Inconclusive);
    let needed = unclear.filter_map(|row| paired::blocks_for_alert(run, 0, row.metric));
    let needed = needed.fold(0.0, f64::max);
    let blocks = if needed > 0.0 {
        format!(" (at this spread, {needed:.0} blocks would tell)")
    } else {
        String::new()
    };
    format!("What to do: repeat it on a machine that does nothing else{blocks}.")
}
