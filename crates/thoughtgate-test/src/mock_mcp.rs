//! A double of an MCP upstream, for both eras, that takes little CPU: its answers are rendered
//! beforehand.
//!
//! It counts and keeps the requests that it receives, so that a test can prove that a refused one did
//! not arrive, and it can be slow, broken or silent on demand. It keeps no sessions and enforces no
//! rule of the protocol: the program under test must.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

mod control;
mod double;
mod endpoint;
mod envelope;
mod exchange;
mod knobs;
mod record;
mod replies;
mod response;
mod shared;
mod stream;

pub use knobs::{Canned, Fault, Hold, Knobs};
pub use record::{LastRequest, Received, Stats};
pub use shared::Config;

use crate::server::{self, Running};
use double::Endpoint;
use shared::Shared;

/// Deadline of [`MockMcp::wait_for`].
const PATIENCE: Duration = Duration::from_secs(10);

/// A double that runs on a thread of this process until dropped.
#[derive(Debug)]
pub struct MockMcp {
    shared: Arc<Shared>,
    running: Running,
}

/// Starts a double on a new thread.
///
/// # Errors
/// The address cannot be bound, or the system has no thread or descriptor left.
pub fn spawn(config: Config) -> io::Result<MockMcp> {
    let listen = config.listen;
    let shared = Shared::new(config)?;
    let inside = Arc::clone(&shared);
    let running = Running::spawn("mock-mcp", listen, move || Endpoint::new(inside))?;
    Ok(MockMcp { shared, running })
}

/// Serves on the caller's runtime until dropped. Calls `listening` with the address first.
///
/// # Errors
/// The address cannot be bound, or `listening` failed.
pub async fn run(
    config: Config,
    listening: impl FnOnce(SocketAddr) -> io::Result<()>,
) -> io::Result<()> {
    let listen = config.listen;
    let make = || Endpoint::new(Shared::new(config)?);
    server::run(listen, make, listening).await
}

impl MockMcp {
    /// URL of the MCP endpoint, such as `http://127.0.0.1:4711/mcp`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/mcp", self.base_url())
    }

    /// The URL without a path or a trailing slash.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The address that the double listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// The current counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.record.stats()
    }

    /// The kept requests as received, the oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.shared.record.received().iter().cloned().collect()
    }

    /// Sets counters to zero and drops the kept requests; knobs and open streams stay.
    pub fn reset(&self) {
        self.shared.record.reset();
    }

    /// The current knobs.
    #[must_use]
    pub fn knobs(&self) -> Knobs {
        self.shared.setting().knobs.clone()
    }

    /// Replaces all knobs, for requests that arrive from now on.
    ///
    /// # Panics
    /// A knob is out of its range.
    pub fn set_knobs(&self, knobs: Knobs) {
        self.shared.set_knobs(knobs);
    }

    /// Changes some knobs, for requests that arrive from now on.
    pub fn turn(&self, change: impl FnOnce(&mut Knobs)) {
        let mut knobs = self.knobs();
        change(&mut knobs);
        self.set_knobs(knobs);
    }

    /// Holds every answer back from now on, until [`release`](Self::release).
    pub fn hold(&self, hold: Hold) {
        self.turn(|knobs| knobs.hold = hold);
    }

    /// Sends all held answers, and holds none from now on.
    pub fn release(&self) {
        self.hold(Hold::None);
    }

    /// Sends `message`, one line of JSON, as an event on every open endless stream.
    pub fn push(&self, message: &str) {
        self.shared.push(message.as_bytes());
    }

    /// Waits until `wanted` is true for the counters, and returns them.
    ///
    /// # Panics
    /// It is not true within ten seconds.
    pub async fn wait_for(&self, wanted: impl Fn(&Stats) -> bool) -> Stats {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let stats = self.stats();
            if wanted(&stats) {
                return stats;
            }
            assert!(
                tokio::time::Instant::now() < until,
                "the upstream did not reach the expected counts: {stats:?}"
            );
            // Polled, since a counter wakes nobody.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Stops, closes open connections, and returns when the port is closed.
    pub async fn shutdown(self) {
        self.running.shutdown().await;
    }
}
