//! The process helper, on programs that every test machine has.

use std::io::ErrorKind;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use thoughtgate_test::process::{Output, Process};

const PATIENCE: Duration = Duration::from_secs(10);

fn shell(script: &str, environment: &[(&str, &str)]) -> Process {
    Process::start("/bin/sh", &["-c", script], environment).expect("there is a shell")
}

#[test]
fn finds_the_first_line_with_a_prefix_on_each_output() {
    let script = "echo other; echo \"ready $WHO\"; echo ready later; echo \"oops\" >&2; cat";
    let process = shell(script, &[("WHO", "me")]);
    let line = process
        .wait_line(Output::Stdout, "ready", PATIENCE)
        .unwrap();
    assert_eq!(line, "ready me");
    assert_eq!(
        process.wait_line(Output::Stderr, "oo", PATIENCE).unwrap(),
        "oops"
    );
}

#[test]
fn tells_a_line_that_does_not_come_from_one_that_cannot_come() {
    let process = shell("echo something; cat", &[]);
    process
        .wait_line(Output::Stdout, "something", PATIENCE)
        .unwrap();
    let error = process
        .wait_line(Output::Stdout, "else", Duration::from_millis(20))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(
        error.to_string().contains("something"),
        "what was printed is shown"
    );

    let process = shell("echo why >&2", &[]);
    let error = process
        .wait_line(Output::Stdout, "else", PATIENCE)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn waits_terminates_and_tells_the_status() {
    let mut process = shell("cat; exit 3", &[]);
    let error = process.wait(Duration::from_millis(20)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    process.stdin().unwrap().write_all(b"line\n").unwrap();
    process.wait_line(Output::Stdout, "line", PATIENCE).unwrap();
    process.close_stdin();
    assert_eq!(process.wait(PATIENCE).unwrap().code(), Some(3));

    let mut process = shell("exec cat", &[]);
    process.terminate().unwrap();
    assert_eq!(process.wait(PATIENCE).unwrap().signal(), Some(15));
}

#[test]
fn leaves_no_process_behind() {
    let process = shell("exec cat", &[]);
    let proc_entry = std::path::PathBuf::from(format!("/proc/{}", process.id()));
    assert!(proc_entry.exists());
    drop(process);
    assert!(!proc_entry.exists());
}

#[test]
fn names_a_program_that_is_not_there() {
    let error = Process::start::<&str>("/no/such/program", &[], &[]).unwrap_err();
    assert!(error.to_string().contains("/no/such/program"));
}

#[test]
fn all_that_was_printed_is_there_after_the_end() {
    // What holds the pipe makes the end of the output late for sure.
    let mut process = shell("(sleep 0.1; echo last >&2) &", &[]);
    assert!(process.wait(PATIENCE).unwrap().success());
    assert_eq!(process.output(Output::Stderr), ["last"]);
}
