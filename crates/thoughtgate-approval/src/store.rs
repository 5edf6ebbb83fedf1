//! Where approvals outlive the process: one redb file, mode 0600, locked against a second proxy.
//!
//! Kept: the approval itself (principal, tool, digest, policies, state, deadlines, the redacted and
//! capped text of the arguments, where approvers were asked), the key that seals request states,
//! and, only for calls that are answered later, the request's body and its result. Removed: an
//! approval `retention` after it ended, its body as soon as it ended.
//!
//! Flushed (fsync) before going on: a new approval before anybody is asked, a claim before the call
//! is sent, and a result before it is told. Flushed within one commit, without being waited for:
//! decisions and the like, which a restart would find again. Commits of one moment share an fsync.
//!
//! A disk that takes nothing (full, read-only, failing, or with the file moved away) lets nothing be
//! asked or claimed; once it takes writes again, what memory has goes there first. A file that was
//! deleted is written anew; one put in its place is not touched.
//!
//! Not kept: tokens, and arguments in any form other than the one above.

mod base;
mod commit;
mod disk;
mod file;
mod lost;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use redb::{ReadableDatabase, TableDefinition};
use tokio::sync::oneshot;

use crate::error::OpenError;
use crate::ids::Id;
use crate::record::Record;
use crate::settings::StoreLocation;

/// The format written, and the highest that is read.
pub(crate) const FORMAT: u64 = 1;

const RECORDS: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("records");
const BODIES: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("bodies");
const RESULTS: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("results");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// One change. Those of one [`Store::submit`] become durable together.
pub(crate) enum Write {
    Record(Box<Record>),
    Body(Id, Vec<u8>),
    Result(Id, Vec<u8>),
    DropBody(Id),
    Remove(Vec<Id>),
}

/// What the store held when it was opened.
pub(crate) struct Loaded {
    pub(crate) records: Vec<Record>,
    pub(crate) seal_key: [u8; 32],
}

/// Resolves when the writes are on disk; dropping it loses nothing but the knowledge.
pub(crate) struct Flush(oneshot::Receiver<Result<(), Arc<str>>>);

impl Flush {
    pub(crate) async fn done(self) -> Result<(), String> {
        match self.0.await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err("the store is closed".to_owned()),
        }
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
        let base = base::Base::open(location)?;
        let handle = base.handle();
        #[cfg(test)]
        let fails = base.fails();
        let path = match location {
            StoreLocation::File(path) => path.clone(),
            StoreLocation::Memory => PathBuf::from("memory"),
        };
        let database = handle.lock().clone();
        let Some(database) = database else {
            return Err(OpenError::Settings("the store is closed".to_owned()));
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

    /// The last failure to write, when the latest attempt failed.
    pub(crate) fn failure(&self) -> Option<String> {
        self.writer.failure()
    }

    pub(crate) fn body(&self, id: Id) -> Option<Vec<u8>> {
        self.read(BODIES, id)
    }

    pub(crate) fn result(&self, id: Id) -> Option<Vec<u8>> {
        self.read(RESULTS, id)
    }

    /// Writes what is queued, then lets go of the file. Later writes fail.
    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        self.writer.send(writer::Job::Close(done));
        // An error means that it was closed before.
        let _ = closed.await;
    }

    fn read(&self, table: TableDefinition<'_, [u8; 16], &[u8]>, id: Id) -> Option<Vec<u8>> {
        let handle = self.handle.lock();
        let table = handle.as_ref()?.begin_read().ok()?.open_table(table).ok()?;
        let value = table.get(id.bytes()).ok()??;
        Some(value.value().to_vec())
    }
}

#[cfg(test)]
impl Store {
    /// redb lets one writer in at a time: while this is held, the writer waits.
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
