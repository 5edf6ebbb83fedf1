//! The database, and how it comes back after a failure: redb takes nothing more once a write failed,
//! so it is closed and opened again over the same locked file.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::Database;
use thoughtgate_panic::lock;

use super::commit::commit;
use super::disk::Disk;
use super::{Write, file};
use crate::error::OpenError;
use crate::settings::StoreLocation;

/// The database as readers see it: `None` once it is closed, and while it cannot be opened again.
#[derive(Clone, Default)]
pub(super) struct Handle(Arc<Mutex<Option<Arc<Database>>>>);

impl Handle {
    /// While this is held the database is neither closed nor opened.
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Arc<Database>>> {
        lock(&self.0)
    }
}

pub(super) struct Base {
    /// `None`: in memory.
    disk: Option<Disk>,
    database: Option<Arc<Database>>,
    handle: Handle,
}

impl Base {
    pub(super) fn open(location: &StoreLocation) -> Result<Self, OpenError> {
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
        Ok(Self {
            disk,
            database: Some(database),
            handle,
        })
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

    /// All of `writes` are on disk, or the error says why not.
    pub(super) fn write(&mut self, writes: &[Write]) -> Result<(), String> {
        let written = self.try_write(writes);
        if written.is_err() {
            self.close();
            // What was written before can be read on.
            let _ = self.reopen();
        }
        written
    }

    fn try_write(&mut self, writes: &[Write]) -> Result<(), String> {
        if let Some(disk) = &self.disk
            && let Some(new) = disk.in_place().map_err(|error| error.to_string())?
        {
            self.close();
            self.disk = Some(new);
        }
        let database = self.reopen()?;
        commit(&database, writes).map_err(|error| error.to_string())
    }

    fn close(&mut self) {
        // What is only in memory would be gone.
        if self.disk.is_some() {
            self.database = None;
            *self.handle.lock() = None;
        }
    }

    /// The database, opened if it is not.
    fn reopen(&mut self) -> Result<Arc<Database>, String> {
        if let Some(database) = &self.database {
            return Ok(Arc::clone(database));
        }
        let Some(disk) = &self.disk else {
            return Err("the store is closed".to_owned());
        };
        let mut handle = self.handle.lock();
        let database = Arc::new(file::open(disk).map_err(|error| error.to_string())?);
        *handle = Some(Arc::clone(&database));
        drop(handle);
        self.database = Some(Arc::clone(&database));
        Ok(database)
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        // redb lets go of the file with its last handle.
        *self.handle.lock() = None;
    }
}
