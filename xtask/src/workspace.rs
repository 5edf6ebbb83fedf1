//! The workspace that a command works on, found when the program runs: with one
//! `CARGO_TARGET_DIR` for several checkouts, one executable may be run in each of them.
//!
//! Deliberately absent: the directory that cargo builds into, which `tools::cargo` asks for.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Files by which the root of a checkout is recognised.
const MARKS: [&str; 3] = [
    "Cargo.toml",
    "xtask/Cargo.toml",
    "crates/thoughtgate/Cargo.toml",
];

/// The root of the workspace, absolute and free of links.
///
/// # Errors
/// When the program was started neither by cargo, nor from a checkout, nor in one.
pub fn root() -> anyhow::Result<PathBuf> {
    // Set by `cargo run` to this package. A test of another crate that starts `xtask` passes on its
    // own package, which is in the same workspace.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let executable = std::env::current_exe().ok();
    let directory = std::env::current_dir().ok();
    // Several checkouts may share a configured target directory: the executable in it identifies none.
    let places = if std::env::var_os("CARGO_TARGET_DIR").is_some() {
        [package, directory, executable]
    } else {
        [package, executable, directory]
    };
    let mut roots = places.iter().flatten().filter_map(|place| above(place));
    roots.next().context(
        "failed to find the workspace: run `cargo xtask` in a checkout of ThoughtGate, or \
         `cargo run --manifest-path CHECKOUT/Cargo.toml --package xtask -- …` elsewhere",
    )
}

/// `path` for a message: relative if it is below the working directory, else unchanged.
pub fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// The root of the checkout that contains `place`, symbolic links resolved.
fn above(place: &Path) -> Option<PathBuf> {
    let place = place.canonicalize().ok()?;
    let is_root = |folder: &&Path| MARKS.iter().all(|mark| folder.join(mark).is_file());
    place.ancestors().find(is_root).map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_found_from_anything_in_a_checkout_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let checkout = folder.path().join("a checkout");
        for mark in MARKS {
            let file = checkout.join(mark);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "").unwrap();
        }
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&checkout, &link).unwrap();
        let root = checkout.canonicalize().unwrap();
        for place in ["", "xtask", "crates/thoughtgate", "Cargo.toml"] {
            assert_eq!(
                above(&checkout.join(place)).as_ref(),
                Some(&root),
                "{place}"
            );
            assert_eq!(above(&link.join(place)).as_ref(), Some(&root), "{place}");
        }
        assert_eq!(above(folder.path()), None);
        // Another project with an `xtask`.
        std::fs::remove_file(checkout.join(MARKS[2])).unwrap();
        assert_eq!(above(&checkout.join("xtask")), None);
    }
}
