//! State that all handles and workers share: the table of approvals, the store behind it, and the
//! signals that wake workers. Every change of an approval goes through this file, so that memory,
//! disk, counters and waiters agree. Knows no channel: it wakes lanes, whoever works in them.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use thoughtgate_panic::lock;
use tokio::sync::{Notify, mpsc, watch};

use crate::clock::{millis, now_ms};
use crate::counters::{Counters, Counts};
use crate::ids::Id;
use crate::lanes::Lanes;
use crate::record::{MessageRef, Record, Rendered};
use crate::seal::Sealer;
use crate::settings::Settings;
use crate::state::State;
use crate::store::{Flush, Store, Write};
use crate::table::ApprovalTable;
use crate::user::UserKey;
use crate::view::View;

/// Called for each state that an approval enters, with the approval and its principal. It runs
/// under the lock of all approvals: it must neither block nor call back into [`crate::Approvals`].
pub type Observer = Box<dyn Fn(&View, &str) + Send + Sync>;

pub(crate) struct Ledger {
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) sealer: Sealer,
    pub(crate) users: UserKey,
    pub(crate) counts: Arc<Counts>,
    observer: Observer,
    /// Workers that ask approvers, to be woken after changes.
    pub(crate) lanes: Lanes,
    /// Wakes [`keep`] after a change, which may have moved the next deadline.
    pub(crate) keeper: Notify,
    /// True once the workers must stop.
    pub(crate) closed: watch::Sender<bool>,
    /// Takes the ids of approved calls with a kept body; `None` until somebody listens.
    pub(crate) ready: Mutex<Option<mpsc::UnboundedSender<Id>>>,
    table: Mutex<ApprovalTable>,
}

impl Ledger {
    pub(crate) fn new(
        settings: Settings,
        store: Store,
        (sealer, users): (Sealer, UserKey),
        counts: Arc<Counts>,
        observer: Observer,
    ) -> Self {
        Self {
            settings,
            store,
            sealer,
            users,
            counts,
            observer,
            lanes: Lanes::default(),
            keeper: Notify::new(),
            closed: watch::Sender::new(false),
            ready: Mutex::new(None),
            table: Mutex::default(),
        }
    }

    pub(crate) fn table(&self) -> MutexGuard<'_, ApprovalTable> {
        lock(&self.table)
    }

    /// Takes over the records of the previous process, and stores those that changed because of it.
    pub(crate) fn restore(&self, records: Vec<Record>) {
        let mut table = self.table();
        for id in table.restore(records, now_ms()) {
            self.record(&table, id);
        }
    }

    /// Moves an approval to the state `next`. `None` when the rules forbid it or it is gone.
    pub(crate) fn change(
        &self,
        table: &mut ApprovalTable,
        id: Id,
        next: State,
        edit: impl FnOnce(&mut Record),
    ) -> Option<Flush> {
        let approved_ms = millis(self.settings.approved_for);
        let now = now_ms();
        let was = table.get(id).map(|entry| entry.record.state);
        let changed = table.change(id, next, now, |record| {
            // A claim that is given back does not make the approval last longer.
            if was == Some(State::Pending) && next == State::Approved {
                record.expires_ms = now.saturating_add(approved_ms);
            }
            edit(record);
        });
        changed.then(|| self.record(table, id))
    }

    /// Stores an approval that just entered its state, and notifies observer, listener and workers.
    fn record(&self, table: &ApprovalTable, id: Id) -> Flush {
        let Some(entry) = table.get(id) else {
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
        // `notify_one` also wakes a worker that is not waiting yet, so a change during a sweep is not missed.
        self.keeper.notify_one();
        self.lanes.wake(&record.channel);
        // Under the lock of the table, so that the store writes changes in the order in which they were made.
        self.store.submit(writes)
    }

    /// Counts an approval that entered its state, and calls the observer.
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

    /// Records the message that asks approvers; `unread` is a time at which it had no votes, if one
    /// is known.
    pub(crate) fn set_message(
        &self,
        id: Id,
        message: MessageRef,
        rendered: Rendered,
        unread: Option<Instant>,
    ) {
        self.edit(id, |record| {
            record.message = Some(message);
            record.rendered = Some(rendered);
            true
        });
        if let Some(entry) = self.table().get_mut(id) {
            entry.trouble = None;
        }
        if let Some(unread) = unread {
            self.votes_read(id, unread);
        }
    }

    /// Records that the votes were read and judged, by a reading that began at `began`: votes that
    /// were given after that may be missing from it.
    pub(crate) fn votes_read(&self, id: Id, began: Instant) {
        if let Some(entry) = self.table().get_mut(id) {
            entry.votes_read = entry.votes_read.max(Some(began));
            entry.trouble = None;
        }
    }

    /// Records what the message shows, or what it should show when updating it was given up.
    pub(crate) fn set_rendered(&self, id: Id, rendered: Rendered) {
        self.edit(id, |record| {
            record.rendered = Some(rendered);
            true
        });
    }

    /// Changes a record without changing its state; `edit` returns whether it changed anything.
    pub(crate) fn edit(&self, id: Id, edit: impl FnOnce(&mut Record) -> bool) {
        self.edit_in(&mut self.table(), id, edit);
    }

    pub(crate) fn edit_in(
        &self,
        table: &mut ApprovalTable,
        id: Id,
        edit: impl FnOnce(&mut Record) -> bool,
    ) {
        let Some(entry) = table.get_mut(id) else {
            return;
        };
        if edit(&mut entry.record) {
            entry.record.cap();
            let record = entry.stored();
            table.weigh(id);
            self.lanes.wake(&record.channel);
            self.store.submit(vec![Write::Record(Box::new(record))]);
        }
    }

    /// Expires and forgets what is due; returns the time until the next deadline, in milliseconds.
    pub(crate) fn sweep(&self) -> Option<u64> {
        let now = now_ms();
        let mut table = self.table();
        for id in table.end_overdue(now) {
            self.record(&table, id);
        }
        self.prune(&mut table, 0);
        table
            .next_due_ms(millis(self.settings.retention))
            .map(|due| due.saturating_sub(now))
    }

    /// Forgets ended approvals that are too old, too many, or too many with `coming` bytes more.
    pub(crate) fn prune(&self, table: &mut ApprovalTable, coming: usize) {
        let gone = table.prune(now_ms(), &self.settings, coming);
        if !gone.is_empty() {
            self.store.submit(vec![Write::Remove(gone)]);
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        let table = self.table();
        let count = |wanted: fn(State) -> bool| {
            table
                .records()
                .filter(|record| wanted(record.state))
                .count() as u64
        };
        Counters {
            pending: count(|state| state == State::Pending),
            open: count(State::is_open),
            held: table.entries().map(|entry| entry.callers as u64).sum(),
            kept: table.len() as u64,
            kept_bytes: table.bytes() as u64,
            ..self.counts.snapshot()
        }
    }
}

/// Expires and forgets what is due, until the approvals are closed.
pub(crate) async fn keep(ledger: Arc<Ledger>) {
    let mut closed = ledger.closed.subscribe();
    loop {
        let due = ledger.sweep();
        // Without a deadline there is no timer: the next change wakes this up.
        let sleep = async {
            match due {
                Some(ms) => tokio::time::sleep(Duration::from_millis(ms.max(1))).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep => {}
            () = ledger.keeper.notified() => {}
            _ = closed.wait_for(|closed| *closed) => return,
        }
    }
}
