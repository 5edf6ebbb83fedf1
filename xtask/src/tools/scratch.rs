//! Temporary folders: removed on drop, or by the reaper when this process is killed.

use std::path::Path;

use anyhow::Context as _;
use tempfile::TempDir;

use super::process::{self, Leftover};

/// A temporary folder, removed on drop.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
}

impl Scratch {
    /// Creates a folder; `owner` says in an error what it was for.
    pub fn new(owner: &str) -> anyhow::Result<Scratch> {
        let place = process::temporary_folder();
        let folder = tempfile::Builder::new().prefix("xtask-").tempdir_in(place);
        let folder = folder.with_context(|| {
            format!(
                "failed to create a folder for {owner} in `{}` (set `TMPDIR` to another place)",
                place.display()
            )
        })?;
        let scratch = Scratch { folder };
        scratch.leftover().begins();
        Ok(scratch)
    }

    /// The path: absolute, and UTF-8 on one line, so that it can be put into configuration files.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into it, and returns its path.
    pub fn write(&self, name: &str, text: &str) -> anyhow::Result<std::path::PathBuf> {
        let path = self.path().join(name);
        std::fs::write(&path, text)
            .with_context(|| format!("failed to write `{}`", path.display()))?;
        Ok(path)
    }

    fn leftover(&self) -> Leftover<'_> {
        // The reaper's removal of an empty path fails and does no harm.
        Leftover::Folder(self.path().to_str().unwrap_or_default())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Fails on files of another user, such as that of a container; the reaper then tries again.
        if std::fs::remove_dir_all(self.path()).is_ok() {
            self.leftover().is_gone();
        }
    }
}
