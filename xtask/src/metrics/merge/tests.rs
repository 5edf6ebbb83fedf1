//! Merging real files in a temporary folder.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::metrics::catalog::{LATENCY_P50, LATENCY_P99, MEMORY_PEAK_RSS, Metric, Tier};
use crate::metrics::model::{Note, Outcome, Run, State, Value};
use crate::metrics::render::fixture;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(self, name: &str, text: &str) -> Self {
        fs::write(self.0.path().join(name), text).unwrap();
        self
    }

    fn merge(&self, files: &[&str], across_hosts: bool) -> anyhow::Result<Exit> {
        let path = |name: &str| self.0.path().join(name);
        run(&flags::Merge {
            files: files.iter().map(|name| path(name)).collect(),
            output: path("out.json"),
            run_output: files
                .iter()
                .all(|name| name.starts_with("run"))
                .then(|| path("merged.json")),
            across_hosts,
        })
    }

    fn refusal(&self, files: &[&str]) -> String {
        let error = self.merge(files, false).unwrap_err();
        assert!(
            !self.0.path().join("out.json").exists(),
            "a refusal writes nothing"
        );
        format!("{error:#}").replace(&self.0.path().display().to_string(), "")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }
}

fn run_with(tier: Tier, metric: &Metric, value: f64) -> Run {
    let mut run = fixture::run(&[tier]);
    fixture::set(&mut run, metric, Value::Float(value), None);
    run
}

const P50: &str = r#"[{"name": "latency/p50", "value": 2.3, "unit": "ms"}]"#;
const SIZE: &str = r#"[{"name": "binary/size", "value": 8432640, "unit": "bytes"}]"#;

#[test]
fn arrays_become_one_in_the_order_of_the_catalogue() {
    let folder = Folder::new().with("a.json", P50).with("b.json", SIZE);
    assert_eq!(
        folder.merge(&["a.json", "b.json"], false).unwrap().code(),
        0
    );
    let out = folder.read("out.json");
    assert!(
        out.find("binary/size").unwrap() < out.find("latency/p50").unwrap(),
        "{out}"
    );
    assert_eq!(out.lines().count(), 4);
}

#[test]
fn two_values_for_one_metric_are_refused_with_both_files() {
    let other = P50.replace("2.3", "2.4");
    let folder = Folder::new().with("a.json", P50).with("b.json", &other);
    assert_eq!(
        folder.refusal(&["a.json", "b.json"]),
        "`latency/p50` has two values: 2.3 in `/a.json` and 2.4 in `/b.json`: \
         leave out one of the files"
    );
}

#[test]
fn runs_of_two_tiers_become_one_run() {
    let one = run_with(Tier::One, &LATENCY_P50, 2.3).to_text();
    let two = run_with(Tier::Two, &LATENCY_P99, 9.5).to_text();
    let folder = Folder::new()
        .with("run1.json", &one)
        .with("run2.json", &two);
    folder.merge(&["run1.json", "run2.json"], false).unwrap();
    let merged = Run::parse(&folder.read("merged.json")).unwrap();
    assert_eq!(merged.tiers, [Tier::One, Tier::Two]);
    assert_eq!(merged.parts.len(), 2);
    assert_eq!(merged.parts[1].metrics, ["latency/p99"]);
    let record = merged.record(&LATENCY_P99).unwrap();
    assert!(matches!(record.outcome, Outcome::Measured { .. }));
    assert!(record.notes.is_empty());
}

#[test]
fn hosts_are_never_merged_silently() {
    let mut other = run_with(Tier::Two, &LATENCY_P99, 9.5);
    other.host.cpu_model = Some("Xeon".to_owned());
    let folder = Folder::new()
        .with(
            "run1.json",
            &run_with(Tier::One, &LATENCY_P50, 2.3).to_text(),
        )
        .with("run2.json", &other.to_text());
    let files = ["run1.json", "run2.json"];
    let message = folder.refusal(&files);
    assert!(
        message.contains(r#"different hosts (cpu_model "AMD EPYC" and "Xeon")"#),
        "{message}"
    );
    assert!(
        message.contains("`/run1.json` and `/run2.json`"),
        "{message}"
    );
    folder.merge(&files, true).unwrap();
    let merged = Run::parse(&folder.read("merged.json")).unwrap();
    assert_eq!(
        merged.record(&LATENCY_P99).unwrap().notes,
        [Note::OtherHost]
    );
    assert!(merged.record(&LATENCY_P50).unwrap().notes.is_empty());
}

#[test]
fn quick_and_full_do_not_mix_nor_do_revisions() {
    let full = run_with(Tier::One, &LATENCY_P50, 2.3);
    let mut quick = run_with(Tier::Two, &LATENCY_P99, 9.5);
    quick.quick = true;
    let mut older = run_with(Tier::Two, &LATENCY_P99, 9.5);
    older.git.revision = Some("feed".to_owned());
    let folder = Folder::new()
        .with("run1.json", &full.to_text())
        .with("run2.json", &quick.to_text())
        .with("run3.json", &older.to_text());
    let message = folder.refusal(&["run1.json", "run2.json"]);
    assert!(message.contains("`/run2.json` a quick one"), "{message}");
    let message = folder.refusal(&["run1.json", "run3.json"]);
    assert!(message.contains("`/run3.json` of feed"), "{message}");
}

/// Two runs of two tiers, the second of another binary.
fn of_two_binaries(change: impl Fn(&mut Run)) -> [Run; 2] {
    let mut runs = [
        run_with(Tier::One, &LATENCY_P50, 2.3),
        run_with(Tier::Two, &LATENCY_P99, 9.5),
    ];
    runs[1].subject.sha256 = "feed".to_owned();
    runs.each_mut().into_iter().for_each(change);
    runs
}

#[test]
fn two_binaries_are_refused_unless_a_commit_makes_them_one_version() {
    let files = ["run1.json", "run2.json"];
    let folder = |[one, two]: [Run; 2]| {
        Folder::new()
            .with(files[0], &one.to_text())
            .with(files[1], &two.to_text())
    };
    // Checkouts without git, changed checkouts, and binaries that were given.
    let changes: [fn(&mut Run); 3] = [
        |run| run.git.revision = None,
        |run| run.git.dirty = true,
        |run| run.arms[0].revision = None,
    ];
    for change in changes {
        let message = folder(of_two_binaries(change)).refusal(&files);
        let expected = "`/run1.json` measured the binary ba7816bf and `/run2.json` feed";
        assert!(message.starts_with(expected), "{message}");
    }
    // Two jobs that built the same commit.
    let same = folder(of_two_binaries(|_| {}));
    same.merge(&files, false).unwrap();
    let merged = Run::parse(&same.read("merged.json")).unwrap();
    assert_eq!(merged.parts[1].subject.sha256, "feed");
}

#[test]
fn rows_keep_the_run_that_they_are_of() {
    let mut one = run_with(Tier::One, &LATENCY_P50, 2.3);
    let mut two = run_with(Tier::Two, &LATENCY_P99, 9.5);
    one.samples = vec![fixture::sample(&LATENCY_P50, Some(2.3), State::Counted)];
    two.samples = vec![fixture::sample(&LATENCY_P99, Some(9.5), State::Counted)];
    let folder = Folder::new()
        .with("run1.json", &one.to_text())
        .with("run2.json", &two.to_text());
    folder.merge(&["run1.json", "run2.json"], false).unwrap();
    let merged = Run::parse(&folder.read("merged.json")).unwrap();
    let sessions: Vec<_> = merged.samples.iter().map(|row| row.session).collect();
    assert_eq!(sessions, [0, 1]);
    // A merged run is merged again: its parts keep their places.
    let mut three = run_with(Tier::Three, &MEMORY_PEAK_RSS, 1e6);
    three.samples = vec![fixture::sample(&MEMORY_PEAK_RSS, Some(1e6), State::Counted)];
    fixture::set(
        &mut three,
        &MEMORY_PEAK_RSS,
        Value::Integer(1_000_000),
        None,
    );
    let folder = Folder::new()
        .with("run.a.json", &merged.to_text())
        .with("run.b.json", &three.to_text());
    folder.merge(&["run.a.json", "run.b.json"], false).unwrap();
    let merged = Run::parse(&folder.read("merged.json")).unwrap();
    let rows = merged.samples.iter();
    let sessions: Vec<_> = rows.map(|row| (row.session, &*row.metric)).collect();
    let expected = [
        (2, "memory/peak_rss"),
        (0, "latency/p50"),
        (1, "latency/p99"),
    ];
    assert_eq!(sessions, expected, "in the order of the catalogue");
    assert_eq!(merged.parts.len(), 3);
}

#[test]
fn a_run_of_the_schema_before_is_merged() {
    let old = include_str!("../../../test_data/run_schema_1.json");
    let mut other = run_with(Tier::Two, &LATENCY_P99, 9.5);
    other.host.image = Some("Debian GNU/Linux 12 (bookworm)".to_owned());
    let folder = Folder::new()
        .with("run1.json", old)
        .with("run2.json", &other.to_text());
    folder.merge(&["run1.json", "run2.json"], false).unwrap();
    let out = folder.read("out.json");
    assert!(
        out.contains("latency/p95") && out.contains("latency/p99"),
        "{out}"
    );
    let merged = Run::parse(&folder.read("merged.json")).unwrap();
    assert_eq!(merged.tally(&LATENCY_P50).counted, 2);
}

#[test]
fn a_value_beats_a_failure_and_the_failure_is_noted() {
    let mut failed = fixture::run(&[Tier::One]);
    fixture::record(&mut failed, &LATENCY_P50).outcome = Outcome::Failed {
        error: "no k6".to_owned(),
    };
    let folder = Folder::new().with("run1.json", &failed.to_text()).with(
        "run2.json",
        &run_with(Tier::One, &LATENCY_P50, 2.3).to_text(),
    );
    folder.merge(&["run1.json", "run2.json"], false).unwrap();
    let merged = Run::parse(&folder.read("merged.json")).unwrap();
    let record = merged.record(&LATENCY_P50).unwrap();
    assert!(matches!(record.outcome, Outcome::Measured { .. }));
    let [Note::Text(note)] = &record.notes[..] else {
        panic!("{:?}", record.notes)
    };
    assert!(note.contains("no k6"), "{note}");
}

#[test]
fn what_is_broken_is_named_with_its_file_and_place() {
    let run = run_with(Tier::One, &LATENCY_P50, 2.3).to_text();
    let cases: &[(&str, &str)] = &[
        ("", "the file is empty"),
        ("nonsense", "line 1 column 1"),
        ("[{\"name\": \"latency/p50\",", "line 1 column 24"),
        (&run[..run.len() - 20], "line "),
        (
            "[{\"name\": \"latency/p50\", \"value\": 1}]",
            "missing field `unit`",
        ),
        (
            &P50.replace("p50", "p51"),
            "entry 1 (`latency/p51`): unknown metric `latency/p51`",
        ),
        (&P50.replace("ms", "s"), "the unit is `s`, but must be `ms`"),
        (
            &P50.replace("2.3", "\"2.3\""),
            "the value is \"2.3\", but must be a number",
        ),
        (&P50.replace("2.3", "null"), "the value is null"),
        (
            &P50.replace("2.3", "-1"),
            "must be a number (negative only for an overhead)",
        ),
        (&SIZE.replace("8432640", "1.5"), "must be a whole number"),
        (
            &run.replace("\"value\": 2.3", "\"value\": true"),
            "must be a number",
        ),
        ("{\"schema\": 9}", "run schema 9"),
    ];
    for (text, expected) in cases {
        let folder = Folder::new().with("broken.json", text);
        let message = folder.refusal(&["broken.json"]);
        assert!(
            message.starts_with("failed to read `/broken.json`: "),
            "{message}"
        );
        assert!(message.contains(expected), "{message} lacks {expected}");
    }
    let message = Folder::new().refusal(&["none.json"]);
    assert!(
        message.starts_with("failed to read `/none.json`: No such file"),
        "{message}"
    );
}

#[test]
fn nothing_measured_and_overwriting_an_input_are_refused() {
    let folder = Folder::new()
        .with("run1.json", &fixture::run(&[Tier::One]).to_text())
        .with("a.json", P50);
    assert_eq!(
        folder.refusal(&["run1.json"]),
        "nothing was measured in `/run1.json`"
    );
    let out = folder.0.path().join("a.json");
    let error = run(&flags::Merge {
        files: vec![out.clone()],
        output: out,
        run_output: None,
        across_hosts: false,
    });
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("is an input and would be overwritten")
    );
}
