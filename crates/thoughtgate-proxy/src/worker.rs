//! The state with which one thread serves requests: what all threads share, and connections of its own.
//!
//! Only data; it starts no thread and serves nothing.

use std::sync::Arc;

use crate::state::Shared;
use crate::upstream::Pool;

/// State with which one thread serves requests.
pub struct Worker {
    pub shared: Arc<Shared>,
    /// Upstream connections of this thread alone.
    pub pool: Arc<Pool>,
}

impl Worker {
    /// A worker without upstream connections yet.
    #[must_use]
    pub fn new(shared: &Arc<Shared>) -> Arc<Worker> {
        let pool = Pool::new(
            shared.settings.upstream.clone(),
            shared.settings.connect_timeout,
            Arc::clone(&shared.abandoned),
            Arc::clone(&shared.moved),
        );
        Arc::new(Worker {
            shared: Arc::clone(shared),
            pool,
        })
    }
}
