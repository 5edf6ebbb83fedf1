//! The MCP conformance suite against a server, directly and through the proxy: same checks, same
//! results, for both revisions.
//!
//! The suite runs on node and the server on Python; both are installed once, below `target/`. Without
//! python3 or npm the test prints that it was not run; in CI it fails.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Kill, Proxy, policy};

const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];

#[test]
fn the_suite_sees_no_difference() {
    let folder = match set_up() {
        Ok(folder) => folder,
        Err(missing) => {
            assert!(
                std::env::var_os("CI").is_none(),
                "the conformance suite cannot run: {missing}"
            );
            eprintln!("NOT RUN: the conformance suite needs python3 and npm: {missing}");
            return;
        }
    };
    let (_server, port) = start_server(&folder);
    let upstream = format!("http://127.0.0.1:{port}/mcp");
    let proxy = Proxy::start(
        &upstream,
        policy("permit (principal, action, resource);").path(),
    );
    run_suite(&folder, &upstream, "direct");
    run_suite(&folder, &proxy.url(), "proxy");
    for revision in REVISIONS {
        let direct = results(&folder, "direct", revision);
        assert!(
            direct.lines().count() > 50,
            "{revision}: the suite ran {} checks only",
            direct.lines().count()
        );
        assert_eq!(
            direct,
            results(&folder, "proxy", revision),
            "{revision} differs through the proxy"
        );
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

/// Installs suite and server once. The file `installed` is written last, so that an interrupted
/// installation is repeated.
fn set_up() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance");
    let done = folder.join("installed");
    if done.exists() {
        return Ok(folder);
    }
    for tool in ["python3", "npm"] {
        let found = Command::new(tool)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !found.is_ok_and(|status| status.success()) {
            return Err(format!("{tool} is missing"));
        }
    }
    let output = Command::new("bash")
        .arg(script().join("conformance.sh"))
        .arg("setup")
        .arg(&folder)
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    std::fs::write(&done, "").map_err(|error| error.to_string())?;
    Ok(folder)
}

fn start_server(folder: &Path) -> (Kill, u16) {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let server = Command::new(folder.join("pv/bin/python"))
        .arg(script().join("fixture.py"))
        .arg(port.to_string())
        .spawn()
        .expect("the server starts");
    let server = Kill(server);
    let until = Instant::now() + Duration::from_secs(30);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "the server does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    (server, port)
}

fn run_suite(folder: &Path, url: &str, label: &str) {
    let output = Command::new("bash")
        .arg(script().join("conformance.sh"))
        .arg("run")
        .args([folder.as_os_str(), url.as_ref(), label.as_ref()])
        .output()
        .expect("the suite starts");
    assert!(
        output.status.success(),
        "{label}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    eprint!("{}", String::from_utf8_lossy(&output.stdout));
}

fn results(folder: &Path, label: &str, revision: &str) -> String {
    std::fs::read_to_string(folder.join(format!("{label}-{revision}.tsv")))
        .expect("the suite wrote its results")
}
