//! Audit lines that cannot be written: they are queued; when the queue is full, calls wait and are then
//! refused.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::Value;
use thoughtgate_test::mock_mcp::MockMcp;
use thoughtgate_test::process::Output;

use super::{audited_in, lines, stop};
use crate::support::{PATIENCE, Proxy, call};

/// Small enough for a test to fill the audit's quarter of it.
const SMALL: [(&str, &str); 3] = [
    ("THOUGHTGATE_LIMITS_BODY_BYTES", "65536"),
    ("THOUGHTGATE_LIMITS_LIST_BYTES", "65536"),
    ("THOUGHTGATE_LIMITS_BUFFERED_BYTES", "262144"),
];

fn fifo(folder: &Path) -> PathBuf {
    let path = folder.join("audit.fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
    path
}

/// A reader that reads nothing until it is asked to.
fn reader(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true);
    options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    options.open(path).unwrap()
}

/// Lines that are written until the proxy has ended.
fn read_to_end(mut reader: File, proxy: &mut Proxy) -> Vec<Value> {
    proxy.process.terminate().unwrap();
    let mut text = Vec::new();
    loop {
        let has_ended = proxy.process.wait(Duration::from_millis(1)).is_ok();
        if let Err(error) = reader.read_to_end(&mut text) {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        }
        if has_ended {
            break;
        }
    }
    let text = String::from_utf8(text).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

/// Calls until an answer is not the usual one. Returns the number of usual answers, and the status of
/// the last.
async fn fill(proxy: &Proxy) -> (u64, u16) {
    for count in 0..5000 {
        let response = proxy.post(&call("echo")).await;
        if response.status != 200 {
            assert_eq!(response.header("retry-after"), Some("1"));
            assert!(response.text().contains("the audit"), "{}", response.text());
            return (count, response.status);
        }
    }
    panic!("5000 calls had room for their lines");
}

fn stuck(extra: &[(&str, &str)]) -> (MockMcp, Proxy, File, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = fifo(folder.path());
    let reader = reader(&path);
    let (upstream, proxy) = audited_in(&path, &[&SMALL[..], extra].concat());
    (upstream, proxy, reader, folder)
}

#[tokio::test]
async fn calls_are_refused_when_no_line_finds_room_and_every_other_has_one() {
    let (upstream, mut proxy, reader, _folder) = stuck(&[]);
    let (answered, status) = fill(&proxy).await;
    assert_eq!(status, 503);
    assert!(answered > 100, "{answered}");
    // Calls that policies refuse are still refused.
    assert_ne!(proxy.post(&call("rm")).await.status, 200);
    assert_eq!(upstream.stats().tool_calls, answered);
    assert_eq!(
        proxy.metric("thoughtgate_audit_refused_total").await,
        Some(2.0)
    );
    let lines = read_to_end(reader, &mut proxy);
    let forwarded = lines.iter().filter(|line| line["decision"] == "forward");
    assert_eq!(forwarded.count() as u64, answered);
    let suppressed: u64 = lines
        .iter()
        .filter_map(|line| line["suppressed"].as_u64())
        .sum();
    assert_eq!(suppressed, 2);
}

#[tokio::test]
async fn with_drop_calls_go_on_and_the_lines_are_counted() {
    let drops = ("THOUGHTGATE_AUDIT_WHEN_FULL", "drop");
    let (upstream, mut proxy, reader, _folder) = stuck(&[drops, ("THOUGHTGATE_AUDIT_WAIT", "0s")]);
    let mut calls = 0;
    let dropped = "thoughtgate_audit_dropped_total";
    while proxy.metric(dropped).await < Some(5.0) {
        assert_eq!(proxy.post(&call("echo")).await.status, 200);
        calls += 1;
        assert!(calls < 5000);
    }
    assert_eq!(upstream.stats().tool_calls, calls);
    assert_eq!(read_to_end(reader, &mut proxy).len() as u64, calls - 5);
}

#[tokio::test]
async fn a_reader_that_comes_late_gets_every_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = fifo(folder.path());
    let (_upstream, mut proxy) = audited_in(&path, &[]);
    for _ in 0..20 {
        assert_eq!(proxy.post(&call("echo")).await.status, 200);
    }
    let lines = read_to_end(reader(&path), &mut proxy);
    assert_eq!(lines.len(), 20);
}

#[tokio::test]
async fn a_limit_of_file_sizes_is_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let (_upstream, mut proxy) = audited_in(&path, &[]);
    let pid = Pid::from_raw(proxy.process.id().cast_signed());
    let before = getrlimit(Resource::Fsize);
    let limit = |current| Rlimit { current, ..before };
    prlimit(pid, Resource::Fsize, limit(Some(1000))).unwrap();
    for _ in 0..20 {
        assert_eq!(proxy.post(&call("echo")).await.status, 200);
    }
    let warned = "audit lines cannot be written";
    (proxy.process.wait_line(Output::Stderr, warned, PATIENCE)).unwrap();
    prlimit(pid, Resource::Fsize, before).unwrap();
    stop(&mut proxy);
    assert_eq!(lines(folder.path()).len(), 20);
}

#[tokio::test]
async fn what_is_lost_at_a_stop_is_counted_on_stderr() {
    let (_upstream, mut proxy) = audited_in(Path::new("/dev/full"), &[]);
    for _ in 0..7 {
        assert_eq!(proxy.post(&call("echo")).await.status, 200);
    }
    assert_eq!(proxy.metric("thoughtgate_audit_waiting").await, Some(7.0));
    stop(&mut proxy);
    let stderr = proxy.process.output(Output::Stderr).join("\n");
    for expected in [
        "WARN thoughtgate: audit lines cannot be written; they are kept and retried",
        "WARN thoughtgate: 7 audit lines are lost",
        "No space left on device",
    ] {
        assert!(stderr.contains(expected), "{stderr}");
    }
}
