//! Places for client connections: limits their number, and selects one to close when another needs a
//! place.
//!
//! The longest idle connection is closed first: nobody waits for it, and its client can open another. A
//! connection that serves a request keeps its place, even if that is a stream that only listens, but not
//! if its client is slow to send the request. Knows no socket and no request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use thoughtgate_panic::lock;
use tokio::task::AbortHandle;

use crate::patience::{Patience, Waits};

/// A connection that has not sent a whole request within this time is closed before those that have.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// Limit of evicted connections that are not closed yet. They still have descriptors, so beyond this many
/// no other is evicted.
pub const LEAVING_MAX: usize = 32;
/// Limit of connections beyond `limits.connections`. Each gets one answer, from an admin route or 503, so
/// that a proxy without free places still reports its health.
pub const SPARE_MAX: usize = 16;
/// Limit of connections to the admin routes when they have their own address.
pub const ADMIN_MAX: usize = 32;
const PATIENCE_MS: u64 = PATIENCE.as_secs() * 1000;

// Both lie above every idle state, so that one comparison (`state >= EVICTED`) sets them apart.
/// State of a connection that serves a request.
const BUSY: u64 = u64::MAX;
/// State of a connection that has lost its place.
const EVICTED: u64 = u64::MAX - 1;

pub struct Slots {
    places_max: usize,
    table: Mutex<Table>,
    started: Instant,
    evicted: Counter,
}

#[derive(Default)]
struct Table {
    places: Vec<Option<Arc<Place>>>,
    free: Vec<usize>,
    leaving: usize,
}

/// One connection's place; given back when dropped.
pub struct Slot {
    slots: Arc<Slots>,
    index: usize,
    place: Arc<Place>,
}

/// A request that is being served, until dropped.
pub struct Busy(Arc<Place>);

/// State of one place, shared by the connection that has it and by those that need one.
pub struct Place {
    /// [`BUSY`], [`EVICTED`], or since when it is idle: milliseconds since `started`, times two, plus one
    /// if it has served a request.
    state: AtomicU64,
    started: Instant,
    task: OnceLock<AbortHandle>,
    pub patience: Waits,
}

impl Slots {
    /// `places_max` places; `evicted` counts connections that had to make room.
    #[must_use]
    pub fn new(places_max: usize, evicted: Counter) -> Arc<Slots> {
        Arc::new(Slots {
            places_max,
            table: Mutex::default(),
            started: Instant::now(),
            evicted,
        })
    }

    /// A place, if need be that of the longest idle connection; `None` while all are busy.
    #[must_use]
    pub fn take(self: &Arc<Self>) -> Option<Slot> {
        let mut table = self.table();
        let index = if table.places.len() - table.free.len() >= self.places_max {
            self.evict(&mut table)?
        } else if let Some(index) = table.free.pop() {
            index
        } else {
            // Grows only when no place is free: a high limit costs no memory until it is used.
            table.places.push(None);
            table.places.len() - 1
        };
        let place = Arc::new(Place {
            state: AtomicU64::new(0),
            started: self.started,
            task: OnceLock::new(),
            patience: Waits::default(),
        });
        // State 0 would mean idle since the start, so that this connection would be the next to be evicted.
        place.idle(false);
        // An evicted connection keeps its former `Place`, by which its `Slot` knows that the index is lost.
        table.places[index] = Some(Arc::clone(&place));
        Some(Slot {
            slots: Arc::clone(self),
            index,
            place,
        })
    }

    /// Closes the longest idle connection, to free its descriptor.
    pub fn make_room(&self) {
        let mut table = self.table();
        if let Some(index) = self.evict(&mut table) {
            // Unlike in `take`, no connection takes the place over, so it is free at once. The descriptor
            // follows when the aborted task ends.
            table.places[index] = None;
            table.free.push(index);
        }
    }

    /// Evicts the connection that can best be spared, and returns the index of its place.
    fn evict(&self, table: &mut Table) -> Option<usize> {
        while table.leaving < LEAVING_MAX {
            let (index, seen) = spared_first(&table.places, millis(self.started))?;
            let place = table.places.get(index)?.as_ref()?;
            if place.evict(seen) {
                table.leaving += 1;
                self.evicted.inc();
                return Some(index);
            }
            // Its state has just changed, because it began a request: look again.
        }
        None
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }
}

/// The idle connection that can best be spared, and its state. First one that has sent no request for
/// [`PATIENCE`], then one that has served some, then a new one; of each kind the oldest. While more than
/// half of the places are held by connections without a request, always one of these: a flood of them
/// must not displace the others.
fn spared_first(places: &[Option<Arc<Place>>], now: u64) -> Option<(usize, u64)> {
    let (mut new, mut served) = (None, None);
    let mut new_count = 0;
    for (index, place) in places.iter().enumerate() {
        let Some(place) = place else { continue };
        // `Relaxed`: if the state has changed since, the exchange in `evict` fails, and the search is
        // repeated.
        let state = place.state.load(Ordering::Relaxed);
        if state >= EVICTED {
            continue;
        }
        let oldest = if state & 1 == 1 {
            &mut served
        } else {
            new_count += 1;
            &mut new
        };
        // Within one kind the lowest bit is the same, so that states compare as their times do.
        if oldest.is_none_or(|(_, oldest)| state < oldest) {
            *oldest = Some((index, state));
        }
    }
    let is_silent = |(_, state): &(usize, u64)| now.saturating_sub(state >> 1) >= PATIENCE_MS;
    if new_count * 2 > places.len() {
        return new;
    }
    new.filter(is_silent).or(served).or(new)
}

fn millis(started: Instant) -> u64 {
    // Cannot fail: a u64 holds the milliseconds of half a billion years, even doubled as they are in a state.
    u64::try_from(started.elapsed().as_millis()).unwrap_or(0)
}

impl Place {
    /// Sets the task that is to be aborted when the place is lost.
    pub fn held_by(&self, task: AbortHandle) {
        let task = self.task.get_or_init(|| task);
        // An eviction before this line found no task to abort.
        if self.is_evicted() {
            task.abort();
        }
    }

    fn begin(&self) -> bool {
        let is_held = self.state.swap(BUSY, Ordering::AcqRel) != EVICTED;
        if !is_held {
            // `swap` has overwritten it. An evicted place is no longer in the table, so nobody decides by the
            // state in between.
            self.state.store(EVICTED, Ordering::Release);
        }
        is_held
    }

    fn idle(&self, served: bool) {
        let state = millis(self.started) << 1 | u64::from(served);
        self.state.store(state, Ordering::Relaxed);
    }

    fn evict(&self, seen: u64) -> bool {
        // Only from the state that it was selected by: a request that has begun since keeps its place.
        let changed = self
            .state
            .compare_exchange(seen, EVICTED, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
        if changed && let Some(task) = self.task.get() {
            task.abort();
        }
        changed
    }

    fn is_evicted(&self) -> bool {
        self.state.load(Ordering::Acquire) == EVICTED
    }
}

impl Slot {
    #[must_use]
    pub fn place(&self) -> Arc<Place> {
        Arc::clone(&self.place)
    }

    /// Begins a request; `None` if the place has been lost, which ends the connection.
    #[must_use]
    pub fn begin(&self) -> Option<Busy> {
        self.place.begin().then(|| Busy(Arc::clone(&self.place)))
    }
}

impl Busy {
    /// To be called when the request's body has not arrived within [`PATIENCE`]: until it has, the place
    /// may be taken.
    pub fn waits(&self) {
        // As if new and idle for `PATIENCE`, which makes it one of the silent connections, evicted first.
        let since = millis(self.0.started).saturating_sub(PATIENCE_MS);
        self.0.state.store(since << 1, Ordering::Relaxed);
    }

    /// To be called for a request that has arrived whole: its client may send no more, and read on.
    pub fn be_patient(&self, patience: Patience) {
        self.0.patience.set(patience);
    }

    /// To be called when the body has arrived. Returns whether the place is still held.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.0.begin()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.be_patient(Patience::None);
        // A place that was lost while the body was slow to arrive must not look idle again.
        if !self.0.is_evicted() {
            self.0.idle(true);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut table = self.slots.table();
        let held = table
            .places
            .get_mut(self.index)
            .and_then(|place| place.take_if(|place| Arc::ptr_eq(place, &self.place)));
        // The index may belong to another connection by now, which keeps it: then this one was evicted.
        if held.is_some() {
            table.free.push(self.index);
        } else {
            table.leaving = table.leaving.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(places_max: usize) -> (Arc<Slots>, Counter) {
        let evicted = Counter::default();
        (Slots::new(places_max, evicted.clone()), evicted)
    }

    #[test]
    fn the_connection_that_is_idle_longest_makes_room() {
        let (slots, evicted) = slots(3);
        let [first, second, third] = [(); 3].map(|()| slots.take().unwrap());
        let busy = second.begin().unwrap();
        drop(first.begin());
        drop(third.begin());
        first.place.state.store(20 << 1 | 1, Ordering::Relaxed);
        third.place.state.store(10 << 1 | 1, Ordering::Relaxed);
        let fourth = slots.take().unwrap();
        assert!(third.begin().is_none(), "its place is gone");
        assert!(third.begin().is_none(), "for good");
        assert!(first.begin().is_some());
        assert_eq!(evicted.get(), 1);
        let all = [&first, &fourth].map(|slot| slot.begin().unwrap());
        assert!(slots.take().is_none(), "all are busy");
        drop((busy, all));
        drop((first, second, third, fourth));
        assert_eq!(slots.table().free.len(), 3);
        assert_eq!(slots.table().leaving, 0);
    }

    #[test]
    fn silent_connections_go_before_idle_ones_and_few_new_ones_last() {
        let now = 100_000;
        let spared = |states: &[u64]| {
            let place = |state: &u64| {
                let state = AtomicU64::new(*state);
                let (started, task) = (Instant::now(), OnceLock::new());
                Some(Arc::new(Place {
                    state,
                    started,
                    task,
                    patience: Waits::default(),
                }))
            };
            let places: Vec<_> = states.iter().map(place).collect();
            spared_first(&places, now).map(|(index, _)| index)
        };
        let new = |since: u64| since << 1;
        let served = |since: u64| since << 1 | 1;
        let (silent, just_come) = (new(now - PATIENCE_MS), new(now - 1));
        assert_eq!(spared(&[served(10), silent, served(5), BUSY]), Some(1));
        assert_eq!(spared(&[served(10), just_come, served(5), BUSY]), Some(2));
        assert_eq!(
            spared(&[served(10), just_come, just_come + 2, new(now)]),
            Some(1)
        );
        assert_eq!(spared(&[BUSY, just_come, BUSY, BUSY]), Some(1));
        assert_eq!(spared(&[BUSY, EVICTED]), None);
    }

    #[test]
    fn a_request_that_is_slow_to_come_does_not_keep_its_place() {
        let (slots, _) = slots(1);
        let slot = slots.take().unwrap();
        let busy = slot.begin().unwrap();
        busy.waits();
        assert!(busy.goes_on());
        assert!(slots.take().is_none(), "it has come");
        busy.waits();
        let _next = slots.take().unwrap();
        assert!(!busy.goes_on());
        drop(busy);
        assert!(slot.begin().is_none());
    }

    #[test]
    fn those_that_have_not_left_yet_are_bounded() {
        let (slots, _) = slots(1);
        let mut all: Vec<Slot> = (0..=LEAVING_MAX).map(|_| slots.take().unwrap()).collect();
        assert!(slots.take().is_none());
        all.remove(0);
        assert!(slots.take().is_some());
    }

    #[tokio::test]
    async fn losing_a_place_ends_its_task() {
        let (slots, _) = slots(1);
        for before in [true, false] {
            let slot = slots.take().unwrap();
            let task = tokio::spawn(std::future::pending::<()>());
            if before {
                slot.place.held_by(task.abort_handle());
            }
            let next = slots.take().unwrap();
            if !before {
                slot.place.held_by(task.abort_handle());
            }
            assert!(task.await.unwrap_err().is_cancelled());
            drop(next);
        }
    }
}
