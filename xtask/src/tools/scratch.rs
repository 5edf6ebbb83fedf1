//! Folders for files that nobody needs afterwards: removed on drop, or by the reaper when this
//! process is killed.

use std::path::Path;

use anyhow::Context as _;
use tempfile::TempDir;

use super::process::Leftover;

/// A folder that goes with the value.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
}

impl Scratch {
    /// A new folder; `owner` is for the message when there can be none.
    pub fn new(owner: &str) -> anyhow::Result<Scratch> {
        let folder = tempfile::Builder::new()
            .prefix("xtask-")
            .tempdir()
            .with_context(|| {
                let place = std::env::temp_dir();
                format!(
                    "failed to create a folder for {owner} in `{}` (`TMPDIR` names another place)",
                    place.display()
                )
            })?;
        let scratch = Scratch { folder };
        if let Some(leftover) = scratch.leftover() {
            leftover.begins();
        }
        Ok(scratch)
    }

    /// Where it is, absolute.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into it, and returns where.
    pub fn write(&self, name: &str, text: &str) -> anyhow::Result<std::path::PathBuf> {
        let path = self.path().join(name);
        std::fs::write(&path, text)
            .with_context(|| format!("failed to write `{}`", path.display()))?;
        Ok(path)
    }

    /// For the reaper, which reads lines of text; a path that is none is not told.
    fn leftover(&self) -> Option<Leftover<'_>> {
        let path = self.path().to_str().filter(|path| !path.contains('\n'));
        path.map(Leftover::Folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Files of another user, of a container, may be in the way; the reaper tries them too.
        if std::fs::remove_dir_all(self.path()).is_ok()
            && let Some(leftover) = self.leftover()
        {
            leftover.is_gone();
        }
    }
}
