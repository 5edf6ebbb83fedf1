//! One HTML file that shows it all: no network, no script. What a chart shows is also text: in its
//! label, and in a table below it.
//!
//! Names and texts come out of files that others may have written: each is escaped where it is put in.

mod chart;
mod trends;

use std::fmt::Write as _;

use super::{comparison, number, rows};
use crate::metrics::catalog::threshold::{Change, Scale};
use crate::metrics::catalog::{LATENCY_P50, Metric, TTFB_P95, Unit};
use crate::metrics::digest;
use crate::metrics::estimate;
use crate::metrics::history::file::History;
use crate::metrics::judge::paired::{self, Judged};
use crate::metrics::judge::{self, TargetVerdict};
use crate::metrics::model::{Outcome, Run};
use crate::metrics::trend::Moved;

const STYLE: &str = include_str!("page/style.css");
/// The percentiles of the latency curve.
const PERCENTILES: [f64; 11] = [
    0.0, 25.0, 50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9, 99.95,
];

/// What is shown; each part may be missing.
pub struct View<'a> {
    /// All jobs.
    pub history: &'a History,
    /// The branch whose jobs are charted.
    pub branch: &'a str,
    /// Its changes of level.
    pub moved: &'a [Moved],
    /// The last run.
    pub run: Option<&'a Run>,
    /// The last comparison.
    pub comparison: Option<(&'a Run, &'a Judged)>,
    /// When it is made, in words.
    pub made: &'a str,
}

/// A text within HTML.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter if letter.is_control() && !letter.is_whitespace() => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// The whole file.
pub fn render(view: &View<'_>) -> String {
    let parts = [
        ("targets", "Targets", targets(view)),
        ("comparison", "Last comparison", compared(view)),
        ("latency", "Latency by percentile", latency(view)),
        ("trends", "Trends", trends::section(view)),
        ("machine", "Machine", machine(view)),
    ];
    let there = || parts.iter().filter(|(.., body)| !body.is_empty());
    let links = there().map(|(id, title, _)| format!("<li><a href=\"#{id}\">{title}</a></li>"));
    let sections = there().map(|(id, title, body)| {
        format!("<section id=\"{id}\"><h2>{title}</h2>\n{body}</section>\n")
    });
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>ThoughtGate: what it costs</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#content\">Skip to the content</a>\n\
         <header><h1>ThoughtGate: what it costs</h1>\n<p class=\"soft\">Made {}. \
         <code>cargo xtask metrics</code> measures the same on any machine.</p>\n\
         <nav aria-label=\"Contents\"><ul>{}</ul></nav></header>\n<main id=\"content\">\n{}</main>\n\
         </body>\n</html>\n",
        escape(view.made),
        links.collect::<String>(),
        sections.collect::<String>(),
    )
}

fn targets(view: &View<'_>) -> String {
    let Some(run) = view.run else {
        return String::new();
    };
    let mut body = String::new();
    for (metric, record) in rows(run) {
        let verdict = judge::target(metric, record);
        let (class, word) = match verdict {
            TargetVerdict::Met => ("", "met"),
            TargetVerdict::Missed => (" class=\"missed\"", "missed"),
            TargetVerdict::NoTarget => ("", "no target"),
            TargetVerdict::Unmeasured => ("", "not known"),
        };
        let (value, interval) = super::table::figures(metric, record);
        let _ = writeln!(
            body,
            "<tr{class}><th scope=\"row\">{}</th><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td><td>{word}</td></tr>",
            linked(view, metric),
            escape(&value),
            escape(&interval),
            escape(&number::target(metric.unit, metric.target)),
        );
    }
    let revision = run.git.revision.as_deref().unwrap_or("an unknown commit");
    format!(
        "<p>Commit <code>{}</code>: medians over blocks of fresh processes, with 95 % intervals.</p>\n{}",
        escape(digest::short(revision)),
        table(&["Metric", "Value", "95 % interval", "Target", ""], &body)
    )
}

/// A metric's name, as a link where there is a chart.
fn linked(view: &View<'_>, metric: &Metric) -> String {
    let name = metric.name;
    if trends::jobs(view, metric).len() > 1 {
        format!("<a href=\"#{}\"><code>{name}</code></a>", anchor(metric))
    } else {
        format!("<code>{name}</code>")
    }
}

fn anchor(metric: &Metric) -> String {
    metric.name.replace('/', "-")
}

fn compared(view: &View<'_>) -> String {
    let Some((run, judged)) = view.comparison else {
        return String::new();
    };
    let mut body = String::new();
    let mut charts = String::new();
    for row in &judged.rows {
        let [verdict, metric, base, head, effect, interval, _] = comparison::cells(row);
        let _ = writeln!(
            body,
            "<tr><th scope=\"row\"><code>{metric}</code></th><td class=\"number\">{base}</td>\
             <td class=\"number\">{head}</td><td class=\"number\">{effect}</td>\
             <td class=\"number\">{interval}</td><td>{verdict}</td></tr>"
        );
        let is_share =
            matches!(row.metric.change(), Change::Tested(of) if of.scale == Scale::Share);
        let blocks = paired::by_block(run, row.metric).filter(|_| is_share);
        let Some([head, control]) = blocks else {
            continue;
        };
        let label = format!(
            "{metric}: differences of {} blocks; the head is worse by {effect}, {interval}",
            head.len()
        );
        let _ = writeln!(
            charts,
            "<h3><code>{metric}</code></h3>\n{}",
            chart::differences(&label, &head, &control)
        );
    }
    let titles = [
        "Metric",
        "Base",
        "Head",
        "Worse by",
        "95 % interval",
        "Verdict",
    ];
    format!(
        "<p>Verdict: <strong>{}</strong>. Seed {}.</p>\n{}<p class=\"soft\">One dot is one block: what \
         the head, and the control, differ from the base by. To the right is worse.</p>\n{charts}",
        judged.overall.word(),
        run.seed,
        table(&titles, &body)
    )
}

fn latency(view: &View<'_>) -> String {
    let Some(run) = view.run else {
        return String::new();
    };
    let curves = [&LATENCY_P50, &TTFB_P95].map(|metric| {
        let (times, _) = estimate::times(run, metric);
        let points = PERCENTILES.iter();
        let points = points
            .filter_map(|percentile| Some((*percentile, times.quantile(percentile / 100.0)?)));
        points.collect::<Vec<(f64, f64)>>()
    });
    if curves[0].is_empty() {
        return String::new();
    }
    let shown = |value: f64| number::Scale::of(Unit::Milliseconds, value).with_unit(value);
    let mut body = String::new();
    for (percentile, value) in &curves[0] {
        let waiting = curves[1]
            .iter()
            .find(|at| at.0.total_cmp(percentile).is_eq());
        let _ = writeln!(
            body,
            "<tr><th scope=\"row\">{percentile} %</th><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td></tr>",
            shown(*value),
            waiting.map(|at| shown(at.1)).unwrap_or_default(),
        );
    }
    format!(
        "<p>All calls of all blocks together, with a service of 2 ms behind the proxy.</p>\n{}{}",
        chart::percentiles(
            "Latency and time to the first byte by percentile",
            &curves,
            &shown
        ),
        folded(
            "The same as a table",
            &table(
                &["Calls that took no longer", "Latency", "To the first byte"],
                &body
            )
        )
    )
}

fn machine(view: &View<'_>) -> String {
    let Some(run) = view.run else {
        return String::new();
    };
    let host = &run.host;
    let unknown = || "unknown".to_owned();
    let facts = [
        ("CPU", host.cpu_model.clone().unwrap_or_else(unknown)),
        ("Cores", host.logical_cores.to_string()),
        (
            "Memory",
            host.memory_gib
                .map_or_else(unknown, |memory| format!("{memory} GiB")),
        ),
        ("Kernel", host.kernel.clone().unwrap_or_else(unknown)),
        ("System", host.image.clone().unwrap_or_else(unknown)),
        (
            "Virtualisation",
            host.virtualisation.clone().unwrap_or_else(unknown),
        ),
        ("SHA-256 of the binary", run.subject.sha256.clone()),
        ("Seed", run.seed.to_string()),
    ];
    let tools = run
        .tools
        .iter()
        .map(|(name, version)| (name.as_str(), version.clone()));
    let mut body = String::new();
    for (name, value) in facts.into_iter().chain(tools) {
        let _ = writeln!(
            body,
            "<tr><th scope=\"row\">{}</th><td><code>{}</code></td></tr>",
            escape(name),
            escape(&value)
        );
    }
    let missing =
        rows(run).filter(|(_, record)| !matches!(record.outcome, Outcome::Measured { .. }));
    let missing: Vec<String> = missing
        .map(|(metric, _)| format!("<code>{}</code>", metric.name))
        .collect();
    let missing = if missing.is_empty() {
        String::new()
    } else {
        format!("<p>Not measured: {}.</p>\n", missing.join(", "))
    };
    missing + &table(&["Fact", "Value"], &body)
}

/// A table that scrolls by itself where the screen is narrow, with the keyboard too.
fn table(titles: &[&str], body: &str) -> String {
    let titles = titles
        .iter()
        .map(|title| format!("<th scope=\"col\">{title}</th>"));
    let titles: String = titles.collect();
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table\"><table><thead><tr>{titles}</tr></thead>\n\
         <tbody>{body}</tbody></table></div>\n"
    )
}

fn folded(title: &str, body: &str) -> String {
    format!("<details><summary>{title}</summary>\n{body}</details>\n")
}

#[cfg(test)]
mod tests;
