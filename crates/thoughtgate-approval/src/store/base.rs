//! The database, and its recovery after a failure: redb refuses all further writes once one failed,
//! so the database is closed and opened again over the same locked file.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::Database;
use thoughtgate_panic::lock;

use super::commit::commit;
use super::disk::Disk;
use super::file;
use super::write::Write;
use crate::cause::Cause;
use crate::error::{OpenError, StoreError};
use crate::settings::StoreLocation;

/// The database as readers see it: `None` once it is closed, and while it cannot be opened again.
#[derive(Clone, Default)]
pub(super) struct Handle(Arc<Mutex<Option<Arc<Database>>>>);

impl Handle {
    /// While the guard is held, the database is neither closed nor opened.
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Arc<Database>>> {
        lock(&self.0)
    }
}

pub(super) struct Base {
    /// `None` for a store in memory.
    disk: Option<Disk>,
    database: Option<Arc<Database>>,
    handle: Handle,
}

impl Base {
    /// Opens the database, and returns it too, to be read before it is in use.
    pub(super) fn open(location: &StoreLocation) -> Result<(Self, Arc<Database>), OpenError> {
        let (disk, database) = match location {
            StoreLocation::File(path) => {
                let disk = Disk::open(path)?;
                let database = file::open(&disk)?;
                (Some(disk), database)
            }
            StoreLocation::Memory => (None, file::memory()?),
        };
        let database = Arc::new(database);
        let handle = Handle::default();
        *handle.lock() = Some(Arc::clone(&database));
        let base = Self {
            disk,
            database: Some(Arc::clone(&database)),
            handle,
        };
        Ok((base, database))
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    #[cfg(test)]
    pub(super) fn fails(&self) -> Arc<std::sync::atomic::AtomicBool> {
        self.disk
            .as_ref()
            .map(|disk| Arc::clone(&disk.fails))
            .unwrap_or_default()
    }

    pub(super) fn path(&self) -> &Path {
        self.disk.as_ref().map_or(Path::new("memory"), Disk::path)
    }

    /// Writes all of `writes` in one commit.
    pub(super) fn write(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        let written = self.try_write(writes);
        if written.is_err() {
            self.close();
            // Earlier writes stay readable if this works; the next write tries it again.
            let _ = self.reopen();
        }
        written
    }

    fn try_write(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        if let Some(disk) = &self.disk
            && let Some(new) = disk.in_place().map_err(failed)?
        {
            // The open database still writes to the deleted file.
            self.close();
            self.disk = Some(new);
        }
        let database = self.reopen()?;
        commit(&database, writes).map_err(failed)
    }

    fn close(&mut self) {
        // Closing a database in memory would lose its contents.
        if self.disk.is_some() {
            self.database = None;
            // Waits for reads that are running: nobody uses the file when it is opened again.
            *self.handle.lock() = None;
        }
    }

    /// The database, which is opened first if it is closed.
    fn reopen(&mut self) -> Result<Arc<Database>, StoreError> {
        if let Some(database) = &self.database {
            return Ok(Arc::clone(database));
        }
        let Some(disk) = &self.disk else {
            return Err(StoreError::Closed);
        };
        // Held while it opens, so that readers wait for the database instead of finding none.
        let mut handle = self.handle.lock();
        let database = Arc::new(file::open(disk).map_err(failed)?);
        *handle = Some(Arc::clone(&database));
        drop(handle);
        self.database = Some(Arc::clone(&database));
        Ok(database)
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        // redb releases the file with its last handle.
        *self.handle.lock() = None;
    }
}

fn failed(error: impl Error + Send + Sync + 'static) -> StoreError {
    StoreError::Write(Cause::new(error))
}
