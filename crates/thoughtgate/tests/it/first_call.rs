//! The section "First call" of README.md: its commands are run as they are written there, and print the
//! answers that are written below them.
//!
//! Only the build is left out, which the test has behind it, and the two ports are replaced by free ones.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Deserializer, Value};

use crate::markdown;

const BUILD: &str = "cargo build -p thoughtgate -p thoughtgate-test\n";
/// The addresses of the server and of the proxy.
const ADDRESSES: [&str; 2] = ["127.0.0.1:3000", "127.0.0.1:8080"];

#[test]
fn the_commands_of_the_readme_print_the_answers_of_the_readme() {
    let blocks = markdown::blocks(&markdown::document("README.md"));
    let mut section = blocks.iter().filter(|block| block.heading == "First call");
    let (commands, answers) = (section.next().unwrap(), section.next().unwrap());
    assert_eq!((&*commands.language, &*answers.language), ("sh", "json"));
    assert!(commands.text.starts_with(BUILD), "{}", commands.text);

    let folder = tempfile::tempdir().unwrap();
    let programs = folder.path().join("target/debug");
    std::fs::create_dir_all(&programs).unwrap();
    for (name, program) in [
        (
            "thoughtgate",
            PathBuf::from(env!("CARGO_BIN_EXE_thoughtgate")),
        ),
        ("mock-mcp", mock_mcp()),
    ] {
        std::os::unix::fs::symlink(program, programs.join(name)).unwrap();
    }
    let mut script = commands.text[BUILD.len()..].to_owned();
    // Below the range from which the system takes port 0, so that no other test gets one meanwhile.
    let first = free_port(20_000 + (std::process::id() % 10_000) as u16);
    let free = [first, free_port(first + 1)].map(|port| format!("127.0.0.1:{port}"));
    for (address, free) in ADDRESSES.iter().zip(&free) {
        assert!(script.contains(address), "{script}");
        script = script.replace(address, free);
    }
    let printed = run(&script, folder.path(), &free[1]);
    let expected = values(&answers.text);
    assert_eq!(expected.len(), 3, "{}", answers.text);
    // Before the answers, the server prints its address, and the proxy its state.
    assert_eq!(printed[printed.len() - 3..], expected);
}

/// The first port from this one on that nobody listens at.
fn free_port(from: u16) -> u16 {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (from..from + 1000).find(is_free).expect("a free port")
}

/// Runs the commands in `folder`, and returns the values that they print.
fn run(script: &str, folder: &Path, listen: &str) -> Vec<Value> {
    // A command that fails ends the script, and with it what the script started. So does `timeout`, which
    // signals the whole process group.
    let script = format!("trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}");
    let output = Command::new("timeout")
        .args(["60", "bash", "-euc", &script])
        .current_dir(folder)
        .env("THOUGHTGATE_LISTEN", listen)
        .output()
        .unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    let printed = values(&out);
    assert!(printed.len() >= 3, "{out}\n{err}");
    printed
}

/// The JSON values in a text.
fn values(text: &str) -> Vec<Value> {
    let values = Deserializer::from_str(text).into_iter();
    values
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The server's binary, beside that of the proxy. Cargo has built it with the tests of the workspace, but
/// not for those of this crate alone.
fn mock_mcp() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_thoughtgate")).with_file_name("mock-mcp");
    if !program.exists() {
        let build = [
            "build",
            "--locked",
            "--package",
            "thoughtgate-test",
            "--bin",
            "mock-mcp",
        ];
        let status = Command::new(env!("CARGO")).args(build).status().unwrap();
        assert!(
            status.success() && program.exists(),
            "mock-mcp is not built"
        );
    }
    program
}
