//! The audit file: its permissions, an incomplete last line, and rotation while it is open.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::{audited, audited_in, lines, stop};
use crate::support::call;

#[tokio::test]
async fn a_file_that_was_moved_away_is_made_anew_on_sighup() {
    let (_upstream, mut proxy, folder) = audited();
    let (path, old) = (
        folder.path().join("audit.jsonl"),
        folder.path().join("audit.jsonl.1"),
    );
    proxy.post(&call("echo")).await;
    std::fs::rename(&path, &old).unwrap();
    proxy.process.signal(Signal::HUP).unwrap();
    while !path.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    proxy.post(&call("echo")).await;
    stop(&mut proxy);
    assert_eq!(lines(folder.path()).len(), 1);
    assert_eq!(std::fs::read_to_string(old).unwrap().lines().count(), 1);
}

#[tokio::test]
async fn a_file_that_vanished_is_made_anew_by_itself() {
    let (_upstream, mut proxy, folder) = audited();
    let path = folder.path().join("audit.jsonl");
    proxy.post(&call("echo")).await;
    while lines(folder.path()).is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    std::fs::remove_file(&path).unwrap();
    proxy.post(&call("echo")).await;
    stop(&mut proxy);
    assert_eq!(lines(folder.path()).len(), 1, "the next line is not lost");
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_folder_that_vanished_keeps_the_lines_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let sub = folder.path().join("sub");
    std::fs::create_dir(&sub).unwrap();
    let (_upstream, mut proxy) = audited_in(&sub.join("audit.jsonl"), &[]);
    std::fs::remove_dir_all(&sub).unwrap();
    proxy.process.signal(Signal::HUP).unwrap();
    let warned = "WARN thoughtgate: failed to open audit file";
    let stderr = thoughtgate_test::process::Output::Stderr;
    proxy
        .process
        .wait_line(stderr, warned, crate::support::PATIENCE)
        .unwrap();
    for _ in 0..5 {
        assert_eq!(proxy.post(&call("echo")).await.status, 200);
    }
    std::fs::create_dir(&sub).unwrap();
    stop(&mut proxy);
    assert_eq!(lines(&sub).len(), 5);
}

#[tokio::test]
async fn a_file_of_another_day_is_restricted_and_goes_on_in_a_new_line() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (
        folder.path().join("audit.jsonl"),
        folder.path().join("link"),
    );
    std::fs::write(&path, "{}\n{\"half\":").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let (_upstream, mut proxy) = audited_in(&link, &[]);
    proxy.post(&call("echo")).await;
    stop(&mut proxy);
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), &lines[..2]), (3, &["{}", "{\"half\":"][..]));
    assert_eq!(
        serde_json::from_str::<Value>(lines[2]).unwrap()["subject"],
        "echo"
    );
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
