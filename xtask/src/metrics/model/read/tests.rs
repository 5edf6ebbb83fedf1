//! Run files: those of this schema, of the one before, and hostile ones.

use serde_json::{Value as Json, json};

use super::*;
use crate::metrics::catalog::{LATENCY_P50, LATENCY_P95};
use crate::metrics::model::{Distribution, RawData, State};
use crate::metrics::render::{self, fixture};
use crate::metrics::stats::{Histogram, Random};
use crate::metrics::{estimate, judge};

const SCHEMA_1: &str = include_str!("../../../../test_data/run_schema_1.json");

fn message(text: &str) -> String {
    format!("{:#}", anyhow::Error::new(Run::parse(text).unwrap_err()))
}

/// A run with rows in all tables.
fn whole() -> Run {
    let mut run = fixture::mixed();
    run.distributions.push(Distribution {
        session: 0,
        block: 0,
        arm: "head".to_owned(),
        of: "latency".to_owned(),
        buckets: Histogram::of([2.2, 2.2, 2.5]),
    });
    run.raw.push(RawData {
        session: 0,
        scenario: "latency".to_owned(),
        block: 0,
        data: json!({"k6": {"requests": 200}}),
    });
    run
}

#[test]
fn a_run_survives_its_file_and_a_row_is_a_line() {
    let run = whole();
    let text = run.to_text();
    assert_eq!(Run::parse(&text).unwrap(), run);
    let row = "{\"session\":0,\"block\":0,\"arm\":\"head\",\"order\":0,\"metric\":\"latency/p95\",\
               \"value\":15.0,\"n\":1,\"started\":1700000000000,\"steal\":0.5,\"state\":\"counted\"},";
    let mut lines = text.lines().map(str::trim);
    assert!(lines.any(|line| line == row), "{text}");
    assert!(text.contains("\"buckets\":[[2.2,2],[2.5,1]]}\n"), "{text}");
}

#[test]
fn a_file_of_the_schema_before_is_read_with_its_samples_as_rows() {
    let run = Run::parse(SCHEMA_1).unwrap();
    assert_eq!(
        (run.schema, run.seed, run.rules),
        (SCHEMA, 7_051_206_117_366_163, 0)
    );
    let arm = &run.arms[0];
    assert_eq!(
        (&arm.sha256, &arm.revision),
        (&run.subject.sha256, &run.git.revision)
    );
    let p95 = run.record(&LATENCY_P95).unwrap();
    assert!(matches!(p95.outcome, Outcome::Measured { .. }));
    let tally = run.tally(&LATENCY_P95);
    assert_eq!((tally.counted, tally.void), (2, 1));
    let rows: Vec<_> = run.samples_of(&LATENCY_P95).collect();
    assert_eq!(rows[1].value, Some(Value::Float(2.47)));
    assert_eq!(
        (rows[1].n, rows[1].started),
        (None, None),
        "it did not keep them"
    );
    assert_eq!(
        rows[2].reason.as_deref(),
        Some("k6 sent 1199 calls instead of 1200")
    );
    // Written anew, it is of this schema.
    assert_eq!(Run::parse(&run.to_text()).unwrap(), run);
}

#[test]
fn another_schema_and_a_torn_file_are_refused_in_words() {
    let text = whole().to_text();
    for other in ["0", "3", "18446744073709551615"] {
        let other_text = text.replacen("\"schema\": 2", &format!("\"schema\": {other}"), 1);
        assert_eq!(
            message(&other_text),
            format!(
                "run schema {other}, but this program reads 1 to 2: \
                 measure again with `cargo xtask metrics`"
            )
        );
    }
    let torn = message(&text[..text.len() / 2]);
    assert!(torn.starts_with("not a run: EOF while parsing"), "{torn}");
    assert!(torn.contains("line "), "{torn}");
    assert!(message("{}").contains("missing field `schema`"));
}

#[test]
fn what_the_catalogue_does_not_have_is_refused() {
    let text = whole().to_text();
    let cases = [
        (
            text.replace("latency/p50", "latency/p51"),
            "unknown metric `latency/p51`",
        ),
        (
            text.replace("latency/p50", "latency/p95"),
            "duplicate metric `latency/p95`",
        ),
        (
            text.replace("\"value\": 2.3", "\"value\": true"),
            "must be a number",
        ),
        (
            text.replace("\"value\":15.0", "\"value\":\"15\""),
            "must be a number",
        ),
        (
            text.replace("\"value\":15.0", "\"value\":-15.0"),
            "must be a number",
        ),
        (
            text.replace("\"value\":15.0", "\"value\":1e999"),
            "number out of range",
        ),
        (
            text.replace("\"value\":15.0", "\"value\":NaN"),
            "expected value",
        ),
        (
            text.replace("\"n\":1", "\"n\":1,\"n\":2"),
            "duplicate field `n`",
        ),
        (
            text.replace("\"counted\"", "\"fine\""),
            "unknown variant `fine`",
        ),
    ];
    for (text, expected) in cases {
        let message = message(&text);
        assert!(message.contains(expected), "{message} lacks {expected}");
    }
}

/// Does everything that is done with a run that was read.
fn use_run(run: &Run) {
    render::table::render(run);
    render::warnings::render(run);
    render::array::render(run);
    for metric in catalog::METRICS {
        run.record(metric)
            .map(|record| judge::target(metric, record));
        estimate::value(run, metric);
        estimate::interval(run, metric);
        estimate::pooled(run, metric);
        estimate::unreported(run, metric);
    }
    run.to_text();
}

/// A random JSON value of a type or size that no field expects.
fn hostile(random: &mut Random) -> Json {
    match random.next() % 14 {
        0 => Json::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(u64::MAX),
        4 => json!(i64::MIN),
        5 => json!(f64::MAX),
        6 => json!(-f64::MAX),
        7 => json!(5e-324),
        8 => json!(""),
        9 => json!("\u{0}\u{1b}[31m\u{202e}é"),
        10 => json!([]),
        11 => json!({}),
        12 => json!([[f64::MAX, u64::MAX], [-f64::MAX, u64::MAX], [0, 0]]),
        _ => json!("latency/p99"),
    }
}

/// Puts a hostile value at a random place of a document, or removes the value at that place.
fn corrupt(json: &mut Json, random: &mut Random) {
    let pick =
        |random: &mut Random, count: usize| usize::try_from(random.next() % count as u64).unwrap();
    let deeper = !random.next().is_multiple_of(8);
    match json {
        Json::Array(items) if deeper && !items.is_empty() => {
            let index = pick(random, items.len());
            match random.next() % 8 {
                0 => drop(items.remove(index)),
                1 => items.push(items[index].clone()),
                _ => corrupt(&mut items[index], random),
            }
        }
        Json::Object(fields) if deeper && !fields.is_empty() => {
            let index = pick(random, fields.len());
            let key = fields.keys().nth(index).unwrap().clone();
            match random.next() % 8 {
                0 => drop(fields.remove(&key)),
                1 => drop(fields.insert("x".to_owned(), hostile(random))),
                _ => corrupt(fields.get_mut(&key).unwrap(), random),
            }
        }
        _ => *json = hostile(random),
    }
}

#[test]
fn a_document_with_wrong_types_is_an_error_or_a_run() {
    let originals = [whole().to_text(), SCHEMA_1.to_owned()];
    let originals = originals.map(|text| serde_json::from_str::<Json>(&text).unwrap());
    let mut random = Random::new(1);
    let mut read = 0;
    for round in 0..4000 {
        let mut json = originals[round % 2].clone();
        for _ in 0..=random.next() % 3 {
            corrupt(&mut json, &mut random);
        }
        if let Ok(run) = Run::parse(&json.to_string()) {
            read += 1;
            use_run(&run);
        }
    }
    assert!(read > 100, "{read}");
}

#[test]
fn any_bytes_are_an_error_or_a_run() {
    let text = whole().to_text();
    let mut random = Random::new(2);
    for round in 0..4000 {
        let mut bytes = text.clone().into_bytes();
        let mut place = || usize::try_from(random.next() % bytes.len() as u64).unwrap();
        let (from, to, length) = (place(), place(), place() % 50);
        match round % 4 {
            0 => bytes.truncate(from),
            1 => bytes[from] = u8::try_from(to % 256).unwrap(),
            2 => drop(bytes.drain(from..(from + length).min(text.len()))),
            // Something twice: keys, rows, brackets.
            _ => {
                let piece = bytes[from..(from + length).min(text.len())].to_vec();
                bytes.splice(to..to, piece);
            }
        }
        if let Ok(run) = Run::parse(&String::from_utf8_lossy(&bytes)) {
            use_run(&run);
        }
    }
    for nested in ["[", "{\"schema\":2,\"settings\":{\"a\":", "{\"a\":"] {
        assert!(Run::parse(&nested.repeat(100_000)).is_err());
    }
}

#[test]
fn thousands_of_samples_are_read() {
    let mut run = whole();
    for block in 0..20_000 {
        let mut row = fixture::sample(&LATENCY_P50, Some(block as f64), State::Counted);
        row.block = block;
        run.samples.push(row);
    }
    let read = Run::parse(&run.to_text()).unwrap();
    assert_eq!(read.tally(&LATENCY_P50).counted, 20_000);
    use_run(&read);
}
