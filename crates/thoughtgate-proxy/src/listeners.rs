//! Open streams of clients that are notified of changes of their list of tools.
//!
//! Knows no policies and writes no event: the caller says which agents a change is for, and each stream
//! sends the notification when it is between two events. Several changes until then are one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use thoughtgate_panic::lock;
use thoughtgate_policy::{Claims, Principal};

/// The streams that are open now.
#[derive(Default)]
pub struct Listeners {
    numbers: AtomicU64,
    // No limit of its own: each is one of the connections, which have one.
    open: Mutex<HashMap<u64, Arc<Stream>>>,
}

/// One stream, until dropped.
pub struct Listener {
    listeners: Arc<Listeners>,
    number: u64,
    stream: Arc<Stream>,
}

struct Stream {
    principal: String,
    /// The claims of the token with which the stream was opened.
    claims: Option<Arc<Claims>>,
    changed: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Listeners {
    /// Adds a stream of this agent.
    pub fn enter(self: &Arc<Self>, principal: &str, claims: Option<Arc<Claims>>) -> Listener {
        let stream = Arc::new(Stream {
            principal: principal.to_owned(),
            claims,
            changed: AtomicBool::new(false),
            waker: Mutex::default(),
        });
        // Relaxed: the numbers only have to differ.
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        lock(&self.open).insert(number, Arc::clone(&stream));
        Listener {
            listeners: Arc::clone(self),
            number,
            stream,
        }
    }

    /// Notifies the streams of the agents for which `is_changed`.
    pub fn notify(&self, is_changed: impl Fn(Principal<'_>) -> bool) {
        // Copied, so that no stream waits while the agents are looked at.
        let open: Vec<Arc<Stream>> = lock(&self.open).values().cloned().collect();
        let mut known: HashMap<(&str, Option<&str>), bool> = HashMap::new();
        for stream in &open {
            let claims = stream.claims.as_deref();
            let principal = Principal {
                id: &stream.principal,
                claims,
            };
            let changed = known
                .entry((principal.id, claims.map(Claims::key)))
                .or_insert_with(|| is_changed(principal));
            if *changed {
                stream.changed.store(true, Ordering::Release);
                if let Some(waker) = lock(&stream.waker).take() {
                    waker.wake();
                }
            }
        }
    }
}

impl Listener {
    /// Whether something has changed since this returned true last; otherwise wakes the task at a change.
    pub fn take_change(&self, context: &Context<'_>) -> bool {
        {
            let mut waker = lock(&self.stream.waker);
            if !waker
                .as_ref()
                .is_some_and(|waker| waker.will_wake(context.waker()))
            {
                *waker = Some(context.waker().clone());
            }
        }
        // After the waker: a change in between is seen here, a later one wakes.
        self.stream.changed.swap(false, Ordering::AcqRel)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        lock(&self.listeners.open).remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Map, Value};
    use thoughtgate_policy::ClaimType;

    use super::*;

    #[test]
    fn only_the_agents_concerned_hear_of_a_change_and_once() {
        let listeners = Arc::new(Listeners::default());
        let (alice, bob) = (listeners.enter("alice", None), listeners.enter("bob", None));
        let context = Context::from_waker(Waker::noop());
        listeners.notify(|agent| agent.id == "alice");
        listeners.notify(|agent| agent.id == "alice");
        assert!(alice.take_change(&context) && !alice.take_change(&context));
        assert!(!bob.take_change(&context));
        // Streams of one agent whose tokens differ are asked about apart.
        let declared = BTreeMap::from([("admin".to_owned(), ClaimType::Bool.into())]).into();
        let claims = |token: Map<String, Value>| Claims::read(&declared, &token).map(Arc::new);
        let admin = claims(Map::from_iter([("admin".to_owned(), true.into())])).unwrap();
        let other = claims(Map::new()).unwrap();
        let admin = listeners.enter("bob", Some(admin));
        let other = listeners.enter("bob", Some(other));
        listeners.notify(|agent| {
            agent
                .claims
                .is_some_and(|claims| claims.key().contains("true"))
        });
        assert!(admin.take_change(&context) && !other.take_change(&context));
        assert!(!bob.take_change(&context));
        drop((alice, bob, admin, other));
        assert!(lock(&listeners.open).is_empty());
    }
}
