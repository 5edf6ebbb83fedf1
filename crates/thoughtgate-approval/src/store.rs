//! Store of approvals that survives a restart: one redb file, mode 0600, locked against a second
//! proxy.
//!
//! Stored: the approval itself (principal, tool, digest, policies, state, deadlines, the redacted and
//! capped text of the arguments, the message that asks approvers), the key that seals request states,
//! and, only for calls that are answered later, the request's body and its result. An approval is
//! removed `retention` after it ended, its body as soon as it ended.
//!
//! Not stored: tokens, and arguments in any other form than these two.
//!
//! Waited for (fsync): a new approval before anybody is asked, a claim before the call is made, and a
//! result before it is reported. Not waited for: decisions and the like, which would be read again
//! after a restart. Writes that are queued at the same time share a commit and its fsync.
//!
//! While the disk takes no writes (full, read-only, failing, or the file was replaced), nothing can be
//! asked or claimed; once it does again, the changes in memory are written first. A file that was
//! deleted is written again; a file that was put in its place is not touched.

mod base;
mod commit;
mod disk;
mod file;
mod lost;
mod tables;
mod write;
mod writer;

use std::path::PathBuf;
#[cfg(test)]
use std::sync::Arc;

use redb::{ReadableDatabase, TableDefinition};
use tokio::sync::oneshot;

use crate::error::{OpenError, StoreError};
use crate::ids::Id;
use crate::settings::StoreLocation;

use tables::{BODIES, Loaded, RESULTS};
pub(crate) use write::Write;

/// Resolves when the writes are on disk. Dropping it does not cancel them.
pub(crate) struct Flush(oneshot::Receiver<Result<(), StoreError>>);

impl Flush {
    pub(crate) async fn done(self) -> Result<(), StoreError> {
        self.0.await.unwrap_or(Err(StoreError::Closed))
    }
}

pub(crate) struct Store {
    writer: writer::Writer,
    handle: base::Handle,
    #[cfg(test)]
    fails: Arc<std::sync::atomic::AtomicBool>,
}

impl Store {
    pub(crate) fn open(location: &StoreLocation) -> Result<(Self, Loaded), OpenError> {
        let (base, database) = base::Base::open(location)?;
        let handle = base.handle();
        #[cfg(test)]
        let fails = base.fails();
        let path = match location {
            StoreLocation::File(path) => path.clone(),
            StoreLocation::Memory => PathBuf::from("memory"),
        };
        let loaded = file::load(&path, &database)?;
        drop(database);
        let writer =
            writer::Writer::spawn(base).map_err(|source| OpenError::Io { path, source })?;
        let store = Self {
            writer,
            handle,
            #[cfg(test)]
            fails,
        };
        Ok((store, loaded))
    }

    /// Queues `writes` behind all earlier ones. Never blocks on the disk.
    pub(crate) fn submit(&self, writes: Vec<Write>) -> Flush {
        let (done, flush) = oneshot::channel();
        self.writer.send(writer::Job::Write(writes, done));
        Flush(flush)
    }

    /// Error of the latest attempt to write, if it failed.
    pub(crate) fn failure(&self) -> Option<StoreError> {
        self.writer.failure()
    }

    pub(crate) fn body(&self, id: Id) -> Option<Vec<u8>> {
        self.read(BODIES, id)
    }

    pub(crate) fn result(&self, id: Id) -> Option<Vec<u8>> {
        self.read(RESULTS, id)
    }

    /// Writes what is queued, then releases the file. Later writes fail.
    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        self.writer.send(writer::Job::Close(done));
        // An error means that the store was closed before.
        let _ = closed.await;
    }

    fn read(&self, table: TableDefinition<'_, [u8; 16], &[u8]>, id: Id) -> Option<Vec<u8>> {
        // Locked for the whole read: a reader with its own handle would keep the old database open over
        // the file while the writer opens it again.
        let handle = self.handle.lock();
        let table = handle.as_ref()?.begin_read().ok()?.open_table(table).ok()?;
        let value = table.get(id.bytes()).ok()??;
        Some(value.value().to_vec())
    }
}

#[cfg(test)]
impl Store {
    /// Holds up the writer for as long as the transaction lives: redb has one writer at a time.
    pub(crate) fn stall(&self) -> redb::WriteTransaction {
        let database = self.handle.lock().clone();
        database
            .expect("an open store")
            .begin_write()
            .expect("a transaction")
    }

    /// Makes every write to the file fail from now on, or no longer.
    pub(crate) fn fail(&self, fails: bool) {
        self.fails.store(fails, std::sync::atomic::Ordering::SeqCst);
    }
}
