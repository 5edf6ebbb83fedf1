//! The result of a command does not depend on its surroundings: the directory in which it is started, the
//! environment, and whether somebody reads its output.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{ends, reaper::write_executable, xtask};

/// Creates the files by which a checkout is recognised.
fn checkout(root: &Path) -> PathBuf {
    for mark in [
        "Cargo.toml",
        "xtask/Cargo.toml",
        "crates/thoughtgate/Cargo.toml",
    ] {
        let file = root.join(mark);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "").unwrap();
    }
    root.canonicalize().unwrap()
}

/// `doctor` on a machine without tools: it prints the folder in which it looked for k6.
fn doctor(executable: &Path) -> Command {
    let mut command = Command::new(executable);
    command
        .arg("doctor")
        .env("PATH", "/nowhere")
        .env("CARGO", "/nowhere/cargo")
        .env_remove("K6")
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("CARGO_TARGET_DIR");
    command
}

/// The folder in which `doctor` looked for k6.
fn tools(mut doctor: Command) -> String {
    let text = String::from_utf8(doctor.output().unwrap().stdout).unwrap();
    let place = text.split("nor installed in `").nth(1);
    place.unwrap_or(&text).split('`').next().unwrap().to_owned()
}

/// Copies a file with another process, for the reason given at `write_executable`.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args([from, to]).status();
    assert!(copied.unwrap().success());
}

#[test]
fn the_workspace_is_that_of_the_call_and_not_of_the_build() {
    let folder = tempfile::tempdir().unwrap();
    let one = checkout(&folder.path().join("one"));
    let two = checkout(&folder.path().join("two and a half"));
    let executable = Path::new(env!("CARGO_BIN_EXE_xtask"));
    let expected = |root: &Path| root.join("target/xtask/tools").display().to_string();

    // Called as by `cargo run`, from another directory.
    for root in [&one, &two] {
        let mut doctor = doctor(executable);
        doctor.env("CARGO_MANIFEST_DIR", root.join("xtask"));
        doctor.current_dir(folder.path());
        assert_eq!(tools(doctor), expected(root));
    }
    // Called by hand: the checkout that it was built in counts, not the current directory.
    let built = one.join("target/debug/xtask");
    fs::create_dir_all(built.parent().unwrap()).unwrap();
    copy(executable, &built);
    let mut by_hand = doctor(&built);
    by_hand.current_dir(&two);
    assert_eq!(tools(by_hand), expected(&one));
    // Not with a target directory that the caller chose: several checkouts may share it.
    let mut shared = doctor(&built);
    shared.current_dir(&two).env("CARGO_TARGET_DIR", "shared");
    let shared = tools(shared);
    assert_eq!(shared, two.join("shared/xtask/tools").display().to_string());
}

#[test]
fn no_checkout_is_an_error_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let executable = folder.path().join("xtask");
    copy(Path::new(env!("CARGO_BIN_EXE_xtask")), &executable);
    let output = doctor(&executable).current_dir(folder.path()).output();
    ends(&output.unwrap(), 2, "run `cargo xtask` in a checkout");
}

#[test]
fn a_tool_sees_nothing_that_would_change_what_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let (k6, note) = (folder.path().join("k6"), folder.path().join("note"));
    write_executable(&k6, "#!/bin/sh\nenv > \"$NOTE\"\necho k6 v1.1.0\n");
    let foreign = [
        ("RUSTFLAGS", "-Ctarget-cpu=native"),
        ("CARGO_BUILD_TARGET", "wasm32-unknown-unknown"),
        ("CARGO_PROFILE_RELEASE_LTO", "off"),
        ("DOCKER_BUILDKIT", "0"),
        ("BUILDX_BUILDER", "remote"),
        ("PIP_PREFIX", "/nowhere"),
        ("LC_ALL", "de_DE.UTF-8"),
    ];
    let status = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("doctor")
        .env("K6", &k6)
        .env("NOTE", &note)
        .envs(foreign)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.is_ok());
    let seen = fs::read_to_string(note).unwrap();
    for (key, value) in foreign {
        let line = format!("{key}={value}");
        assert!(!seen.lines().any(|seen| seen == line), "{line}");
    }
    assert!(seen.lines().any(|line| line == "LC_ALL=C"), "{seen}");
}

#[test]
fn an_image_is_built_by_the_daemon_whatever_builder_is_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (cargo, docker, note) = (path("cargo"), path("docker"), path("note"));
    let text = format!(
        "#!/bin/sh\necho '{{\"executable\":\"{}\"}}'\n",
        cargo.display()
    );
    write_executable(&cargo, &text);
    let text = "#!/bin/sh\n\
        case \"$*\" in\n\
        version*) echo 28 ;;\n\
        buildx*) echo 0.13 ;;\n\
        context*) echo here ;;\n\
        build\\ *) echo \"$BUILDX_BUILDER:$DOCKER_BUILDKIT: $*\" > \"$NOTE\"; echo sha256:1 ;;\n\
        esac\n";
    write_executable(&docker, text);
    let system = std::env::var("PATH").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["image", "--tag", "a:b"])
        .env("PATH", format!("{}:{system}", folder.path().display()))
        .env("CARGO", &cargo)
        .env("CARGO_TARGET_DIR", folder.path())
        .env("NOTE", &note)
        .envs([
            ("BUILDX_BUILDER", "in-a-container"),
            ("DOCKER_BUILDKIT", "0"),
        ])
        .output();
    ends(&output.unwrap(), 0, "the image is `a:b`");
    let build = fs::read_to_string(note).unwrap();
    assert!(build.starts_with("here:: build "), "{build}");
    assert!(
        build.contains(" --load ") && build.contains(" --no-cache "),
        "{build}"
    );
}

#[test]
fn a_message_that_cannot_be_written_ends_nothing() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (reader, gone) = std::io::pipe().unwrap();
    drop(reader);
    for stderr in [Stdio::from(full), Stdio::from(gone)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(["metrics", "list"]).stdout(Stdio::null());
        let status = command.stderr(stderr).status().unwrap();
        assert_eq!(status.code(), Some(0));
    }
}

#[test]
fn an_output_that_is_needed_otherwise_is_refused_before_anything_is_built() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("Cargo.toml");
    fs::write(&manifest, "[workspace]\n").unwrap();
    let output = xtask(&["metrics", "--output", manifest.to_str().unwrap()]);
    ends(
        &output,
        2,
        "is not an array of results and would be replaced",
    );
    assert_eq!(fs::read_to_string(manifest).unwrap(), "[workspace]\n");
}
