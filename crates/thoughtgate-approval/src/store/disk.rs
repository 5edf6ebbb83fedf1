//! The store's file: stays locked for as long as this process lives, even while the database over it
//! is closed and opened again, and notices when it is deleted or replaced. Knows nothing of its
//! contents.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::StorageBackend;

use crate::error::OpenError;

/// One locked file. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    path: PathBuf,
    file: Arc<File>,
    /// Makes every write fail, as a full or broken disk does.
    #[cfg(test)]
    pub(super) fails: Arc<std::sync::atomic::AtomicBool>,
}

impl Disk {
    /// Creates the file with mode 0600 if it is missing, and locks it for this process.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io {
            path: path.to_owned(),
            source,
        };
        // Not truncated: it holds the approvals of the previous process.
        let file = options().create(true).open(path).map_err(failed)?;
        tighten(&file).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self::new(path, file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    fn new(path: &Path, file: File) -> Self {
        Self {
            path: path.to_owned(),
            file: Arc::new(file),
            #[cfg(test)]
            fails: Arc::default(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes sure that the next process finds this file. If it was deleted, it is written again and
    /// the new file returned. A file that was put in its place is an error: approvals that have been
    /// used may still be unused in it.
    pub(super) fn in_place(&self) -> io::Result<Option<Self>> {
        match std::fs::metadata(&self.path) {
            Ok(found) if is_same(&found, &self.file.metadata()?) => Ok(None),
            Ok(_) => Err(io::Error::other(
                "another file was put in its place; remove it, or restart the proxy to use it",
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.again().map(Some),
            Err(error) => Err(error),
        }
    }

    /// Copies the bytes to a new file, which is renamed to the path once it is complete.
    fn again(&self) -> io::Result<Self> {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let aside = PathBuf::from(name);
        let new = options().create(true).open(&aside)?;
        tighten(&new)?;
        // Locked before it is renamed, so that no other proxy can lock it in between.
        new.try_lock()?;
        // A copy that was cut off earlier may have left a longer file.
        new.set_len(0)?;
        let mut chunk = vec![0; 64 * 1024];
        let mut offset = 0;
        // Only the calling thread writes to the file, so it does not change while it is copied.
        loop {
            let read = self.file.read_at(&mut chunk, offset)?;
            let Some(read) = chunk.get(..read).filter(|read| !read.is_empty()) else {
                break;
            };
            new.write_all_at(read, offset)?;
            offset += read.len() as u64;
        }
        // Before the rename: after a power cut the path must not name a file whose data were never written.
        new.sync_all()?;
        std::fs::rename(&aside, &self.path)?;
        Ok(Self {
            path: self.path.clone(),
            file: Arc::new(new),
            #[cfg(test)]
            fails: Arc::clone(&self.fails),
        })
    }

    #[cfg(test)]
    fn fail(&self) -> io::Result<()> {
        if self.fails.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as in tests")]
    fn fail(&self) -> io::Result<()> {
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    // Reads and writes name their offset, since clones share the file's own position.
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.fail()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.fail()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.fail()?;
        self.file.write_all_at(data, offset)
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

/// Takes the access of group and others away.
fn tighten(file: &File) -> io::Result<()> {
    // The mode of `open` applies only to a file that it creates; one that exists may be open to others.
    let mut permissions = file.metadata()?.permissions();
    if permissions.mode() & 0o077 != 0 {
        permissions.set_mode(0o600);
        file.set_permissions(permissions)?;
    }
    Ok(())
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}
