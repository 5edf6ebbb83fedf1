//! What was decided for principals, actions and resources before: bounded in bytes, shared where equal.
//!
//! Names come from agents, so there is no end to what could be remembered. An entry's size is an
//! estimate, and errs on the large side. What is forgotten is made again, so nothing depends on what is
//! kept; a poisoned memory is neither read nor written any more.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use hashbrown::{Equivalent, HashMap};
use thoughtgate_panic::{read, write};

use crate::slice::{Rest, Slice};

/// Bytes of everything remembered: some thousand agents with tools whose policies read arguments, ten
/// times as many with tools whose policies do not.
pub const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Ids longer than this are decided but not remembered.
const ID_BYTES_MAX: usize = 1024;
/// An entry beside its names and its slice: places in map and queue, and allocations' own bytes.
const ENTRY_BYTES: usize = 256;

/// Who asks for what. It borrows, so that looking up allocates nothing.
#[derive(Debug, Clone, Copy, Hash)]
pub struct Lookup<'a> {
    pub principal: &'a str,
    pub action: &'a str,
    pub resource: &'a str,
}

/// Slices by what they are for.
#[derive(Default)]
pub struct Memory(RwLock<State>);

#[derive(Default)]
struct State {
    entries: HashMap<Arc<Key>, Entry>,
    /// Keys in the order in which they are looked at when room is needed.
    queue: VecDeque<Arc<Key>>,
    /// What entries share, and how many do.
    shared: HashMap<Arc<[u32]>, (Arc<Rest>, usize)>,
    bytes: usize,
}

struct Entry {
    slice: Arc<Slice>,
    bytes: usize,
    /// Asked for since it was last looked at.
    used: AtomicBool,
}

impl Memory {
    /// The slice for `lookup`, if it is remembered.
    pub fn get(&self, lookup: &Lookup<'_>) -> Option<Arc<Slice>> {
        let state = read(&self.0);
        let entry = state.entries.get(lookup)?;
        // Written once and then only read, so that workers do not fight for its cache line.
        if !entry.used.load(Ordering::Relaxed) {
            entry.used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(&entry.slice))
    }

    /// What other slices with the same policies share, if there are any.
    pub fn shared(&self, numbers: &[u32]) -> Option<Arc<Rest>> {
        let state = read(&self.0);
        let (rest, _) = state.shared.get(numbers)?;
        Some(Arc::clone(rest))
    }

    /// Remembers `slice`, and forgets others for it where there is no room.
    pub fn put(&self, lookup: &Lookup<'_>, slice: &Arc<Slice>) {
        let ids = lookup.principal.len() + lookup.resource.len();
        let state = &mut *write(&self.0);
        if ids > ID_BYTES_MAX || state.entries.contains_key(lookup) {
            return;
        }
        let entry = Entry {
            slice: Arc::clone(slice),
            bytes: ENTRY_BYTES + ids + lookup.action.len() + slice.own_bytes(),
            used: AtomicBool::new(false),
        };
        let key = Arc::new(lookup.to_key());
        state.bytes += entry.bytes;
        let rest = &slice.rest;
        let users = state.shared.entry(Arc::clone(&rest.numbers));
        let (_, users) = users.or_insert_with(|| (Arc::clone(rest), 0));
        *users += 1;
        if *users == 1 {
            state.bytes += rest.bytes;
        }
        state.queue.push_back(Arc::clone(&key));
        state.entries.insert(key, entry);
        state.make_room();
    }

    /// The estimate of all that is remembered.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.0.read().unwrap().bytes
    }
}

impl State {
    /// Forgets what was not asked for since it was last looked at (the "clock" algorithm), so that
    /// names that come once do not push out those that come often.
    fn make_room(&mut self) {
        while self.bytes > BYTES_MAX {
            let Some(key) = self.queue.pop_front() else {
                return;
            };
            let kept = self.entries.get_mut(&*key);
            if kept.is_some_and(|entry| std::mem::take(entry.used.get_mut())) {
                self.queue.push_back(key);
            } else if let Some(entry) = self.entries.remove(&*key) {
                self.forget(&entry);
            }
        }
    }

    fn forget(&mut self, entry: &Entry) {
        self.bytes -= entry.bytes;
        let rest = &entry.slice.rest;
        if let Some((_, users)) = self.shared.get_mut(&rest.numbers) {
            *users -= 1;
            if *users == 0 {
                self.bytes -= rest.bytes;
                self.shared.remove(&rest.numbers);
            }
        }
    }
}

#[derive(PartialEq, Eq)]
struct Key {
    principal: Box<str>,
    action: Box<str>,
    resource: Box<str>,
}

impl Lookup<'_> {
    fn to_key(self) -> Key {
        Key {
            principal: self.principal.into(),
            action: self.action.into(),
            resource: self.resource.into(),
        }
    }
}

impl Key {
    fn lookup(&self) -> Lookup<'_> {
        Lookup {
            principal: &self.principal,
            action: &self.action,
            resource: &self.resource,
        }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.lookup().hash(state);
    }
}

impl Equivalent<Arc<Key>> for Lookup<'_> {
    fn equivalent(&self, key: &Arc<Key>) -> bool {
        *self.principal == *key.principal
            && *self.action == *key.action
            && *self.resource == *key.resource
    }
}
