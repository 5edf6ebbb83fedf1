//! Panics, each in a child process because a panic may end the process: a test runs its own executable
//! again, which then takes the branch of [`is_child`].

use std::process::{Command, Output};
use std::sync::{Mutex, RwLock};
use std::task::Poll;

use thoughtgate_panic::{
    Panicked, contain, contained, count, info, install, lock, log, read, warn, write,
};

const CHILD: &str = "CHILD_OF_A_PANIC_TEST";

/// Command that runs the test `name` in a child process, where [`is_child`] is true.
fn child(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]);
    command.env(CHILD, name);
    command
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Lines of the log; the test harness writes others.
fn lines(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stderr);
    let own = text
        .lines()
        .filter(|line| line.starts_with("thoughtgate: "));
    own.map(str::to_owned).collect()
}

fn panic_with_foreign_text() {
    let foreign = "a token of somebody";
    panic!("cannot read {foreign}");
}

fn poll<F: Future + Unpin>(mut future: F) -> Poll<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    std::pin::Pin::new(&mut future).poll(&mut context)
}

#[test]
fn a_contained_panic_ends_its_own_work_alone() {
    if is_child() {
        install();
        assert_eq!(contain(|| 3), Ok(3));
        assert_eq!(contain(panic_with_foreign_text), Err(Panicked));
        let future = Box::pin(async { panic_with_foreign_text() });
        assert_eq!(
            poll(Box::pin(contained(future))),
            Poll::Ready(Err(Panicked))
        );
        let within = contain(|| {
            // After the inner work has ended, the outer work must still be contained.
            let _ = contain(panic_with_foreign_text);
            panic_with_foreign_text();
        });
        assert_eq!(within, Err(Panicked));
        assert_eq!(count(), 4);
        return;
    }
    let output = child("a_contained_panic_ends_its_own_work_alone")
        .output()
        .unwrap();
    assert!(output.status.success());
    let lines = lines(&output);
    assert_eq!(lines.len(), 4, "{lines:?}");
    for line in lines {
        assert!(
            line.contains("a request failed") && line.contains("main.rs:"),
            "{line}"
        );
        assert!(!line.contains("token"), "{line}");
    }
}

#[test]
fn any_other_panic_ends_the_process_with_a_line() {
    if is_child() {
        install();
        let thread = std::thread::Builder::new().name("audit".to_owned());
        let _ = thread.spawn(panic_with_foreign_text).unwrap().join();
        return;
    }
    let output = child("any_other_panic_ends_the_process_with_a_line")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let lines = lines(&output);
    let [line] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert!(
        line.contains("the process exits") && line.contains("`audit`"),
        "{line}"
    );
    assert!(!line.contains("token"), "{line}");
}

#[test]
fn once_the_log_has_started_its_lines_are_written_before_the_process_ends() {
    let name = "once_the_log_has_started_its_lines_are_written_before_the_process_ends";
    if is_child() {
        install();
        let settings = log::Settings {
            format: log::Format::Json,
            level: log::Level::Warn,
        };
        log::start(settings).unwrap();
        for line in 0..100 {
            info!("not logged");
            warn!(line = 7_u64; "warning {line}");
        }
        panic_with_foreign_text();
    }
    let output = child(name).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with('{')).collect();
    assert_eq!(lines.len(), 101, "{text}");
    assert!(lines[99].ends_with("\"message\":\"warning 99\",\"line\":7}"));
    assert!(lines[100].contains("\"level\":\"error\"") && lines[100].contains("process exits"));
    assert!(!text.contains("token"), "{text}");
}

#[test]
fn a_lock_that_a_panic_left_half_changed_ends_the_process() {
    if is_child() {
        let book = Mutex::new(0);
        let _ = contain(|| {
            let _book = lock(&book);
            panic_with_foreign_text();
        });
        panic!("used {}", *lock(&book));
    }
    ends_at_the_lock("a_lock_that_a_panic_left_half_changed_ends_the_process");
}

#[test]
fn so_does_one_that_is_only_read() {
    if is_child() {
        let slices = RwLock::new(0);
        let _ = contain(|| {
            let _slices = write(&slices);
            panic_with_foreign_text();
        });
        panic!("used {}", *read(&slices));
    }
    ends_at_the_lock("so_does_one_that_is_only_read");
}

fn ends_at_the_lock(test: &str) {
    let output = child(test).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let lines = lines(&output);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("half changed"), "{lines:?}");
}

#[test]
fn a_line_that_nobody_reads_is_no_panic() {
    if is_child() {
        for line in 0..10 {
            warn!("{line}");
        }
        return;
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = child("a_line_that_nobody_reads_is_no_panic");
    assert!(child.stderr(writer).status().unwrap().success());
}
