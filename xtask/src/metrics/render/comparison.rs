//! The result of a comparison, for people, for pull requests and for programs: the verdict first, then
//! one line per metric, the worst first, then reasons and advice.

use serde::Serialize;

use super::{markdown, number, table};
use crate::metrics::catalog::Metric;
use crate::metrics::catalog::threshold::{Change, Scale};
use crate::metrics::digest;
use crate::metrics::judge::paired::{self, Judged, Row};
use crate::metrics::judge::verdict::Verdict;
use crate::metrics::model::{Arm, Run};

/// The format of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Table,
    /// For a comment on a pull request.
    Markdown,
    /// For programs.
    Json,
}

/// Explanation of the table: the effect is not exactly the ratio of the two columns before it, and a run of
/// all metrics has other values for the same metrics.
pub const EXPLAINED: &str = "Base and Head are medians over all blocks. “Worse by” is the typical \
     difference of blocks that were measured side by side, so it is not exactly their ratio. Both ran \
     under the light load driver with an upstream that answers at once: compare Base with Head, not with \
     figures of a run of all metrics, which k6 measures with an upstream that takes 2 ms.";

const HEADER: [&str; 7] = [
    "verdict",
    "metric",
    "base",
    "head",
    "worse by",
    "95 % interval",
    "p",
];

pub fn render(form: Form, run: &Run, judged: &Judged) -> String {
    match form {
        Form::Table => text(run, judged),
        Form::Markdown => in_markdown(run, judged),
        Form::Json => json(run, judged),
    }
}

fn text(run: &Run, judged: &Judged) -> String {
    let mut table = table::empty(&HEADER);
    for row in &judged.rows {
        table.add_row(cells(row));
    }
    format!(
        "{}\n\n{}",
        headline(run, judged, str::to_owned),
        table::finish(&table)
    ) + &paragraphs(&notes(run, judged, str::to_owned))
}

fn in_markdown(run: &Run, judged: &Judged) -> String {
    let mut text = format!("**{}**\n\n", headline(run, judged, markdown::code));
    text += &markdown::head(&HEADER, 2);
    for row in &judged.rows {
        text += &markdown::row(&cells(row));
    }
    text + &paragraphs(&notes(run, judged, markdown::code))
}

/// A comparison as JSON. Types and not maps, whose order depends on the features of `serde_json`.
#[derive(Serialize)]
struct Whole<'a> {
    verdict: Verdict,
    seed: u64,
    arms: &'a [Arm],
    metrics: Vec<Line<'a>>,
    notes: Vec<String>,
}

/// One metric. Infinite numbers are `null`.
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

/// JSON has no infinity.
fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

fn headline(run: &Run, judged: &Judged, shown: fn(&str) -> String) -> String {
    let arm = |name: &str| arm(run, name).map_or_else(|| "unknown".to_owned(), |of| shown(&of));
    let quick = if run.quick { ", quick" } else { "" };
    format!(
        "{}: {} against {}{quick}, seed {}",
        judged.overall.word(),
        arm(paired::HEAD),
        arm(paired::BASE),
        run.seed
    )
}

/// The version of an arm, if the run has it.
pub(super) fn arm(run: &Run, name: &str) -> Option<String> {
    let arm = run.arms.iter().find(|arm| arm.name == name)?;
    Some(version(arm, run.git.revision.as_deref()))
}

/// The commit, or the hash of the executable if the commit is not known; `checkout` is the commit of the
/// checkout that compared.
fn version(arm: &Arm, checkout: Option<&str>) -> String {
    match (&arm.revision, checkout) {
        (Some(revision), _) => digest::short(revision).to_owned(),
        // Built here, as its compiler is known, but of files that are no commit's.
        (None, Some(commit)) if arm.rustc.is_some() => {
            format!("{} with uncommitted changes", digest::short(commit))
        }
        (None, _) => format!("binary {}", digest::short(&arm.sha256)),
    }
}

pub(super) fn cells(row: &Row) -> [String; 7] {
    let scale = number::Scale::of(row.metric.unit, row.base);
    let better = row
        .test
        .as_ref()
        .is_some_and(|test| test.is_better(row.effect));
    let worse = row
        .test
        .as_ref()
        .is_some_and(|test| test.p_holm < 0.05 && row.effect > 0.0);
    let verdict = match row.verdict {
        Verdict::Pass if better => "PASS, better",
        // Significant, but smaller than the smallest effect that is reported.
        Verdict::Pass if worse => "PASS, below the floor",
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
        // A lost metric, whose head was not measured.
        if row.head.is_nan() {
            "–".to_owned()
        } else {
            scale.with_unit(row.head)
        },
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
        format!("{effect:+.2} points")
    } else {
        format!("{:+.1} %", 100.0 * effect)
    }
}

pub(super) fn probability(p: f64) -> String {
    if p < 0.0001 {
        "<0.0001".to_owned()
    } else {
        format!("{p:.4}")
    }
}

/// The reasons of verdicts, remarks on the comparison, and advice. `shown` escapes texts that are from
/// outside of this program.
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
        notes.push("Note: no block has a value, so nothing was compared.".to_owned());
    }
    // Marks are kept as settings, so that a verdict from the file prints them too.
    let marks = run
        .settings
        .iter()
        .filter(|(key, _)| key.starts_with("mark_"));
    notes.extend(marks.filter_map(|(_, mark)| Some(format!("Note: {}.", shown(mark.as_str()?)))));
    let todo = match judged.overall {
        Verdict::Pass | Verdict::Suspect => None,
        Verdict::Inconclusive => Some(inconclusive(judged)),
        Verdict::Notice => Some(
            "What to do: nothing is required; the table shows what the change costs.".to_owned(),
        ),
        Verdict::Alert | Verdict::Block => Some(format!(
            "What to do: {}. Repeat this comparison with `--seed {}`.",
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

/// The tool that finds the cause of a regression.
fn lead(metric: &Metric) -> &'static str {
    match metric.category() {
        "binary" => "run `cargo tree` in both versions to see which packages were added",
        "memory" => "run `valgrind --tool=massif` on both programs to see what holds the memory",
        "startup" => "run `valgrind --tool=callgrind` on both programs to see what the start does",
        _ => "run `perf record` on both programs to see where the time goes",
    }
}

/// The advice where noise hides what an alert takes: how far from a decision the comparison is.
fn inconclusive(judged: &Judged) -> String {
    let unclear = judged.rows.iter();
    let unclear = unclear.filter(|row| row.verdict == Verdict::Inconclusive);
    let tests = unclear.filter_map(|row| row.test.as_ref());
    let needed = tests
        .filter(|test| test.blocks_needed > test.blocks as f64)
        .map(|test| test.blocks_needed)
        .fold(0.0, f64::max);
    // Infinite with a single block, whose spread is not known.
    let blocks = if needed > 0.0 && needed.is_finite() {
        format!(" (with this spread, {needed:.0} blocks would be needed)")
    } else {
        String::new()
    };
    format!("What to do: repeat the comparison on an idle machine{blocks}.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::render::fixture;

    #[test]
    fn a_modified_checkout_is_marked() {
        let mut run = fixture::run(&[]);
        run.git.revision = Some("0a4076cfce8ca192".to_owned());
        run.arms[0].revision = None;
        run.arms[0].rustc = Some("rustc 1.90.0".to_owned());
        assert_eq!(
            arm(&run, "head").as_deref(),
            Some("0a4076cfce8c with uncommitted changes")
        );
        run.arms[0].rustc = None;
        let given = arm(&run, "head").unwrap();
        assert!(given.starts_with("binary "), "{given}");
    }
}
