//! Processes that `xtask` started do not outlive it, not even after SIGKILL.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// Calls `look` until it finds something.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process exists and is not a zombie.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

#[cfg(target_os = "linux")]
#[test]
fn grandchildren_die_when_xtask_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let (k6, note) = (directory.path().join("k6"), directory.path().join("pid"));
    // This k6 hangs, with a child of its own that a kill of `xtask` alone does not reach.
    let script =
        "#!/bin/sh\nsleep 300 &\necho $! > \"$NOTE.new\"\nmv \"$NOTE.new\" \"$NOTE\"\nwait\n";
    write_executable(&k6, script);
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("doctor")
        .env("K6", &k6)
        .env("NOTE", &note)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = wait_for("the look at k6", || std::fs::read_to_string(&note).ok());
    let pid = pid.trim();
    assert!(runs(pid));
    // On a busy machine, k6 may run before `xtask` has noted that it started it.
    std::thread::sleep(Duration::from_millis(500));
    xtask.kill().unwrap();
    xtask.wait().unwrap();
    wait_for("the end of the grandchild", || (!runs(pid)).then_some(()));
}

#[test]
fn the_reaper_ends_by_itself_when_nothing_is_left() {
    let reaper = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("__reap")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(reaper.status.success());
    assert!(reaper.stdout.is_empty() && reaper.stderr.is_empty());
}

#[test]
fn what_is_still_on_the_list_is_removed_in_an_order_that_works() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let (kept, left) = (path("kept"), path("left"));
    std::fs::create_dir_all(left.join("deep")).unwrap();
    std::fs::create_dir(&kept).unwrap();
    // A docker that only writes down its arguments.
    write_executable(&path("docker"), "#!/bin/sh\necho \"$@\" >> \"$NOTE\"\n");
    let mut reaper = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("__reap")
        .env(
            "PATH",
            format!("{}:/usr/bin:/bin", directory.path().display()),
        )
        .env("NOTE", path("note"))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let list = format!(
        "+image a:1\n+image b:2\n+container one\n+container two\n+folder {}\n+folder {}\n\
         -container one\n-image b:2\n-folder {}\n",
        left.display(),
        kept.display(),
        kept.display(),
    );
    let mut pipe = reaper.stdin.take().unwrap();
    pipe.write_all(list.as_bytes()).unwrap();
    drop(pipe);
    assert!(reaper.wait().unwrap().success());
    let asked = std::fs::read_to_string(path("note")).unwrap();
    let expected = [
        "rm --force --volumes two",
        "image inspect --format {{.Id}} a:1",
        "image rm --force a:1",
    ];
    assert_eq!(asked.lines().collect::<Vec<_>>(), expected);
    assert!(kept.exists() && !left.exists());
}

/// Writes an executable with another process. A file that this process has open for writing may still be
/// open in a child that another test is starting, and could not be executed then.
pub fn write_executable(path: &Path, text: &str) {
    let write = r#"printf '%s' "$1" > "$2" && chmod 755 "$2""#;
    let written = Command::new("sh")
        .args(["-c", write, "sh", text])
        .arg(path)
        .status();
    assert!(written.unwrap().success());
}
