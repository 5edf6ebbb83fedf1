//! The one thread that writes: fsync takes milliseconds, and nobody who serves requests may wait
//! for it on its own thread. What has queued up meanwhile shares the next commit.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use redb::Database;
use tokio::sync::oneshot;

use super::{BODIES, RECORDS, RESULTS, Write, file};

/// Most jobs that share one commit, so that a flood cannot delay an fsync for ever.
const COMMIT_JOBS_MAX: usize = 256;

type Done = oneshot::Sender<Result<(), Arc<str>>>;

pub(super) enum Job {
    Write(Vec<Write>, Done),
    Close(oneshot::Sender<()>),
}

pub(super) struct Writer {
    jobs: Sender<Job>,
    failure: Arc<Mutex<Option<Arc<str>>>>,
}

impl Writer {
    pub(super) fn spawn(database: Arc<Database>) -> std::io::Result<Self> {
        let (jobs, queue) = channel();
        let failure = Arc::new(Mutex::new(None));
        let shared = Arc::clone(&failure);
        std::thread::Builder::new()
            .name("approval-store".to_owned())
            .spawn(move || run(database, &queue, &shared))?;
        Ok(Self { jobs, failure })
    }

    /// A job sent after the close is dropped, which its sender sees as a closed channel.
    pub(super) fn send(&self, job: Job) {
        let _ = self.jobs.send(job);
    }

    pub(super) fn failure(&self) -> Option<String> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_ref().map(ToString::to_string)
    }
}

fn run(database: Arc<Database>, queue: &Receiver<Job>, failure: &Mutex<Option<Arc<str>>>) {
    while let Ok(first) = queue.recv() {
        let mut writes = Vec::new();
        let mut waiting = Vec::new();
        let mut close = None;
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Write(more, done) => {
                    writes.extend(more);
                    waiting.push(done);
                }
                Job::Close(done) => close = Some(done),
            }
            let more = close.is_none() && waiting.len() < COMMIT_JOBS_MAX;
            next = if more { queue.try_recv().ok() } else { None };
        }
        if !waiting.is_empty() {
            let result = commit(&database, &writes).map_err(|error| Arc::from(error.to_string()));
            if !writes.is_empty() {
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = result.clone().err();
            }
            for done in waiting {
                // Nobody waits for most writes.
                let _ = done.send(result.clone());
            }
        }
        if let Some(done) = close {
            drop(database);
            let _ = done.send(());
            return;
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum CommitError {
    #[error("{0}")]
    Database(#[from] Box<redb::Error>),
    #[error("{0}")]
    Encode(#[from] serde_json::Error),
}

fn failed(error: impl Into<redb::Error>) -> CommitError {
    CommitError::Database(Box::new(error.into()))
}

fn commit(database: &Database, writes: &[Write]) -> Result<(), CommitError> {
    // Somebody only wants to know that all earlier writes are on disk: they are.
    if writes.is_empty() {
        return Ok(());
    }
    let transaction = database.begin_write().map_err(failed)?;
    {
        let mut records = transaction.open_table(RECORDS).map_err(failed)?;
        let mut bodies = transaction.open_table(BODIES).map_err(failed)?;
        let mut results = transaction.open_table(RESULTS).map_err(failed)?;
        for write in writes {
            match write {
                Write::Record(record) => {
                    let bytes = file::encode(record)?;
                    records
                        .insert(record.id.bytes(), bytes.as_slice())
                        .map_err(failed)?;
                }
                Write::Body(id, bytes) => {
                    bodies
                        .insert(id.bytes(), bytes.as_slice())
                        .map_err(failed)?;
                }
                Write::Result(id, bytes) => {
                    results
                        .insert(id.bytes(), bytes.as_slice())
                        .map_err(failed)?;
                }
                Write::DropBody(id) => {
                    bodies.remove(id.bytes()).map_err(failed)?;
                }
                Write::Remove(ids) => {
                    for id in ids {
                        records.remove(id.bytes()).map_err(failed)?;
                        bodies.remove(id.bytes()).map_err(failed)?;
                        results.remove(id.bytes()).map_err(failed)?;
                    }
                }
            }
        }
    }
    transaction.commit().map_err(failed)
}
