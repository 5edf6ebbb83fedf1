//! What a pull request and the summary of a job are told: the verdict first, the table below it, and
//! all else folded.
//!
//! What is shown may come out of a file that a stranger wrote: whatever is not a number or a word of
//! ours is set as code.

use std::fmt::Write as _;

use super::{check, comparison, markdown, number, rows, table};
use crate::metrics::history::line::Job;
use crate::metrics::judge::history;
use crate::metrics::judge::paired::{self, Judged};
use crate::metrics::judge::verdict::Verdict;
use crate::metrics::judge::{self, TargetVerdict};
use crate::metrics::model::{Arm, Run};

/// By this its own comment is found again.
pub const MARKER: &str = "<!-- thoughtgate-metrics -->";
/// The same of a comment on what a merged pull request did to `main`: the one before stays.
pub const MARKER_ON_MAIN: &str = "<!-- thoughtgate-metrics on main -->";

/// A comparison, and the metrics of the head where they were measured too.
pub fn of_comparison(run: &Run, judged: &Judged, metrics: Option<&Run>) -> String {
    let arm = |name: &str| {
        let mut arms = run.arms.iter();
        let arm = arms.find(|arm| arm.name == name);
        arm.map_or("unknown".to_owned(), |arm| {
            markdown::code(&comparison::version(arm))
        })
    };
    let mut text = format!(
        "{}\n{} against {}\n\n",
        headline(judged.overall, &named(&judged.rows)),
        arm(paired::HEAD),
        arm(paired::BASE)
    );
    let titles = [
        "Metric",
        "Base",
        "Head",
        "Worse by",
        "95 % interval",
        "Verdict",
    ];
    text += &markdown::head(&titles, 1);
    for row in &judged.rows {
        let [verdict, metric, base, head, effect, interval, _] = comparison::cells(row);
        text += &markdown::row(&[format!("`{metric}`"), base, head, effect, interval, verdict]);
    }
    for note in comparison::notes(run, judged, markdown::code) {
        let _ = writeln!(text, "\n{note}");
    }
    text += "\n";
    text += &markdown::folded("How to repeat it", &repeat(run));
    text + &metrics.map(every_metric).unwrap_or_default()
}

/// A run that was held against the history of its branch.
pub fn of_check(job: &Job, jobs: usize, rows: &[history::Row], run: &Run) -> String {
    let overall = rows.iter().map(|row| row.verdict).max();
    let overall = overall.unwrap_or(Verdict::Inconclusive);
    let worst: Vec<&str> = rows
        .iter()
        .filter(|row| row.verdict == overall)
        .map(|row| row.metric.name)
        .collect();
    let revision = job.revision.as_deref().unwrap_or("this run");
    let mut text = format!(
        "{}\n{} against {jobs} earlier jobs of {}\n\n",
        headline(overall, &worst),
        markdown::code(revision),
        markdown::code(&job.branch)
    );
    let told: Vec<&history::Row> = rows
        .iter()
        .filter(|row| row.verdict > Verdict::Pass)
        .collect();
    if !told.is_empty() {
        let titles = ["Metric", "Before", "Now", "Worse by", "Jobs", "Verdict"];
        text += &markdown::head(&titles, 1);
        for row in &told {
            let [verdict, metric, before, now, effect, jobs, _] = check::cells(row);
            text += &markdown::row(&[format!("`{metric}`"), before, now, effect, jobs, verdict]);
        }
    }
    for (reason, metrics) in check::by_reason(rows) {
        let _ = writeln!(text, "\n`{}`: {reason}", metrics.join("`, `"));
    }
    text + "\n" + &every_metric(run)
}

/// A run that nothing was compared with, and why.
pub fn of_run(why: &str, run: &Run) -> String {
    format!("### No verdict: {why}\n\n{}", every_metric(run))
}

/// The verdict, and the metrics that it is about.
fn headline(overall: Verdict, worst: &[&str]) -> String {
    let names: Vec<String> = worst.iter().map(|name| format!("`{name}`")).collect();
    let names = names.join(", ");
    match overall {
        Verdict::Pass => "### PASS: no metric became worse\n".to_owned(),
        Verdict::Suspect => format!("### SUSPECT: perhaps worse, not enough to tell: {names}\n"),
        Verdict::Inconclusive => format!("### INCONCLUSIVE: could not be told: {names}\n"),
        Verdict::Notice => format!("### NOTICE: a little worse: {names}\n"),
        Verdict::Alert => format!("### ALERT: worse: {names}\n"),
        Verdict::Block => format!("### BLOCK: much worse: {names}\n"),
    }
}

/// The metrics with the greatest verdict.
fn named(rows: &[paired::Row]) -> Vec<&'static str> {
    let overall = paired::overall(rows);
    let worst = rows.iter().filter(|row| row.verdict == overall);
    worst.map(|row| row.metric.name).collect()
}

fn repeat(run: &Run) -> String {
    let revision = |name: &str| -> Option<&str> {
        let mut arms = run.arms.iter();
        let arm: &Arm = arms.find(|arm| arm.name == name)?;
        let revision = arm.revision.as_deref()?;
        // It becomes part of a command line that somebody pastes.
        let is_commit =
            revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_commit.then_some(revision)
    };
    let command = match (revision(paired::BASE), revision(paired::HEAD)) {
        (Some(base), Some(head)) => format!(
            "```sh\ncargo xtask metrics compare --base {base} --head {head} --seed {}\n```\n\n",
            run.seed
        ),
        _ => "The programs were not built from commits alone.\n\n".to_owned(),
    };
    command + &machine(run)
}

/// The machine in one line.
fn machine(run: &Run) -> String {
    let host = &run.host;
    format!(
        "Machine: {}, {} cores, {} {}. Seed {}.\n",
        markdown::code(host.cpu_model.as_deref().unwrap_or("unknown CPU")),
        host.logical_cores,
        markdown::code(&host.os),
        markdown::code(host.kernel.as_deref().unwrap_or("unknown kernel")),
        run.seed
    )
}

/// All metrics of a run with their targets, folded.
fn every_metric(run: &Run) -> String {
    let mut body = markdown::head(&["Metric", "Value", "95 % interval", "Target", ""], 1);
    let (mut met, mut missed) = (0, 0);
    for (metric, record) in rows(run) {
        let (value, interval) = table::figures(metric, record);
        let target = number::target(metric.unit, metric.target);
        let verdict = match judge::target(metric, record) {
            TargetVerdict::Met => {
                met += 1;
                "met"
            }
            TargetVerdict::Missed => {
                missed += 1;
                "missed"
            }
            TargetVerdict::NoTarget => "no target",
            TargetVerdict::Unmeasured => "",
        };
        // A text is what the image said that it is.
        let value = if metric.kind() == crate::metrics::catalog::Kind::Text {
            markdown::code(&value)
        } else {
            value
        };
        body += &markdown::row(&[
            format!("`{}`", metric.name),
            value,
            interval,
            target,
            verdict.to_owned(),
        ]);
    }
    let _ = write!(body, "\n{}", machine(run));
    let title = format!("Every metric: {met} targets met, {missed} missed");
    markdown::folded(&title, &body)
}

/// Cuts a text to what GitHub takes, and says so.
pub fn fit(text: &str, characters_max: usize) -> String {
    const CUT: &str = "\n\n(cut off: the whole text is in the summary of the job)\n";
    if text.chars().count() <= characters_max {
        return text.to_owned();
    }
    // The folded parts come last, and a fold that is cut off hides nothing.
    let kept: String = text
        .chars()
        .take(characters_max - CUT.chars().count())
        .collect();
    let whole_lines = kept.rfind('\n').map_or(0, |end| end + 1);
    kept[..whole_lines].to_owned() + CUT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalog::Tier;
    use crate::metrics::model::Value;
    use crate::metrics::render::fixture;

    fn comparison() -> Run {
        let text = include_str!("../../../test_data/comparisons/larger_binary.json");
        Run::parse(text).unwrap()
    }

    #[test]
    fn a_comment_has_the_verdict_first_and_how_to_repeat_it() {
        let run = comparison();
        let judged = paired::judge_all(&run);
        let text = of_comparison(&run, &judged, Some(&fixture::mixed()));
        assert!(
            text.starts_with("### BLOCK: much worse: `binary/size`\n"),
            "{text}"
        );
        assert!(text.contains("| `binary/size` | "), "{text}");
        assert!(text.contains("What to do: "), "{text}");
        assert!(text.contains("Every metric: "), "{text}");
    }

    #[test]
    fn nothing_of_a_strangers_file_is_markup() {
        let mut run = comparison();
        let hostile = "@all <img src=x> [x](http://e) `` | \n# x";
        for arm in &mut run.arms {
            arm.revision = Some(hostile.to_owned());
        }
        run.host.cpu_model = Some(hostile.to_owned());
        run.host.kernel = Some(hostile.to_owned());
        run.host.os = hostile.to_owned();
        run.settings.insert("mark_0".to_owned(), hostile.into());
        let mut metrics = fixture::mixed();
        let base = Value::Text(hostile.to_owned());
        let metric = &crate::metrics::catalog::BINARY_DOCKER_BASE;
        fixture::set(&mut metrics, metric, base, None);
        let judged = paired::judge_all(&run);
        let text = of_comparison(&run, &judged, Some(&metrics));
        let outside: String = text
            .split('`')
            .enumerate()
            .filter(|(place, _)| place % 2 == 0)
            .map(|(_, part)| part)
            .collect();
        for markup in ["@all", "<img", "](http", "# x"] {
            assert!(text.contains(markup), "it is shown");
            assert!(!outside.contains(markup), "{markup} is markup in {outside}");
        }
        assert!(
            !text.contains("metrics compare --base"),
            "no such command is offered"
        );
    }

    #[test]
    fn what_github_would_refuse_is_cut_at_a_line() {
        assert_eq!(fit("short\n", 100), "short\n");
        let long = "0123456789\n".repeat(100);
        let cut = fit(&long, 200);
        assert!(cut.chars().count() <= 200);
        assert!(cut.contains("0123456789\n\n\n(cut off"), "{cut}");
    }

    #[test]
    fn a_run_alone_says_why_there_is_no_verdict() {
        let text = of_run("there is no comparison", &fixture::run(&[Tier::One]));
        assert!(
            text.starts_with("### No verdict: there is no comparison\n"),
            "{text}"
        );
    }
}
