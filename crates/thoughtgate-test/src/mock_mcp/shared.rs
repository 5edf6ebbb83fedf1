//! The state of one MCP double: its record, its knobs with the replies rendered from them, and the
//! messages that it pushes.
//!
//! Contains no HTTP. A change of the knobs applies to requests that arrive later.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::{broadcast, watch};

use super::envelope::Params;
use super::knobs::Knobs;
use super::record::Record;
use super::replies::Replies;
use super::response::event;

/// Messages that an open stream may lag behind before it loses some.
const PUSHED_MESSAGES_KEPT: usize = 64;

/// Settings that are fixed for the life of a double.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address to listen on; port 0 selects a free one.
    pub listen: SocketAddr,
    /// Initial knobs.
    pub knobs: Knobs,
    /// Number of tools `tool_0`, `tool_1`, … to list besides `echo`.
    pub tools: usize,
    /// Number of received requests to keep, the newest ones; at least one is kept.
    pub kept_requests: usize,
    /// File to append one JSON line per complete `tools/call` to: name and arguments.
    pub ledger: Option<PathBuf>,
}

/// The knobs and the replies that were rendered from them.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) knobs: Knobs,
    pub(super) replies: Replies,
}

/// Everything that the handler and the owner of a double share.
#[derive(Debug)]
pub(super) struct Shared {
    tools: usize,
    pub(super) record: Record,
    pub(super) settings: watch::Sender<Arc<Setting>>,
    pub(super) pushed: broadcast::Sender<Bytes>,
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

impl Setting {
    fn new(tools: usize, knobs: Knobs) -> Arc<Self> {
        let replies = Replies::render(tools, &knobs);
        Arc::new(Self { knobs, replies })
    }

    /// Whether a request calls the tool `echo` and no knob replaces its result.
    pub(super) fn echoes(&self, method: &str, params: &Params<'_>) -> bool {
        method == "tools/call"
            && params.name.as_deref() == Some("echo")
            && !self.knobs.results.contains_key(method)
    }
}

impl Shared {
    pub(super) fn new(config: Config) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            tools: config.tools,
            record: Record::new(config.kept_requests, config.ledger.as_deref())?,
            settings: watch::Sender::new(Setting::new(config.tools, config.knobs)),
            pushed: broadcast::Sender::new(PUSHED_MESSAGES_KEPT),
            asked_for_errors: AtomicU64::new(0),
        }))
    }

    pub(super) fn setting(&self) -> Arc<Setting> {
        Arc::clone(&self.settings.borrow())
    }

    pub(super) fn set_knobs(&self, knobs: Knobs) {
        knobs.check().expect("knobs set in code are valid");
        // Unlike `send`, it also takes effect while nobody has subscribed.
        self.settings.send_replace(Setting::new(self.tools, knobs));
    }

    pub(super) fn push(&self, message: &[u8]) {
        // An error means that no stream is open, which is fine.
        let _ = self.pushed.send(event(message));
    }

    /// Whether this request gets an injected error: spread evenly, so that counts are exact.
    pub(super) fn injects_error(&self, rate: f64) -> bool {
        if rate <= 0.0 {
            return false;
        }
        let before = self.asked_for_errors.fetch_add(1, Ordering::Relaxed);
        let errors_after = |requests: u64| (requests as f64 * rate).floor();
        errors_after(before + 1) > errors_after(before)
    }
}
