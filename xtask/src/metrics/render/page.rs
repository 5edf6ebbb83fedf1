//! One HTML file with all results: no network, no script. The content of a chart is also text: in its
//! label, and in a table below it.
//!
//! Names and texts come from files that others may have written: each is escaped where it is inserted.

mod chart;
mod html;
mod trends;

use std::fmt::Write as _;

use super::{comparison, number};
use crate::metrics::catalog::threshold::{Change, Scale};
use crate::metrics::catalog::{LATENCY_P50, METRICS, Metric, TTFB_P95, Unit};
use crate::metrics::digest;
use crate::metrics::estimate;
use crate::metrics::judge::{self, TargetVerdict, paired};
use crate::metrics::model::{Piece, is_future};
use html::{anchor, escape, folded, table};

pub use html::View;

const STYLE: &str = include_str!("page/style.css");
/// The percentiles of the latency curve.
const PERCENTILES: [f64; 11] = [
    0.0, 25.0, 50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9, 99.95,
];

pub fn render(view: &View<'_>) -> String {
    let parts = [
        ("targets", "Targets", targets(view)),
        ("comparison", "Last comparison", compared(view)),
        ("latency", "Latency by percentile", latency(view)),
        ("trends", "Trends", trends::section(view)),
        ("machine", "Machine", machine(view)),
    ];
    // A section without content has no link either.
    let there = || parts.iter().filter(|(.., body)| !body.is_empty());
    let links = there().map(|(id, title, _)| format!("<li><a href=\"#{id}\">{title}</a></li>"));
    let sections = there().map(|(id, title, body)| {
        format!("<section id=\"{id}\"><h2>{title}</h2>\n{body}</section>\n")
    });
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>ThoughtGate performance</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#content\">Skip to the content</a>\n\
         <header><h1>ThoughtGate performance</h1>\n<p class=\"soft\">Generated {}. \
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
    for (metric, record) in run.rows() {
        let class = match judge::target(metric, record) {
            TargetVerdict::Missed => " class=\"missed\"",
            _ => "",
        };
        let word = super::table::target_word(metric, record);
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
    let revision = run.git.revision.as_deref();
    let revision = revision.map_or("an unknown commit", digest::short);
    let marks = [
        (run.git.dirty, " with uncommitted changes"),
        (run.quick, ", by a quick run (not to be quoted)"),
        (!run.complete, ", by a run that was cut off"),
    ];
    let marks = marks.iter().filter(|mark| mark.0).map(|mark| mark.1);
    format!(
        "<p>Commit <code>{}</code>{}, measured {}: medians over blocks of fresh processes, with 95 % \
         intervals.</p>\n{}",
        escape(revision),
        marks.collect::<String>(),
        date(run.started, view.now),
        table(
            "Targets",
            &["Metric", "Value", "95 % interval", "Target", "Result"],
            &body
        )
    )
}

/// The day of a time in seconds since the epoch, which is not known if it is in the future.
fn date(seconds: u64, now: u64) -> String {
    let time = i64::try_from(seconds).ok();
    // A wrong clock: no date is better than one that has not come yet.
    let time = time.filter(|_| !is_future(seconds, now));
    let time = time.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or("at an unknown time".to_owned(), |time| {
        format!("on {}", time.strftime("%Y-%m-%d"))
    })
}

/// A metric's name; a link if the metric has a chart.
fn linked(view: &View<'_>, metric: &Metric) -> String {
    let name = metric.name;
    if trends::jobs(view, metric).len() > 1 {
        format!("<a href=\"#{}\"><code>{name}</code></a>", anchor(metric))
    } else {
        format!("<code>{name}</code>")
    }
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
        // The axis of the dots is in percent, so that differences in points have no chart.
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
    let arm = |name: &str| {
        let arm = comparison::arm(run, name);
        escape(&arm.unwrap_or_else(|| "unknown".to_owned()))
    };
    format!(
        "<p><code>{}</code> against <code>{}</code>, {}: <strong>{}</strong>. Seed {}.</p>\n{}\
         <p class=\"soft\">{}</p>\n<p class=\"soft\">Each dot is one block: the difference of the head, \
         or of the control (a second process of the base), from the base. Further right is worse.</p>\n\
         {charts}",
        arm(paired::HEAD),
        arm(paired::BASE),
        date(run.started, view.now),
        judged.overall.word(),
        run.seed,
        table("Comparison", &titles, &body),
        comparison::EXPLAINED,
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
    // A run of schema 1, or one without the latency scenario, has kept no times.
    if curves[0].is_empty() {
        return String::new();
    }
    let shown = |value: f64| number::Scale::of(Unit::Milliseconds, value).with_unit(value);
    let mut body = String::new();
    for (percentile, value) in &curves[0] {
        // By value and not by index: a run may have kept no times to the first byte.
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
    let of = |percentile: f64| {
        let mut points = curves[0].iter();
        let point = points.find(|at| at.0.total_cmp(&percentile).is_eq());
        point.map_or_else(String::new, |at| format!("; p{percentile} {}", shown(at.1)))
    };
    let label = format!(
        "Latency by percentile{}{}{}; the second line is the time to the first byte",
        of(50.0),
        of(95.0),
        of(99.0)
    );
    format!(
        "<p>All calls of all blocks together, with an upstream that takes 2 ms. The solid line is the \
         latency, the dashed one the time to the first byte.</p>\n{}{}",
        chart::percentiles(&label, &curves, &shown),
        folded(
            "Latency by percentile as a table",
            &table(
                "Latency by percentile",
                &["Percentile", "Latency", "Time to the first byte"],
                &body
            )
        )
    )
}

fn machine(view: &View<'_>) -> String {
    let Some(run) = view.run else {
        return String::new();
    };
    let missing = METRICS.iter().filter(|metric| {
        let record = run.record(metric);
        record.is_none_or(|record| record.value().is_none())
    });
    let missing: Vec<String> = missing
        .map(|metric| format!("<code>{}</code>", metric.name))
        .collect();
    let mut text = if missing.is_empty() {
        String::new()
    } else {
        format!("<p>Not measured: {}.</p>\n", missing.join(", "))
    };
    for piece in run.pieces() {
        let mut title = "Machine".to_owned();
        if let Some(metrics) = piece.metrics {
            let names = metrics.iter();
            let names = names.map(|name| format!("<code>{}</code>", escape(name)));
            let names: Vec<String> = names.collect();
            let model = piece.host.cpu_model.as_deref().unwrap_or("unknown CPU");
            title = format!("Machine with {model}");
            let _ = writeln!(
                text,
                "<h3>{}</h3>\n<p>{}</p>",
                escape(&title),
                names.join(", ")
            );
        }
        text += &facts(&title, &piece);
    }
    text
}

/// The table of a machine, its tools and the program.
fn facts(title: &str, piece: &Piece<'_>) -> String {
    let host = piece.host;
    let unknown = || "unknown".to_owned();
    let memory = host.memory_gib;
    let facts = [
        ("CPU", host.cpu_model.clone().unwrap_or_else(unknown)),
        ("Cores", host.logical_cores.to_string()),
        (
            "Memory",
            memory.map_or_else(unknown, |memory| format!("{memory} GiB")),
        ),
        ("Kernel", host.kernel.clone().unwrap_or_else(unknown)),
        ("System", host.image.clone().unwrap_or_else(unknown)),
        (
            "Virtualisation",
            host.virtualisation.clone().unwrap_or_else(unknown),
        ),
        ("SHA-256 of the binary", piece.subject.sha256.clone()),
    ];
    let tools = piece.tools.iter();
    let tools = tools.map(|(name, version)| (name.as_str(), version.clone()));
    let mut body = String::new();
    for (name, value) in facts.into_iter().chain(tools) {
        let _ = writeln!(
            body,
            "<tr><th scope=\"row\">{}</th><td><code>{}</code></td></tr>",
            escape(name),
            escape(&value)
        );
    }
    table(title, &["Fact", "Value"], &body)
}

#[cfg(test)]
mod tests;
