//! Verdicts of the commands as a process: what cannot be judged ends with one message, and recorded samples
//! get the same verdicts forever.

use std::path::Path;
use std::process::{Command, Output};

use expect_test::expect_file;

use super::{data, ends, stderr, xtask};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Judges recorded samples, and compares the output with the recorded one, byte for byte.
fn replays(name: &str, code: i32, verdict: &str) {
    let samples = data(&format!("comparisons/{name}.json"));
    for (format, ending) in [("table", "txt"), ("json", "verdict.json")] {
        let judge = |folder: &Path| -> Output {
            Command::new(env!("CARGO_BIN_EXE_xtask"))
                .args(["metrics", "judge", "--format", format, "--from"])
                .arg(&samples)
                .current_dir(folder)
                .output()
                .unwrap()
        };
        let output = judge(Path::new(env!("CARGO_MANIFEST_DIR")));
        ends(&output, code, verdict);
        assert_eq!(output.stdout, judge(&std::env::temp_dir()).stdout);
        let expected = data(&format!("comparisons/{name}.{ending}"));
        expect_file![expected].assert_eq(&String::from_utf8(output.stdout).unwrap());
    }
}

#[test]
fn a_larger_binary_is_a_block_for_ever() {
    replays("larger_binary", 1, "BLOCK");
}

/// A session of a program against a second build of itself.
#[test]
fn the_same_program_is_no_slower_than_itself() {
    replays("same_program", 0, "PASS");
}

/// The head was slowed down by 3 % CPU time per request.
#[test]
fn three_percent_more_cpu_is_noticed() {
    replays("cpu_3_percent", 0, "NOTICE");
}

/// The head was slowed down by 10 % of the median latency.
#[test]
fn ten_percent_more_latency_is_an_alert() {
    replays("slower_10_percent", 0, "ALERT");
}

/// Two endless loops ran during this session.
#[test]
fn nothing_passes_that_was_measured_beside_other_programs() {
    replays("busy_machine", 0, "INCONCLUSIVE");
}

#[test]
fn what_cannot_be_compared_is_told_before_anything_is_built() {
    let output = xtask(&["metrics", "compare", "--base", "no-such-branch"]);
    ends(&output, 2, "`no-such-branch`");
    let script = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(script.path(), "#!/bin/sh\n").unwrap();
    let output = xtask(&["metrics", "compare", "--base", text(script.path())]);
    ends(&output, 2, "is a script");
}

#[test]
fn a_file_that_is_no_comparison_is_named() {
    let run = data("run_schema_1.json");
    let output = xtask(&["metrics", "judge", "--from", text(&run)]);
    ends(&output, 2, "is not a comparison");
    let missing = data("no.json");
    let output = xtask(&["metrics", "judge", "--from", text(&missing)]);
    ends(&output, 2, "no.json");
}

#[test]
fn without_comparable_jobs_nothing_is_told_and_nothing_passes() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.jsonl");
    let run = data("run_schema_1.json");
    let of = |command: &[&str]| {
        let paths = ["--run", text(&run), "--branch", "main"];
        xtask(&[&["metrics"], command, &paths].concat())
    };
    let check = ["check", "--history", text(&history)];
    let output = of(&check);
    ends(&output, 0, "INCONCLUSIVE");
    let warning = stderr(&output);
    assert!(warning.contains("there are no jobs in"), "{warning}");
    let add = ["history", "--file", text(&history), "add"];
    ends(&of(&add), 0, "added to");
    ends(&of(&add), 0, "has this run already");
    // The same jobs, measured on another machine.
    let lines = std::fs::read_to_string(&history).unwrap();
    let others = lines.replace("\"key\":\"", "\"key\":\"another machine, ");
    assert_ne!(lines, others);
    std::fs::write(&history, others.repeat(30)).unwrap();
    let output = of(&check);
    ends(&output, 0, "INCONCLUSIVE");
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("against 0 comparable jobs"), "{table}");
    assert!(table.contains("insufficient history"), "{table}");
    ends(
        &of(&[&check[..], &["--strict"]].concat()),
        2,
        "INCONCLUSIVE",
    );
}

#[test]
fn what_is_no_history_is_left_alone_and_what_has_no_end_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes.md");
    std::fs::write(&notes, "# Notes\n").unwrap();
    let run = data("run_schema_1.json");
    let add = ["metrics", "history", "--file", text(&notes), "add"];
    let named = ["--run", text(&run), "--branch", "main"];
    ends(&xtask(&[&add[..], &named].concat()), 2, "is not a history");
    assert_eq!(std::fs::read_to_string(&notes).unwrap(), "# Notes\n");
    let output = xtask(&["metrics", "history", "show", "--file", "/dev/full"]);
    ends(&output, 2, "it is not a regular file");
    let comparison = data("comparisons/larger_binary.json");
    let samples = folder.path().join("compare.json");
    std::fs::copy(comparison, &samples).unwrap();
    let output = folder.path().join("array.json");
    let merge = ["metrics", "merge", text(&run), "--output", text(&output)];
    let run_output = ["--run-output", text(&samples)];
    let output = xtask(&[&merge[..], &run_output].concat());
    ends(&output, 2, "is not a run of metrics");
    let output = xtask(&["metrics", "trend", "--branch", "nobody's"]);
    ends(&output, 2, "there are no jobs of the branch `nobody's`");
    let output = xtask(&["metrics", "calibrate", "--only", "nosuch"]);
    ends(&output, 2, "expected one of none, cpu-3");
}
