//! What a client waits for, as the events say that keep it waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// At first an approver, then the result of the call.
#[derive(Debug, Clone, Default)]
pub struct Phase(Arc<AtomicBool>);

impl Phase {
    /// The approver has decided.
    pub fn decided() -> Phase {
        let phase = Phase::default();
        phase.decide();
        phase
    }

    /// Notes that the approver has decided.
    pub fn decide(&self) {
        // Nothing else is published with it.
        self.0.store(true, Ordering::Relaxed);
    }

    /// What the client waits for, in words.
    pub fn words(&self) -> &'static str {
        if self.0.load(Ordering::Relaxed) {
            "waiting for the result"
        } else {
            "waiting for approval"
        }
    }
}
