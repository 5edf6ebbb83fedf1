//! The directories that cargo builds in: its target directory, or a subfolder of it for this checkout
//! alone when several checkouts may share it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use xshell::{Cmd, Shell, cmd};

use super::super::process::{Launch, Output};
use super::command::{ASK, chosen, launch, program};

/// Folder of installed tools, below cargo's target directory.
pub const TOOLS: &str = "xtask/tools";

/// Directories in the output of `cargo metadata`.
#[derive(Debug, Default, Deserialize)]
struct Places {
    target_directory: PathBuf,
    /// Directory of intermediate files, by default the target directory; unknown to older versions.
    build_directory: Option<PathBuf>,
}

/// The directory that cargo builds into, absolute, whatever chose it: the environment, a
/// configuration file of cargo, or nothing.
pub fn target_dir(workspace: &Path) -> PathBuf {
    places(workspace).target_directory
}

/// A cargo command that builds `workspace`, and reuses nothing that was built of another checkout.
///
/// When two checkouts build into the same directory, cargo takes what it built of one for up to date
/// in the other, if the files of the other are older.
pub fn building(command: Cmd<'_>, workspace: &Path) -> Launch {
    let places = places(workspace);
    let shared = |place: &PathBuf| !place.starts_with(workspace);
    let launch = launch(command).directory(workspace);
    if !shared(&places.target_directory) && !places.build_directory.as_ref().is_some_and(shared) {
        return launch;
    }
    let own = own_part(&places.target_directory, workspace);
    launch
        .env("CARGO_BUILD_BUILD_DIR", &own)
        .env("CARGO_TARGET_DIR", own)
}

/// The subfolder of a target directory that is for this checkout alone.
fn own_part(target: &Path, workspace: &Path) -> PathBuf {
    // The hash may change with the version of Rust, which costs one full build and no more.
    let mut hasher = DefaultHasher::new();
    workspace.hash(&mut hasher);
    target.join(format!("xtask/checkout-{:016x}", hasher.finish()))
}

fn places(workspace: &Path) -> Places {
    let told = metadata(workspace).ok();
    let told = told.and_then(|output| serde_json::from_str(&output.stdout.text()).ok());
    // A cargo that fails here fails in the build too, which reports the error.
    let places = told.unwrap_or_else(|| Places {
        target_directory: chosen("CARGO_TARGET_DIR").unwrap_or_else(|| workspace.join("target")),
        build_directory: None,
    });
    Places {
        target_directory: real(&places.target_directory),
        build_directory: places.build_directory.as_deref().map(real),
    }
}

fn metadata(workspace: &Path) -> anyhow::Result<Output> {
    let (sh, cargo) = (Shell::new()?, program());
    let command = cmd!(sh, "{cargo} metadata --no-deps --format-version 1");
    launch(command).directory(workspace).run(ASK)?.success()
}

/// `path` without symbolic links, as far as it exists, and without `..`.
fn real(path: &Path) -> PathBuf {
    let mut found = PathBuf::new();
    for component in path.components() {
        if component == Component::ParentDir {
            found.pop();
        } else {
            found.push(component);
        }
        // Step by step, since `canonicalize` fails on a path that does not exist as a whole.
        found = found.canonicalize().unwrap_or(found);
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::BUILD_DEADLINE;
    use super::*;

    #[test]
    fn two_checkouts_with_one_target_directory_each_get_their_own_program() {
        let folder = tempfile::tempdir().unwrap();
        let build = |name: &str| {
            let root = folder.path().join(name).canonicalize().unwrap();
            let (sh, cargo) = (Shell::new().unwrap(), program());
            let command = cmd!(sh, "{cargo} build --message-format json");
            let output = building(command, &root).run(BUILD_DEADLINE);
            let output = output.unwrap().success().unwrap();
            let program = super::super::executables(&output.stdout.text()).remove(0);
            let said = Launch::bare(program).run(ASK).unwrap();
            said.stdout.text()
        };
        for name in ["one", "two"] {
            let root = folder.path().join(name);
            fs::create_dir_all(root.join("src")).unwrap();
            fs::create_dir_all(root.join(".cargo")).unwrap();
            let package = "[package]\nname = \"program\"\nedition = \"2024\"\n[workspace]\n";
            fs::write(root.join("Cargo.toml"), package).unwrap();
            let main = format!("fn main() {{ print!(\"{name}\"); }}\n");
            fs::write(root.join("src/main.rs"), main).unwrap();
            let shared = "[build]\ntarget-dir = \"../target\"\n";
            fs::write(root.join(".cargo/config.toml"), shared).unwrap();
        }
        // Built after the files of both were written, which is when cargo cannot tell them apart.
        for name in ["one", "two", "one"] {
            assert_eq!(build(name), name);
        }
        // The environment takes precedence over the configuration.
        let configured = folder.path().join("target");
        let target = chosen("CARGO_TARGET_DIR").unwrap_or(configured);
        assert_eq!(target_dir(&folder.path().join("two")), real(&target));
        let own = ["one", "two"].map(|name| {
            let root = folder.path().join(name).canonicalize().unwrap();
            own_part(&real(&target), &root)
        });
        assert!(own[0] != own[1] && own.iter().all(|part| part.is_dir()));
        if target.starts_with(folder.path()) {
            assert!(fs::read_dir(target.join("xtask")).unwrap().count() == 2);
        }
    }
}
