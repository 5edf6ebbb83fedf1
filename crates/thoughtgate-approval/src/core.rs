//! What all handles and workers share: the book, the store behind it, and the wake-up calls. Every
//! change of an approval goes through here, so that memory, disk, counts and waiters agree.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use thoughtgate_panic::lock;
use tokio::sync::{Notify, mpsc, watch};

use crate::approvals::Observer;
use crate::book::Book;
use crate::counters::{Counters, Counts, Health};
use crate::ids::Id;
use crate::record::{Face, Message, Record, State, now_ms};
use crate::seal::Sealer;
use crate::settings::Settings;
use crate::slack::Desk;
use crate::store::{Flush, Store, Write};

pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) sealer: Sealer,
    pub(crate) counts: Arc<Counts>,
    observer: Observer,
    /// Asks approvers, and hears what they say.
    pub(crate) desk: Desk,
    pub(crate) keeper: Notify,
    /// True once the workers must stop.
    pub(crate) closed: watch::Sender<bool>,
    /// Told which calls with a kept body may now run; absent until somebody listens.
    pub(crate) ready: Mutex<Option<mpsc::UnboundedSender<Id>>>,
    book: Mutex<Book>,
}

impl Core {
    pub(crate) fn new(
        settings: Settings,
        store: Store,
        sealer: Sealer,
        desk: Desk,
        counts: Arc<Counts>,
        observer: Observer,
    ) -> Self {
        Self {
            settings,
            store,
            sealer,
            counts,
            observer,
            desk,
            keeper: Notify::new(),
            closed: watch::Sender::new(false),
            ready: Mutex::new(None),
            book: Mutex::default(),
        }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }

    /// Writes down what a former process left and this one had to change.
    pub(crate) fn restore(&self, records: Vec<Record>) {
        let mut book = self.book();
        for id in book.restore(records, now_ms()) {
            self.record(&book, id);
        }
    }

    /// Moves an approval on. `None` when the rules forbid it or it is gone.
    pub(crate) fn change(
        &self,
        book: &mut Book,
        id: Id,
        next: State,
        edit: impl FnOnce(&mut Record),
    ) -> Option<Flush> {
        let approved_ms = millis(self.settings.approved_for);
        let now = now_ms();
        let was = book.get(id).map(|entry| entry.record.state);
        let changed = book.change(id, next, now, |record| {
            // A claim that is given back does not make the approval last longer.
            if was == Some(State::Pending) && next == State::Approved {
                record.expires_ms = now.saturating_add(approved_ms);
            }
            edit(record);
        });
        changed.then(|| self.record(book, id))
    }

    /// Stores an approval that just entered its state, and tells all whom it concerns.
    fn record(&self, book: &Book, id: Id) -> Flush {
        let Some(entry) = book.get(id) else {
            return self.store.submit(Vec::new());
        };
        let record = &entry.record;
        self.entered(record);
        let mut writes = vec![Write::Record(Box::new(record.clone()))];
        if !record.state.is_open() {
            writes.push(Write::DropBody(id));
        }
        if record.state == State::Approved && record.has_body {
            self.announce(id);
        }
        self.keeper.notify_one();
        self.desk.wake(&record.channel);
        self.store.submit(writes)
    }

    /// Counts an approval that entered its state, and tells the observer.
    pub(crate) fn entered(&self, record: &Record) {
        self.counts.enter(record.state);
        (self.observer)(&record.view(), &record.principal);
    }

    fn announce(&self, id: Id) {
        let mut ready = lock(&self.ready);
        // A listener that went away must not leave a queue that nobody empties.
        if ready.as_ref().is_some_and(|ready| ready.send(id).is_err()) {
            *ready = None;
        }
    }

    /// Approvers have been asked, by a message that had no votes at `unread`, if that is known.
    pub(crate) fn set_message(
        &self,
        id: Id,
        message: Message,
        face: Face,
        unread: Option<Instant>,
    ) {
        self.edit(id, |record| {
            record.message = Some(message);
            record.face = Some(face);
            true
        });
        if let Some(unread) = unread {
            self.votes_read(id, unread);
        }
    }

    /// The votes have been read and judged; the reading began then.
    pub(crate) fn votes_read(&self, id: Id, began: Instant) {
        if let Some(entry) = self.book().get_mut(id) {
            entry.votes_read = entry.votes_read.max(Some(began));
        }
    }

    /// The message now says this, or never will say anything else.
    pub(crate) fn set_face(&self, id: Id, face: Face) {
        self.edit(id, |record| {
            record.face = Some(face);
            true
        });
    }

    /// Changes what is not the state; `edit` says whether it did.
    pub(crate) fn edit(&self, id: Id, edit: impl FnOnce(&mut Record) -> bool) {
        self.edit_in(&mut self.book(), id, edit);
    }

    pub(crate) fn edit_in(&self, book: &mut Book, id: Id, edit: impl FnOnce(&mut Record) -> bool) {
        let Some(entry) = book.get_mut(id) else {
            return;
        };
        if edit(&mut entry.record) {
            entry.record.cap();
            let record = entry.record.clone();
            book.weigh(id);
            self.desk.wake(&record.channel);
            self.store.submit(vec![Write::Record(Box::new(record))]);
        }
    }

    /// Expires and forgets what is due; returns when to come back, in milliseconds from now.
    pub(crate) fn sweep(&self) -> Option<u64> {
        let now = now_ms();
        let mut book = self.book();
        for id in book.expire(now) {
            self.record(&book, id);
        }
        self.prune(&mut book, 0);
        book.next_due_ms(millis(self.settings.retention))
            .map(|due| due.saturating_sub(now))
    }

    /// Forgets ended approvals that are too old, too many, or too many with `coming` bytes more.
    pub(crate) fn prune(&self, book: &mut Book, coming: usize) {
        let gone = book.prune(now_ms(), &self.settings, coming);
        if !gone.is_empty() {
            self.store.submit(vec![Write::Remove(gone)]);
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        let book = self.book();
        let count = |wanted: fn(State) -> bool| {
            book.records().filter(|record| wanted(record.state)).count() as u64
        };
        Counters {
            pending: count(|state| state == State::Pending),
            open: count(State::is_open),
            kept: book.len() as u64,
            kept_bytes: book.bytes() as u64,
            ..self.counts.snapshot()
        }
    }

    pub(crate) fn health(&self) -> Health {
        Health {
            store: self.store.failure(),
            approvers: self.desk.failure(),
        }
    }
}

/// Whole milliseconds, saturating.
pub(crate) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Expires and forgets what is due, until the end.
pub(crate) async fn keep(core: Arc<Core>) {
    let mut closed = core.closed.subscribe();
    loop {
        let due = core.sweep();
        // Nothing due is not polled for: the next change wakes this up.
        let sleep = async {
            match due {
                Some(ms) => tokio::time::sleep(Duration::from_millis(ms.max(1))).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep => {}
            () = core.keeper.notified() => {}
            _ = closed.wait_for(|closed| *closed) => return,
        }
    }
}
