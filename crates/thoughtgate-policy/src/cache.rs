//! Cache of partial decisions by principal (with its claims, if policies read any), action and resource:
//! bounded in bytes, with equal parts shared.
//!
//! Names come from agents, so their number is unlimited. The size of an entry is an estimate that errs
//! on the large side. An evicted entry is computed again when needed, so no decision depends on the
//! content of the cache.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use hashbrown::{Equivalent, HashMap};
use thoughtgate_panic::{read, write};

use crate::residual::{Residual, SharedResidual};

/// Size limit of the cache: enough for some thousand agents with tools whose policies read arguments,
/// and for ten times as many with tools whose policies read none.
pub const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Requests with longer ids (principal and resource together) are decided but not cached, since agents
/// can invent names of any length. Claims have a limit of their own, and are signed.
const ID_BYTES_MAX: usize = 1024;
/// Memory of an entry without its names and its residual: slots in map and queue, overhead of
/// allocations.
const ENTRY_BYTES: usize = 256;

/// The key of an entry. It borrows, so that a lookup allocates nothing.
#[derive(Debug, Clone, Copy, Hash)]
pub struct Lookup<'a> {
    pub principal: &'a str,
    /// Key of its claims; empty if no policy reads any.
    pub claims: &'a str,
    pub action: &'a str,
    pub resource: &'a str,
}

/// Cache of residuals, from which a call is decided quickly.
#[derive(Default)]
pub struct DecisionCache(RwLock<State>);

#[derive(Default)]
struct State {
    entries: HashMap<Arc<Key>, Entry>,
    /// Keys in the order in which they are considered for eviction.
    queue: VecDeque<Arc<Key>>,
    /// Parts that entries share, with the number of entries that use each.
    shared: HashMap<Arc<[u32]>, (Arc<SharedResidual>, usize)>,
    bytes: usize,
}

struct Entry {
    residual: Arc<Residual>,
    bytes: usize,
    /// Used since it was last considered for eviction.
    used: AtomicBool,
}

impl DecisionCache {
    /// The residual for `lookup`, if it is cached.
    pub fn get(&self, lookup: &Lookup<'_>) -> Option<Arc<Residual>> {
        let state = read(&self.0);
        let entry = state.entries.get(lookup)?;
        // Written only when it changes, so that workers do not contend for its cache line.
        if !entry.used.load(Ordering::Relaxed) {
            entry.used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(&entry.residual))
    }

    /// The part that cached residuals with these policies share, if there are any.
    pub fn shared(&self, numbers: &[u32]) -> Option<Arc<SharedResidual>> {
        let state = read(&self.0);
        let (shared, _) = state.shared.get(numbers)?;
        Some(Arc::clone(shared))
    }

    /// Caches `residual`, and evicts others if there is no room.
    pub fn put(&self, lookup: &Lookup<'_>, residual: &Arc<Residual>) {
        let ids = lookup.principal.len() + lookup.resource.len();
        let state = &mut *write(&self.0);
        // Another thread may have cached it meanwhile: a second entry would be counted but never freed.
        if ids > ID_BYTES_MAX || state.entries.contains_key(lookup) {
            return;
        }
        let entry = Entry {
            residual: Arc::clone(residual),
            bytes: ENTRY_BYTES
                + ids
                + lookup.claims.len()
                + lookup.action.len()
                + residual.own_bytes(),
            used: AtomicBool::new(false),
        };
        let key = Arc::new(lookup.to_key());
        state.bytes += entry.bytes;
        let shared = &residual.shared;
        let users = state.shared.entry(Arc::clone(&shared.numbers));
        let (_, users) = users.or_insert_with(|| (Arc::clone(shared), 0));
        *users += 1;
        if *users == 1 {
            state.bytes += shared.bytes;
        }
        state.queue.push_back(Arc::clone(&key));
        state.entries.insert(key, entry);
        state.make_room();
    }

    /// Estimated memory of the cache's content.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.0.read().unwrap().bytes
    }
}

impl State {
    /// Evicts entries that were not used since they were last considered (the CLOCK algorithm), so that
    /// names that come once do not evict those that come often.
    fn make_room(&mut self) {
        // Ends, since the write lock keeps readers from marking entries again.
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
        let shared = &entry.residual.shared;
        if let Some((_, users)) = self.shared.get_mut(&shared.numbers) {
            *users -= 1;
            if *users == 0 {
                self.bytes -= shared.bytes;
                self.shared.remove(&shared.numbers);
            }
        }
    }
}

#[derive(PartialEq, Eq)]
struct Key {
    principal: Box<str>,
    claims: Box<str>,
    action: Box<str>,
    resource: Box<str>,
}

impl Lookup<'_> {
    fn to_key(self) -> Key {
        Key {
            principal: self.principal.into(),
            claims: self.claims.into(),
            action: self.action.into(),
            resource: self.resource.into(),
        }
    }
}

impl Key {
    fn lookup(&self) -> Lookup<'_> {
        Lookup {
            principal: &self.principal,
            claims: &self.claims,
            action: &self.action,
            resource: &self.resource,
        }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Hashed as a `Lookup`, or none would find its key.
        self.lookup().hash(state);
    }
}

impl Equivalent<Arc<Key>> for Lookup<'_> {
    fn equivalent(&self, key: &Arc<Key>) -> bool {
        *self.principal == *key.principal
            && *self.claims == *key.claims
            && *self.action == *key.action
            && *self.resource == *key.resource
    }
}
