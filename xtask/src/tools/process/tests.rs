//! Children are killed with all they started, output is bounded, deadlines hold.

use std::time::Duration;

use rustix::process::{Pid, test_kill_process};

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
