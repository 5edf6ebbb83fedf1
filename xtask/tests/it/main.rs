//! The command line as a process: exit codes, the closing line, and what goes to stdout and stderr.
//!
//! Deliberately absent: a measuring run, which builds for minutes; `cargo xtask ci` makes one.

mod environment;
mod reaper;
mod reports;
mod verdicts;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn xtask(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Path of a file of the test data.
fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("test_data")
        .join(name)
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Checks the exit code, and that the last line of stderr contains it and `why`.
fn ends(output: &Output, code: i32, why: &str) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    let last = text.lines().last().unwrap_or_default();
    assert!(last.starts_with(&format!("exit {code}: ")), "{text}");
    assert!(last.contains(why), "{text}");
}

#[test]
fn the_catalogue_goes_to_stdout() {
    let output = xtask(&["metrics", "list"]);
    ends(&output, 0, "26 metrics of the requirement, ");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("M-LAT-001    latency/p50"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colour outside of a terminal");
    let json = xtask(&["metrics", "list", "--json"]).stdout;
    let entries: Vec<serde_json::Value> = serde_json::from_slice(&json).unwrap();
    let required = entries.iter().filter(|entry| entry["extra"] == false);
    assert_eq!(required.count(), 26);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let mut child = command
        .args(["metrics", "list"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    ends(&child.wait_with_output().unwrap(), 0, "26 metrics");
}

#[test]
fn misuse_is_exit_2_and_help_is_not() {
    ends(
        &xtask(&["metrics", "--tier", "4"]),
        2,
        "invalid command line (see `cargo xtask --help`)",
    );
    ends(
        &xtask(&[]),
        2,
        "invalid command line (see `cargo xtask --help`)",
    );
    let help = xtask(&["metrics", "--help"]);
    assert!(help.status.success());
    let text = String::from_utf8(help.stdout).unwrap();
    for told in ["--enforce-targets", "--strict", "Exit codes: 0 fine"] {
        assert!(text.contains(told), "{text}");
    }
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_built() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    let output = xtask(&["metrics", "--output", &path]);
    ends(&output, 2, "it is not a regular file");
    let missing = format!("{path}/thoughtgate");
    let output = xtask(&["metrics", "--quick", "--binary", &missing]);
    ends(&output, 2, "failed to find the binary");
    let text = stderr(&output);
    assert!(!text.contains("Compiling"), "{text}");
}

#[test]
fn merging_names_the_broken_file_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("half.json"), "[{\"name\": \"latency/p50\", \"va").unwrap();
    let output = xtask(&[
        "metrics",
        "merge",
        &path("half.json"),
        "--output",
        &path("out.json"),
    ]);
    ends(&output, 2, "half.json");
    assert!(
        stderr(&output).contains("line 1 column 28"),
        "{}",
        stderr(&output)
    );
    assert!(!folder.path().join("out.json").exists());
}

#[test]
fn the_doctor_tells_costs_and_the_way_out() {
    // No tool is in this PATH; the doctor only finds those whose path it is given.
    let empty = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .arg("doctor")
        .env("PATH", empty.path())
        .env_remove("K6");
    let output = command.output().unwrap();
    ends(
        &output,
        2,
        "nothing can be measured on this machine; missing: rustc, linker",
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("costs: instructions/policy_eval"), "{text}");
    assert!(text.contains("hint: apt-get install valgrind"), "{text}");
}
