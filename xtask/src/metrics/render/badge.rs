//! Badges: SVG files that need no service, and JSON files for the `endpoint` badges of shields.io.

use serde::Serialize;

use super::number;
use crate::metrics::catalog::{
    BINARY_SIZE, LATENCY_P95, MEMORY_IDLE_RSS, Metric, OVERHEAD_LATENCY_P50, THROUGHPUT_RPS_10VU,
};
use crate::metrics::judge::{self, TargetVerdict};
use crate::metrics::model::{Record, Run, is_future};

/// Age from which a figure is marked as stale.
pub const STALE_DAYS: u64 = 30;
const DAY_SECONDS: u64 = 24 * 60 * 60;

/// File name, title and metric of each badge.
const BADGES: &[(&str, &str, &Metric)] = &[
    ("binary-size", "binary size", &BINARY_SIZE),
    ("memory-idle", "idle memory", &MEMORY_IDLE_RSS),
    ("latency-p95", "latency p95", &LATENCY_P95),
    ("throughput", "throughput", &THROUGHPUT_RPS_10VU),
    ("overhead-p50", "overhead p50", &OVERHEAD_LATENCY_P50),
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Badge {
    /// The name of its files, without extension.
    pub file: &'static str,
    title: &'static str,
    message: String,
    colour: Colour,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    Met,
    Missed,
    Plain,
    Unknown,
}

impl Colour {
    /// The colour's name at shields.io.
    fn name(self) -> &'static str {
        match self {
            Colour::Met => "brightgreen",
            Colour::Missed => "orange",
            Colour::Plain => "blue",
            Colour::Unknown => "lightgrey",
        }
    }

    /// Dark enough that white text on it has a contrast of at least 4.5.
    fn hex(self) -> &'static str {
        match self {
            Colour::Met => "#27761e",
            Colour::Missed => "#a8500b",
            Colour::Plain => "#1f5fa6",
            Colour::Unknown => "#666666",
        }
    }
}

/// The badges of a run. `now` is in seconds since the epoch.
pub fn all(run: &Run, now: u64) -> Vec<Badge> {
    let doubt = if is_future(run.finished, now) {
        // It would never become stale.
        Some("time unknown")
    } else {
        let age = now.saturating_sub(run.finished);
        (age >= STALE_DAYS * DAY_SECONDS).then_some("stale")
    };
    let badges = BADGES.iter();
    badges
        .map(|(file, title, metric)| {
            let record = run.record(metric);
            let value = record.and_then(Record::value);
            let value = value.map(|value| number::value(metric.unit, value));
            let verdict = record.map(|record| judge::target(metric, record));
            let measured = value.is_some();
            let (message, colour) = match (value, verdict) {
                (Some(value), Some(TargetVerdict::Met)) => (value, Colour::Met),
                (Some(value), Some(TargetVerdict::Missed)) => (value, Colour::Missed),
                (Some(value), _) => (value, Colour::Plain),
                (None, _) => ("not measured".to_owned(), Colour::Unknown),
            };
            let (message, colour) = match doubt {
                // The value stays legible, but loses the colour that says that a target is met.
                Some(doubt) if measured => (format!("{message} ({doubt})"), Colour::Unknown),
                _ => (message, colour),
            };
            Badge {
                file,
                title,
                message,
                colour,
            }
        })
        .collect()
}

impl Badge {
    /// The JSON that an `endpoint` badge of shields.io reads.
    pub fn endpoint(&self) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Endpoint<'a> {
            schema_version: u32,
            label: &'a str,
            message: &'a str,
            color: &'a str,
        }
        let endpoint = Endpoint {
            schema_version: 1,
            label: self.title,
            message: &self.message,
            color: self.colour.name(),
        };
        serde_json::to_string(&endpoint).expect("plain data") + "\n"
    }

    /// The picture. The widths of texts are estimates; `textLength` makes a browser fit the texts to them.
    pub fn svg(&self) -> String {
        let (title, message) = (self.title, self.message.as_str());
        // By characters and not by bytes, of which `µ` has two.
        let width = |text: &str| 7 * text.chars().count();
        let (left, right) = (width(title) + 10, width(message) + 10);
        let (whole, fill) = (left + right, self.colour.hex());
        let text = |x: usize, text: &str| {
            let length = width(text);
            format!("<text x=\"{x}\" y=\"14\" textLength=\"{length}\">{text}</text>")
        };
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{whole}\" height=\"20\" role=\"img\" \
             aria-label=\"{title}: {message}\"><title>{title}: {message}</title>\
             <clipPath id=\"r\"><rect width=\"{whole}\" height=\"20\" rx=\"3\"/></clipPath>\
             <g clip-path=\"url(#r)\"><rect width=\"{left}\" height=\"20\" fill=\"#444\"/>\
             <rect x=\"{left}\" width=\"{right}\" height=\"20\" fill=\"{fill}\"/></g>\
             <g fill=\"#fff\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\">{}{}</g></svg>\n",
            text(5, title),
            text(left + 5, message),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::render::fixture;

    const LATER: u64 = 1_700_000_600 + STALE_DAYS * DAY_SECONDS;

    #[test]
    fn a_badge_tells_value_and_target_and_what_is_old_or_missing() {
        let run = fixture::mixed();
        let shown = |now: u64| -> Vec<String> {
            let badges = all(&run, now);
            badges.iter().map(Badge::endpoint).collect()
        };
        let fresh = shown(LATER - 1);
        expect_test::expect![[r#"
            {"schemaVersion":1,"label":"binary size","message":"8.43 MB","color":"brightgreen"}
            {"schemaVersion":1,"label":"idle memory","message":"not measured","color":"lightgrey"}
            {"schemaVersion":1,"label":"latency p95","message":"15.0 ms","color":"orange"}
            {"schemaVersion":1,"label":"throughput","message":"6,120 req/s","color":"orange"}
            {"schemaVersion":1,"label":"overhead p50","message":"-20.0 µs","color":"brightgreen"}
        "#]]
        .assert_eq(&fresh.concat());
        let stale = shown(LATER);
        assert!(
            stale[0].contains("\"8.43 MB (stale)\",\"color\":\"lightgrey\""),
            "{}",
            stale[0]
        );
        let future = shown(1_600_000_000);
        assert!(
            future[0].contains("\"8.43 MB (time unknown)\",\"color\":\"lightgrey\""),
            "{}",
            future[0]
        );
    }

    #[test]
    fn the_picture_says_it_in_words_too() {
        let svg = all(&fixture::mixed(), LATER - 1)[0].svg();
        assert!(svg.contains("aria-label=\"binary size: 8.43 MB\""), "{svg}");
        assert!(svg.contains("<title>binary size: 8.43 MB</title>"), "{svg}");
    }
}
