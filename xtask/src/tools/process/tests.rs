//! Children are killed with all they started, output is bounded, deadlines hold.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};
use xshell::{Shell, cmd};

use super::capture::HEAD_BYTES;
use super::{Launch, Stream};

const LONG: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Launch {
    Launch::new("sh").args(["-c", script])
}

/// Whether the process is gone, given a moment for its adopter to collect it.
fn gone(pid: i32) -> bool {
    let pid = Pid::from_raw(pid).expect("a process id");
    for _ in 0..200 {
        // A zombie that nobody collected yet has been killed just as well.
        let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        let zombie = state.is_ok_and(|stat| stat.contains(") Z "));
        if zombie || test_kill_process(pid).is_err() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

fn printed_pid(text: &str) -> Option<i32> {
    text.split_once('\n')?.0.trim().parse().ok()
}

#[test]
fn output_and_exit_status_come_back() {
    let output = shell("echo out; echo err >&2")
        .run(LONG)
        .unwrap()
        .success()
        .unwrap();
    assert_eq!(output.stdout.text(), "out\n");
    assert_eq!(output.stderr.text(), "err\n");
}

#[test]
fn failure_names_command_status_and_last_words() {
    let error = shell("echo one >&2; echo two >&2; exit 3")
        .run(LONG)
        .unwrap()
        .success();
    let message = error.unwrap_err().to_string();
    assert!(message.contains("sh -c"), "{message}");
    assert!(message.contains("exit status: 3"), "{message}");
    assert!(message.ends_with("  one\n  two"), "{message}");
}

#[test]
fn a_missing_program_is_named() {
    let error = Launch::new("/nowhere/tool")
        .arg("version")
        .run(LONG)
        .unwrap_err();
    assert_eq!(error.to_string(), "failed to start `/nowhere/tool version`");
}

#[test]
fn a_command_of_a_script_keeps_its_folder_and_variables_and_no_others_that_change_results() {
    let folder = tempfile::tempdir().unwrap();
    let sh = Shell::new().unwrap();
    sh.change_dir(folder.path());
    // Cargo sets the last one for tests, and no child gets it.
    let script = r#"pwd -P; echo "$0 $ONE $TWO $THREE $LC_ALL $CARGO_MANIFEST_DIR""#;
    let command = || {
        let command = cmd!(sh, "sh -c {script} 'two words'");
        command.env("ONE", "1").env("TWO", "2").env_remove("TWO")
    };
    let printed = |launch: Launch| {
        let output = launch.env("THREE", "3").run(LONG).unwrap();
        output.success().unwrap().stdout.text()
    };
    let place = folder.path().canonicalize().unwrap();
    let expected = format!("{}\ntwo words 1  3 C \n", place.display());
    assert_eq!(printed(Launch::from(command())), expected);
    assert_eq!(printed(Launch::bare_script(command())), expected);
    let elsewhere = Launch::from(command()).directory(Path::new("/"));
    assert_eq!(printed(elsewhere), "/\ntwo words 1  3 C \n");
}

#[test]
fn a_program_is_found_from_the_directory_of_this_process() {
    let depth = std::env::current_dir().unwrap().components().count() - 1;
    // Deeper, so that the path leads nowhere from there.
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("d/".repeat(depth));
    std::fs::create_dir_all(&deep).unwrap();
    let launch = Launch::new(format!("{}bin/pwd", "../".repeat(depth))).directory(&deep);
    let output = launch.arg("-P").run(LONG).unwrap().success().unwrap();
    let printed = output.stdout.text();
    assert_eq!(Path::new(printed.trim()), deep.canonicalize().unwrap());
}

#[test]
fn the_end_of_an_output_is_seen_and_the_moment_of_the_start_is_known() {
    let before = Instant::now();
    let child = shell("exit 0").start().unwrap();
    let after = Instant::now();
    assert!(before <= child.started() && child.started() <= after);
    // Here would be the end of the deadline if this process held the pipes, too.
    child.stdout.settle(LONG);
    child.stderr.settle(LONG);
    assert!(after.elapsed() < LONG);
}

#[test]
fn an_input_ends_with_the_wait_for_its_reader() {
    let mut child = Launch::new("cat").hold_input().start().unwrap();
    child.tell("a line").unwrap();
    let status = child.wait(LONG).unwrap();
    let output = child.output(status).success().unwrap();
    assert_eq!(output.stdout.text(), "a line\n");
}

#[test]
fn a_line_that_nobody_reads_is_told_with_the_exit_status() {
    let mut child = shell("exit 3").hold_input().start().unwrap();
    while child.ended().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let message = child.tell("a line").unwrap_err().to_string();
    assert!(
        message.contains("ended unexpectedly (exit status: 3)"),
        "{message}"
    );
}

#[test]
fn drop_kills_grandchildren() {
    let mut child = shell("sleep 300 & echo $!; wait").start().unwrap();
    let grandchild = child.wait_for(Stream::Stdout, LONG, printed_pid).unwrap();
    drop(child);
    assert!(gone(grandchild));
}

#[test]
fn stop_kills_what_ignores_the_request() {
    let mut child = shell("trap '' TERM; sleep 300 & echo $!; wait; wait")
        .start()
        .unwrap();
    let grandchild = child.wait_for(Stream::Stdout, LONG, printed_pid).unwrap();
    assert!(child.stop(Duration::from_millis(200)).is_none());
    assert!(gone(grandchild));
}

#[test]
fn stop_tells_how_a_willing_child_ended() {
    let mut child = shell("trap 'exit 7' TERM; echo 1; while :; do sleep 0.01; done")
        .start()
        .unwrap();
    child.wait_for(Stream::Stdout, LONG, printed_pid).unwrap();
    assert_eq!(child.stop(LONG).and_then(|status| status.code()), Some(7));
}

#[test]
fn a_deadline_kills_and_tells_the_last_words() {
    let error = shell("echo busy >&2; sleep 300")
        .run(Duration::from_millis(300))
        .unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("did not end within 300ms and was killed"),
        "{message}"
    );
    assert!(message.contains("busy"), "{message}");
}

#[test]
fn output_beyond_the_cap_is_an_error_and_does_not_block() {
    let more = HEAD_BYTES + 4096;
    let output = shell(&format!("head -c {more} /dev/zero"))
        .run(LONG)
        .unwrap();
    assert_eq!(output.stdout.text().len(), HEAD_BYTES);
    assert_eq!(output.stdout.dropped_bytes(), 4096);
    assert!(
        output
            .success()
            .unwrap_err()
            .to_string()
            .contains("4096 bytes more than are kept")
    );
}

#[test]
fn a_process_left_behind_does_not_hold_up_the_end() {
    let output = shell("sleep 300 & echo $!")
        .run(LONG)
        .unwrap()
        .success()
        .unwrap();
    assert!(gone(printed_pid(&output.stdout.text()).unwrap()));
}

#[test]
fn the_end_of_an_awaited_child_is_told() {
    let mut child = shell("echo port in use >&2; exit 1").start().unwrap();
    let error = child
        .wait_for(Stream::Stderr, LONG, |text| text.find("listening"))
        .unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("ended unexpectedly (exit status: 1)"),
        "{message}"
    );
    assert!(message.contains("port in use"), "{message}");
}

#[test]
fn an_error_of_the_look_ends_the_child() {
    let mut child = shell("sleep 300").start().unwrap();
    let error = child
        .wait_watching(LONG, &mut || anyhow::bail!("the subject died"))
        .unwrap_err();
    assert_eq!(error.to_string(), "the subject died");
    assert!(child.ended().unwrap().is_some());
}
