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
        let scratch = Scratch {
            folder: create(&std::env::temp_dir(), owner)?,
        };
        scratch.leftover().begins();
        Ok(scratch)
    }

    /// Where it is: absolute, and UTF-8 on one line.
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

    fn leftover(&self) -> Leftover<'_> {
        Leftover::Folder(self.path().to_str().unwrap_or_default())
    }
}

/// A new folder in `chosen`, the place of temporary files; where that cannot be written, or has a
/// name that cannot be written into configurations, in the usual place.
fn create(chosen: &Path, owner: &str) -> anyhow::Result<TempDir> {
    let create = |place: &Path| {
        let place = std::path::absolute(place)?;
        if place.to_str().is_none_or(|text| text.contains('\n')) {
            return Err(std::io::Error::from(std::io::ErrorKind::InvalidFilename));
        }
        tempfile::Builder::new().prefix("xtask-").tempdir_in(place)
    };
    let usual = |_| create(Path::new("/tmp"));
    create(chosen).or_else(usual).with_context(|| {
        format!(
            "failed to create a folder for {owner} in `{}` (`TMPDIR` names another place)",
            chosen.display()
        )
    })
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Files of another user, of a container, may be in the way; the reaper tries them too.
        if std::fs::remove_dir_all(self.path()).is_ok() {
            self.leftover().is_gone();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn a_place_that_cannot_be_written_is_not_the_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let strange = tempfile::tempdir().unwrap();
        let strange = strange.path().join(OsStr::from_bytes(b"not \xff text"));
        std::fs::create_dir(&strange).unwrap();
        for unfit in [Path::new("/nowhere"), file.path(), &strange] {
            let folder = create(unfit, "a test").unwrap();
            assert!(folder.path().is_absolute() && folder.path().is_dir());
        }
    }
}
