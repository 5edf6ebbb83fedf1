//! Lanes: one per channel in which approvers are asked, with the signals that wake its workers.
//! Knows channels by name alone and starts no worker: whoever enters a new lane does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use thoughtgate_panic::lock;
use tokio::sync::Notify;

/// All lanes, by the names of their channels. They are woken while the table of approvals is
/// locked, so nothing here may lock that table.
#[derive(Default)]
pub(crate) struct Lanes(Mutex<HashMap<String, Arc<Lane>>>);

/// The signals that wake the workers of one channel.
pub(crate) struct Lane {
    pub(crate) channel: String,
    pub(crate) post: Notify,
    pub(crate) poll: Notify,
    pub(crate) update: Notify,
}

impl Lanes {
    /// Wakes the lane of `channel` to post a new request. Returns the lane if it is new: the caller
    /// then starts its workers.
    pub(crate) fn enter(&self, channel: &str) -> Option<Arc<Lane>> {
        let mut lanes = lock(&self.0);
        if let Some(lane) = lanes.get(channel) {
            lane.post.notify_one();
            return None;
        }
        // A new lane needs no wake-up: workers look for work before they sleep. Lanes are never removed,
        // and few: only policies and the configuration name channels.
        let lane = Arc::new(Lane {
            channel: channel.to_owned(),
            post: Notify::new(),
            poll: Notify::new(),
            update: Notify::new(),
        });
        lanes.insert(channel.to_owned(), Arc::clone(&lane));
        Some(lane)
    }

    /// Wakes the workers of `channel` after a change of one of its approvals.
    pub(crate) fn wake(&self, channel: &str) {
        let lanes = lock(&self.0);
        // `notify_one` also reaches a worker that is not waiting yet, so no change is missed.
        if let Some(lane) = lanes.get(channel) {
            lane.poll.notify_one();
            lane.update.notify_one();
        }
    }
}
