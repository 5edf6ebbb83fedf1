//! Where a run came from: the commit and the very binary.
//!
//! Deliberately absent: errors about git. A tarball without a repository can be measured too.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use ring::digest::{SHA256, digest};

use super::model::{Git, Subject};
use crate::tools::git;

/// The commit that the workspace was checked out from.
pub fn git(workspace: &Path) -> Git {
    let commit = git::commit(workspace);
    Git {
        dirty: commit.as_ref().is_some_and(|commit| commit.dirty),
        revision: commit.map(|commit| commit.revision),
    }
}

/// The binary at `path`: `given` on the command line, or built in `workspace`.
pub fn subject(workspace: &Path, given: Option<&Path>, path: &Path) -> anyhow::Result<Subject> {
    let bytes = std::fs::read(path)
        .with_context(|| format!("failed to read the binary `{}`", path.display()))?;
    let shown = given.unwrap_or_else(|| path.strip_prefix(workspace).unwrap_or(path));
    let mut sha256 = String::new();
    for byte in digest(&SHA256, &bytes).as_ref() {
        write!(sha256, "{byte:02x}")?;
    }
    Ok(Subject {
        binary: shown.display().to_string(),
        length: bytes.len() as u64,
        sha256,
    })
}

/// The binary given on the command line, absolute; an error if it is not a program.
pub fn given_binary(path: &Path) -> anyhow::Result<PathBuf> {
    let binary = std::fs::canonicalize(path)
        .with_context(|| format!("failed to find the binary `{}`", path.display()))?;
    ensure!(
        binary.is_file(),
        "the binary `{}` is not a file",
        path.display()
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = binary.metadata()?.permissions().mode();
        ensure!(
            mode & 0o111 != 0,
            "the binary `{}` is not executable",
            path.display()
        );
    }
    Ok(binary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_known_by_its_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("thoughtgate");
        std::fs::write(&path, "abc").unwrap();
        let subject = subject(directory.path(), None, &path).unwrap();
        assert_eq!(
            (subject.binary.as_str(), subject.length),
            ("thoughtgate", 3)
        );
        // The example of FIPS 180-2, B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(subject.sha256, expected);
        let message = given_binary(&path).unwrap_err().to_string();
        assert!(message.contains("not executable"), "{message}");
        assert!(given_binary(&directory.path().join("none")).is_err());
    }
}
