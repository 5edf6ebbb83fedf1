//! The text of the comment on a pull request and of the summary of a job: the verdict first, the table
//! below it, and all else folded.
//!
//! Values may come from a file that a stranger wrote: all but numbers and the words of this program are set
//! as code.

use std::fmt::Write as _;

use super::{check, comparison, markdown, number, table};
use crate::metrics::catalog::METRICS;
use crate::metrics::digest;
use crate::metrics::history::line::Job;
use crate::metrics::judge::history;
use crate::metrics::judge::paired::{self, Judged};
use crate::metrics::judge::verdict::Verdict;
use crate::metrics::judge::{self, TargetVerdict};
use crate::metrics::model::{Arm, Host, Run};

/// First line of a comment, by which a later run finds it.
pub const MARKER: &str = "<!-- thoughtgate-metrics -->";
/// The same for a comment on what a merged pull request did to `main`: the comment from before the merge
/// stays.
pub const MARKER_ON_MAIN: &str = "<!-- thoughtgate-metrics on main -->";

/// A headline names no more metrics than these.
const NAMES_SHOWN: usize = 5;

/// A verdict, and the metrics that it is about.
pub type Headline<'a> = (Verdict, &'a [&'static str]);

/// The text on a comparison. `missed` are properties of the image that are not as required; `metrics` is
/// the run of the head, if it was measured.
pub fn of_comparison(
    run: &Run,
    judged: &Judged,
    headline: Headline<'_>,
    missed: &[&str],
    metrics: Option<&Run>,
) -> String {
    let arm = |name: &str| {
        let arm = comparison::arm(run, name);
        markdown::code(&arm.unwrap_or_else(|| "unknown".to_owned()))
    };
    let mut text = format!(
        "{}\n{} against {}\n\n",
        self::headline(headline),
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
    if !missed.is_empty() {
        let names = missed.join("`, `");
        let _ = writeln!(
            text,
            "\n`{names}`: target missed (see the table of all metrics)"
        );
    }
    let _ = writeln!(text, "\n{}", comparison::EXPLAINED);
    for note in comparison::notes(run, judged, markdown::code) {
        let _ = writeln!(text, "\n{note}");
    }
    text += "\n";
    text += &markdown::folded("How to reproduce this verdict", &repeat(run));
    text + &metrics.map(every_metric).unwrap_or_default()
}

/// The text on a run that was judged by `jobs` earlier ones of its branch. `lost` are metrics that the job
/// before measured and this one did not.
pub fn of_check(
    (job, jobs, rows): (&Job, usize, &[history::Row]),
    headline: Headline<'_>,
    lost: &[&str],
    run: &Run,
) -> String {
    let revision = job.revision.as_deref().unwrap_or("this run");
    let mut text = format!(
        "{}\n{} against {jobs} earlier jobs of {}\n\n",
        self::headline(headline),
        markdown::code(revision),
        markdown::code(&job.branch)
    );
    let told = rows.iter();
    // Without a baseline there is nothing to show but the reason, which follows.
    let is_told = |row: &&history::Row| row.verdict > Verdict::Pass && row.mean.is_some();
    let told: Vec<&history::Row> = told.filter(is_told).collect();
    if !told.is_empty() {
        let titles = [
            "Metric", "Before", "Now", "Worse by", "Jobs", "p", "Since", "Verdict",
        ];
        text += &markdown::head(&titles, 1);
        for row in &told {
            let [verdict, metric, before, now, effect, jobs, p] = check::cells(row);
            let since = row
                .since
                .as_deref()
                .filter(|_| row.verdict >= Verdict::Notice);
            let since = since.map(digest::short);
            let since = since.map(markdown::code).unwrap_or_default();
            text += &markdown::row(&[
                format!("`{metric}`"),
                before,
                now,
                effect,
                jobs,
                p,
                since,
                verdict,
            ]);
        }
    }
    for (reason, metrics) in check::by_reason(rows) {
        let _ = writeln!(text, "\n`{}`: {reason}", metrics.join("`, `"));
    }
    if !lost.is_empty() {
        let names = lost.join("`, `");
        let _ = writeln!(text, "\n`{names}`: not measured, unlike in the job before");
    }
    if headline.0 >= Verdict::Alert {
        text += "\nWhat to do: fix the regression, or accept the new level as the baseline:\n\n\
                 ```sh\ncargo xtask metrics publish --accept METRIC --commit COMMIT --reason TEXT\n```\n";
    }
    text += "\n";
    text += &markdown::folded("How to reproduce this verdict", REPEAT_CHECK);
    text + &every_metric(run)
}

/// Commands that judge the run again.
const REPEAT_CHECK: &str = "Download `run.json` from the artifact `report`, then:\n\n\
    ```sh\ngit fetch origin metrics-data\n\
    git show FETCH_HEAD:history.jsonl > history.jsonl\n\
    cargo xtask metrics check --history history.jsonl --branch main --run run.json\n```\n\n";

/// The text without a verdict: the reason, and the metrics if they were measured. A stranger may have
/// written the reason.
pub fn without_verdict(why: &str, run: Option<&Run>) -> String {
    let metrics = run.map(every_metric).unwrap_or_default();
    format!("### No verdict\n\n{}\n\n{metrics}", markdown::code(why))
}

/// The first of some names, and how many more there are.
fn some(names: &[&str]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(NAMES_SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The verdict in words, and the metrics that it is about.
fn headline((overall, worst): Headline<'_>) -> String {
    let names = some(worst);
    match overall {
        Verdict::Pass => "### PASS: no metric is worse by as much as an alert takes\n".to_owned(),
        Verdict::Suspect => format!("### SUSPECT: perhaps worse, but not certain: {names}\n"),
        Verdict::Inconclusive => format!("### INCONCLUSIVE: could not be decided: {names}\n"),
        Verdict::Notice => format!("### NOTICE: a little worse: {names}\n"),
        Verdict::Alert => format!("### ALERT: worse: {names}\n"),
        Verdict::Block => format!("### BLOCK: much worse: {names}\n"),
    }
}

fn repeat(run: &Run) -> String {
    let revision = |name: &str| -> Option<&str> {
        let mut arms = run.arms.iter();
        let arm: &Arm = arms.find(|arm| arm.name == name)?;
        let revision = arm.revision.as_deref()?;
        // It becomes part of a command that somebody pastes into a shell.
        let is_commit =
            revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_commit.then_some(revision)
    };
    let command = match (revision(paired::BASE), revision(paired::HEAD)) {
        (Some(base), Some(head)) => format!(
            "```sh\ncargo xtask metrics compare --base {base} --head {head} --seed {}\n```\n\n",
            run.seed
        ),
        _ => "No command: the programs were not both built from a commit.\n\n".to_owned(),
    };
    format!("{command}{}Seed {}.\n", machines(run), run.seed)
}

/// The machines that measured a run, one per line. A merged run may have several.
pub(super) fn machines(run: &Run) -> String {
    let line = |host: &Host| {
        format!(
            "Machine: {}, {} cores, {} {}.\n",
            markdown::code(host.cpu_model.as_deref().unwrap_or("unknown CPU")),
            host.logical_cores,
            markdown::code(&host.os),
            markdown::code(host.kernel.as_deref().unwrap_or("unknown kernel")),
        )
    };
    run.machines(line).join("\n")
}

/// All metrics of a run with their targets, folded.
fn every_metric(run: &Run) -> String {
    let mut body = markdown::head(&["Metric", "Value", "95 % interval", "Target", ""], 1);
    let (mut met, mut missed, mut unknown) = (0, 0, 0);
    for (metric, record) in run.rows() {
        let (value, interval) = table::figures(metric, record);
        let target = number::target(metric.unit, metric.target);
        match judge::target(metric, record) {
            TargetVerdict::Met => met += 1,
            TargetVerdict::Missed => missed += 1,
            TargetVerdict::Unmeasured => unknown += 1,
            TargetVerdict::NoTarget => {}
        }
        let verdict = table::target_word(metric, record);
        // The image chose this text: it may be hostile.
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
    let _ = write!(body, "\n{}", machines(run));
    // A job that ended early leaves no rows at all.
    let absent = METRICS.iter().filter(|metric| run.record(metric).is_none());
    let absent: Vec<&str> = absent.map(|metric| metric.name).collect();
    if !absent.is_empty() {
        let _ = writeln!(body, "\nNot measured: `{}`.", absent.join("`, `"));
    }
    let title = format!(
        "All metrics: {met} targets met, {missed} missed, {unknown} unknown, {} not measured",
        absent.len()
    );
    markdown::folded(&title, &body)
}

/// Cuts a text to at most `characters_max` characters, and adds a note if it was cut.
pub fn fit(text: &str, characters_max: usize) -> String {
    const CUT: &str = "\n\n(cut off: the whole text is in the summary of the job)\n";
    if text.chars().count() <= characters_max {
        return text.to_owned();
    }
    // The folded sections come last: if one is cut off, nothing that follows is hidden in it.
    let kept: String = text
        .chars()
        .take(characters_max - CUT.chars().count())
        .collect();
    // At the end of a line, since half a table row would be shown as text.
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
        let headline = (judged.overall, &["binary/size"][..]);
        let metrics = fixture::mixed();
        let text = of_comparison(&run, &judged, headline, &[], Some(&metrics));
        assert!(
            text.starts_with("### BLOCK: much worse: `binary/size`\n"),
            "{text}"
        );
        assert!(text.contains("| `binary/size` | "), "{text}");
        assert!(text.contains("What to do: "), "{text}");
        assert!(text.contains("All metrics: "), "{text}");
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
        let headline = (judged.overall, &[][..]);
        let text = of_comparison(&run, &judged, headline, &[], Some(&metrics))
            + &without_verdict(hostile, None);
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
        let run = fixture::run(&[Tier::One]);
        let text = without_verdict("there is no comparison", Some(&run));
        assert!(
            text.starts_with("### No verdict\n\n`there is no comparison`\n"),
            "{text}"
        );
    }

    #[test]
    fn a_run_of_several_machines_names_each_once() {
        let mut run = fixture::mixed();
        run.parts = ["EPYC", "Xeon", "EPYC"]
            .map(|model| fixture::part(&run, model, &[]))
            .to_vec();
        let text = machines(&run);
        assert_eq!(text.matches("Machine: ").count(), 2, "{text}");
        assert!(text.contains("`Xeon`"), "{text}");
    }
}
