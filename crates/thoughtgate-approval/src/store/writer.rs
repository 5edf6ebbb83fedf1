//! The one thread that writes: an fsync takes milliseconds, and must not block a thread that serves
//! requests. Jobs that are queued meanwhile share the next commit.
//!
//! Failed writes are retried at growing intervals. Until they succeed, everyone who waits for a write
//! gets the error, and the changes are merged in `lost.rs`.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use thoughtgate_panic::{info, lock, warn};
use tokio::sync::oneshot;

use super::base::Base;
use super::lost::Lost;
use super::write::Write;
use crate::cause::chain;
use crate::error::StoreError;

/// Most jobs that share one commit, so that a flood cannot delay an fsync for ever.
const COMMIT_JOBS_MAX: usize = 256;

/// First and longest wait between attempts to write after a failure; the wait doubles.
const RETRY_FIRST: Duration = Duration::from_millis(250);
// Short, since calls that need approval are refused until a write succeeds.
const RETRY_MAX: Duration = Duration::from_secs(2);

type Done = oneshot::Sender<Result<(), StoreError>>;

pub(super) enum Job {
    Write(Vec<Write>, Done),
    Close(oneshot::Sender<()>),
}

pub(super) struct Writer {
    jobs: Sender<Job>,
    failure: Arc<Mutex<Option<StoreError>>>,
}

impl Writer {
    pub(super) fn spawn(base: Base) -> std::io::Result<Self> {
        // Unbounded: senders hold the lock of all approvals, and must not wait for the disk.
        let (jobs, queue) = channel();
        let failure = Arc::new(Mutex::new(None));
        let worker = Worker {
            base,
            lost: Lost::default(),
            failure: Arc::clone(&failure),
            retry: None,
        };
        std::thread::Builder::new()
            .name("approval-store".to_owned())
            .spawn(move || worker.run(&queue))?;
        Ok(Self { jobs, failure })
    }

    /// Queues a job. After the close it is dropped, which its sender sees as a closed channel.
    pub(super) fn send(&self, job: Job) {
        let _ = self.jobs.send(job);
    }

    pub(super) fn failure(&self) -> Option<StoreError> {
        lock(&self.failure).clone()
    }
}

struct Worker {
    base: Base,
    lost: Lost,
    failure: Arc<Mutex<Option<StoreError>>>,
    /// Time of the next attempt after a failure, and the wait before it.
    retry: Option<(Instant, Duration)>,
}

/// Jobs that share a commit.
#[derive(Default)]
struct Batch {
    writes: Vec<Write>,
    waiting: Vec<Done>,
    close: Option<oneshot::Sender<()>>,
}

impl Worker {
    fn run(mut self, queue: &Receiver<Job>) {
        while let Some(batch) = self.next(queue) {
            if batch.close.is_some() {
                // The last chance to write, so the time of the next attempt is not awaited.
                self.retry = None;
            }
            let result = self.write(batch.writes);
            for done in batch.waiting {
                // An error means that nobody waits for this write.
                let _ = done.send(result.clone());
            }
            if let Some(done) = batch.close {
                // The file is released first: whoever awaits the close may open it again at once.
                drop(self);
                let _ = done.send(());
                return;
            }
        }
    }

    /// Waits for jobs, or until it is time to try again; `None` once no sender is left.
    fn next(&self, queue: &Receiver<Job>) -> Option<Batch> {
        let first = match self.retry {
            None => Some(queue.recv().ok()?),
            Some((at, _)) => {
                let left = at.saturating_duration_since(Instant::now());
                match queue.recv_timeout(left) {
                    Ok(job) => Some(job),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return None,
                }
            }
        };
        let mut batch = Batch::default();
        let mut next = first;
        while let Some(job) = next {
            match job {
                Job::Write(more, done) => {
                    batch.writes.extend(more);
                    batch.waiting.push(done);
                }
                Job::Close(done) => batch.close = Some(done),
            }
            let more = batch.close.is_none() && batch.waiting.len() < COMMIT_JOBS_MAX;
            next = if more { queue.try_recv().ok() } else { None };
        }
        Some(batch)
    }

    /// Writes the changes that failed before, then `writes`. After an error some are not on disk.
    fn write(&mut self, writes: Vec<Write>) -> Result<(), StoreError> {
        // While the wait lasts, new writes fail at once: nobody waits for a disk that has just failed.
        if let Some((at, _)) = self.retry
            && Instant::now() < at
            && let Some(failure) = self.current()
        {
            for write in writes {
                self.lost.add(write);
            }
            return Err(failure);
        }
        let mut all = self.lost.take();
        all.extend(writes);
        // A job without writes asks whether all earlier writes are on disk: they are.
        if all.is_empty() {
            return Ok(());
        }
        match self.base.write(&all) {
            Ok(()) => {
                if self.retry.take().is_some() {
                    info!("the approval store can be written again");
                }
                self.note(None);
                Ok(())
            }
            Err(failure) => {
                for write in all {
                    self.lost.add(write);
                }
                // Printed once per outage, not for each attempt.
                if self.retry.is_none() {
                    warn!(
                        "failed to write the approval store `{}`: {}; calls that need approval are refused until a write succeeds",
                        self.base.path().display(),
                        chain(&failure)
                    );
                }
                let wait = self
                    .retry
                    .map_or(RETRY_FIRST, |(_, wait)| (wait * 2).min(RETRY_MAX));
                self.retry = Some((Instant::now() + wait, wait));
                self.note(Some(failure.clone()));
                Err(failure)
            }
        }
    }

    fn current(&self) -> Option<StoreError> {
        lock(&self.failure).clone()
    }

    fn note(&self, failure: Option<StoreError>) {
        *lock(&self.failure) = failure;
    }
}
