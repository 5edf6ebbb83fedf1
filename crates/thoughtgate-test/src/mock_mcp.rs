//! An MCP upstream of both eras that costs next to nothing: its answers are rendered beforehand.
//!
//! It counts and keeps what reaches it, so that a test can prove that a refused request did not,
//! and it can be slow, broken or silent on demand. It holds no session and enforces no rule of
//! the protocol: that is the business of whoever is tested against it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{broadcast, watch};

mod control;
mod endpoint;
mod envelope;
mod exchange;
mod knobs;
mod record;
mod replies;
mod stream;

pub use knobs::{Canned, Fault, Hold, Knobs};
pub use record::{LastRequest, Received, Stats};

use crate::server::{self, Running};
use endpoint::Endpoint;
use envelope::Params;
use record::Record;
use replies::Replies;

/// How long [`MockMcp::wait_for`] waits before it gives up.
const PATIENCE: Duration = Duration::from_secs(10);
const PUSHED_MESSAGES_KEPT: usize = 64;

/// What is fixed for the life of a double.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The knobs to begin with.
    pub knobs: Knobs,
    /// Tools `tool_0`, `tool_1`, … to list beside `echo`.
    pub tools: usize,
    /// Received requests to keep, the newest; at least one is kept.
    pub kept_requests: usize,
    /// File to which a line is appended for each `tools/call` that arrives whole: its name and
    /// arguments.
    pub ledger: Option<PathBuf>,
}

/// A double that runs in this process, on a thread of its own, until dropped.
#[derive(Debug)]
pub struct MockMcp {
    shared: Arc<Shared>,
    running: Running,
}

/// The knobs and what was rendered from them.
#[derive(Debug)]
struct Setting {
    knobs: Knobs,
    replies: Replies,
}

#[derive(Debug)]
struct Shared {
    tools: usize,
    record: Record,
    settings: watch::Sender<Arc<Setting>>,
    pushed: broadcast::Sender<Bytes>,
    asked_for_errors: AtomicU64,
}

impl Default for Config {
    /// A free port of the loopback, two numbered tools, the last 1024 requests kept.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            knobs: Knobs::default(),
            tools: 2,
            kept_requests: 1024,
            ledger: None,
        }
    }
}

/// Starts a double on a thread of its own.
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

/// Serves on the runtime of the caller until dropped; `listening` gets the address first.
///
/// # Errors
/// The address cannot be bound, or `listening` failed.
pub async fn run(
    config: Config,
    listening: impl FnOnce(SocketAddr) -> io::Result<()>,
) -> io::Result<()> {
    let listener = server::bind(config.listen)?;
    let shared = Shared::new(config)?;
    let endpoint = Endpoint::new(shared)?;
    listening(listener.local_addr()?)?;
    server::serve(listener, endpoint).await
}

impl MockMcp {
    /// The MCP endpoint, such as `http://127.0.0.1:4711/mcp`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/mcp", self.base_url())
    }

    /// The URL without a path or a slash at its end.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// The counters now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.record.stats()
    }

    /// The kept requests, the oldest first, as they were received.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.shared.record.received().iter().cloned().collect()
    }

    /// Counters to zero, kept requests gone; knobs and open streams stay.
    pub fn reset(&self) {
        self.shared.record.reset();
    }

    /// The knobs now.
    #[must_use]
    pub fn knobs(&self) -> Knobs {
        self.shared.setting().knobs.clone()
    }

    /// Replaces all knobs, for requests that arrive from now on.
    ///
    /// # Panics
    /// When a knob is out of its range.
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

    /// Lets all held answers go, and holds none from now on.
    pub fn release(&self) {
        self.hold(Hold::None);
    }

    /// Sends `message`, one line of JSON, as an event on every open stream without an end.
    pub fn push(&self, message: &str) {
        self.shared.push(message.as_bytes());
    }

    /// Waits until the counters are as wanted, and returns them.
    ///
    /// # Panics
    /// When they are not within ten seconds.
    pub async fn wait_for(&self, wanted: impl Fn(&Stats) -> bool) -> Stats {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let stats = self.stats();
            if wanted(&stats) {
                return stats;
            }
            assert!(
                tokio::time::Instant::now() < until,
                "the upstream never came to the wanted counts: {stats:?}"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Stops, cutting what is open, and returns when the port is closed.
    pub async fn shutdown(mut self) {
        // The thread ends within one turn of its loop; a failed join was a panic, already printed.
        let _ = tokio::task::spawn_blocking(move || self.running.stop()).await;
    }
}

impl Setting {
    fn new(tools: usize, knobs: Knobs) -> Arc<Self> {
        let replies = Replies::render(tools, &knobs);
        Arc::new(Self { knobs, replies })
    }

    /// Whether a request is a call of the tool `echo` with its built-in result.
    fn echoes(&self, method: &str, params: &Params<'_>) -> bool {
        method == "tools/call"
            && params.name.as_deref() == Some("echo")
            && !self.knobs.results.contains_key(method)
    }
}

impl Shared {
    fn new(config: Config) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            tools: config.tools,
            record: Record::new(config.kept_requests, config.ledger.as_deref())?,
            settings: watch::Sender::new(Setting::new(config.tools, config.knobs)),
            pushed: broadcast::Sender::new(PUSHED_MESSAGES_KEPT),
            asked_for_errors: AtomicU64::new(0),
        }))
    }

    fn setting(&self) -> Arc<Setting> {
        Arc::clone(&self.settings.borrow())
    }

    fn set_knobs(&self, knobs: Knobs) {
        knobs.check().expect("knobs set in code are good");
        self.settings.send_replace(Setting::new(self.tools, knobs));
    }

    fn push(&self, message: &[u8]) {
        // No open stream is fine.
        let _ = self.pushed.send(stream::event(message));
    }

    /// Whether this request gets an error: evenly spread, so that counts are exact.
    fn injects_error(&self, rate: f64) -> bool {
        if rate <= 0.0 {
            return false;
        }
        let before = self.asked_for_errors.fetch_add(1, Ordering::Relaxed);
        let errors_after = |requests: u64| (requests as f64 * rate).floor();
        errors_after(before + 1) > errors_after(before)
    }
}
