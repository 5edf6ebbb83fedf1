//! The content of the page, and the pieces of HTML of which all its sections are made.
//!
//! Deliberately absent: the sections themselves, and what their figures mean.

use crate::metrics::catalog::Metric;
use crate::metrics::history::file::History;
use crate::metrics::judge::level::Moved;
use crate::metrics::judge::paired::Judged;
use crate::metrics::model::Run;
use crate::metrics::render::markdown;

/// The content of the page; each part may be missing.
pub struct View<'a> {
    pub history: &'a History,
    /// The branch whose jobs are charted.
    pub branch: &'a str,
    /// The changes of level on that branch.
    pub moved: &'a [Moved],
    pub run: Option<&'a Run>,
    pub comparison: Option<(&'a Run, &'a Judged)>,
    /// The time at which the page is generated, in words.
    pub made: &'a str,
    /// The same in seconds since the epoch.
    pub now: u64,
}

/// Escapes a text for HTML, attributes included.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter if letter.is_control() && !letter.is_whitespace() => escaped.push('\u{fffd}'),
            // Invisible, or it turns the text around.
            letter if markdown::is_unseen(letter) => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// The id of a metric's chart.
pub(super) fn anchor(metric: &Metric) -> String {
    metric.name.replace('/', "-")
}

/// A table that scrolls on its own on a narrow screen, by keyboard too.
pub(super) fn table(name: &str, titles: &[&str], body: &str) -> String {
    let titles = titles
        .iter()
        .map(|title| format!("<th scope=\"col\">{title}</th>"));
    let titles: String = titles.collect();
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"><table><thead><tr>{titles}</tr></thead>\n\
         <tbody>{body}</tbody></table></div>\n",
        escape(name)
    )
}

/// A part that is closed until a reader opens it.
pub(super) fn folded(title: &str, body: &str) -> String {
    format!("<details><summary>{title}</summary>\n{body}</details>\n")
}
