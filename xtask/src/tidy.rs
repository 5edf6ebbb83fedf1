//! The rules of the repository, as tests. Each rule is a function from text to the faults it has,
//! so that it is itself tested on text that breaks it.
//!
//! Deliberately absent: what rustfmt, clippy and cargo-deny check already.

mod circles;
mod code;
mod documents;
mod imports;
mod reasons;
mod workflows;

use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace;

/// A text file of the workspace.
struct File {
    /// Relative to the workspace, with slashes.
    path: String,
    text: String,
}

/// The files of the workspace that end in `suffix`, without build output and hidden folders.
fn files(suffix: &str) -> Vec<File> {
    let root = workspace::root().unwrap();
    let mut found = Vec::new();
    collect(&root, &root, suffix, &mut found);
    assert!(!found.is_empty(), "the workspace has no {suffix} file");
    found.sort_by(|left, right| left.path.cmp(&right.path));
    found
}

fn collect(root: &Path, directory: &Path, suffix: &str, found: &mut Vec<File>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path: PathBuf = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && name != "node_modules" && !name.starts_with('.') {
                collect(root, &path, suffix, found);
            }
        } else if name.ends_with(suffix) {
            let path = path
                .strip_prefix(root)
                .unwrap()
                .to_string_lossy()
                .replace('\\', "/");
            let text = fs::read_to_string(root.join(&path)).unwrap();
            found.push(File { path, text });
        }
    }
}

/// A file by its path; none if it does not exist.
fn file(path: &str) -> Option<File> {
    let text = fs::read_to_string(workspace::root().unwrap().join(path)).ok()?;
    Some(File {
        path: path.to_owned(),
        text,
    })
}

/// Fails with all faults of all files, each on a line that names its file.
fn check(files: &[File], faults_of: impl Fn(&File) -> Vec<String>) {
    let faults: Vec<String> = files
        .iter()
        .flat_map(|file| {
            faults_of(file)
                .into_iter()
                .map(|fault| format!("{}: {fault}", file.path))
        })
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
