//! Patience with a client that has closed its sending side: whether it is taken for one that waits for its
//! answer, or for one that has gone away.
//!
//! Only data, of one connection at a time; [`crate::half_closed`] waits.

use std::sync::atomic::{AtomicU8, Ordering};

/// Time for which such a client is taken for one that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Patience {
    None,
    Short,
    /// Until the answer.
    Unlimited,
}

/// The patience with a connection's client now; none until a request says otherwise.
#[derive(Debug, Default)]
pub struct Waits(AtomicU8);

impl Waits {
    #[must_use]
    pub fn get(&self) -> Patience {
        // Relaxed, here and below: one thread serves a connection and its requests.
        match self.0.load(Ordering::Relaxed) {
            0 => Patience::None,
            1 => Patience::Short,
            _ => Patience::Unlimited,
        }
    }

    pub fn set(&self, patience: Patience) {
        self.0.store(patience as u8, Ordering::Relaxed);
    }
}
