//! Settings of the proxy: plain data, already validated, in two parts.
//!
//! [`Settings`] are fixed for the life of the process; [`Rules`] are replaced by a reload, together
//! with the policies, in one [`crate::Snapshot`]. Files, flags and the environment are read by the
//! binary.

use std::net::SocketAddr;
use std::time::Duration;

use crate::abandoned;
use crate::approve::{PARKED_MAX, RUNNING_MAX};
use crate::audit::AuditSettings;
use crate::guard::Guard;
use crate::identity::Identity;
use crate::protected::Protected;
use crate::public_url::PublicUrl;
use crate::slots::{ADMIN_MAX, LEAVING_MAX, SPARE_MAX};
use crate::trusted::TrustedProxies;
use crate::upstream::Target;

/// Settings that are fixed for the life of the process.
#[derive(Debug)]
pub struct Settings {
    /// Address of the MCP endpoint, and of the admin routes unless they have their own.
    pub listen: SocketAddr,
    /// Separate address for `/health`, `/ready` and `/metrics`. If set, `listen` no longer serves them.
    pub admin_listen: Option<SocketAddr>,
    /// Proxies in front whose word on where a request comes from is passed on.
    pub trusted_proxies: TrustedProxies,
    /// The one MCP server behind the proxy.
    pub upstream: Target,
    /// Number of threads that serve requests, each with its own runtime and connection pool.
    pub workers: usize,
    /// Limit of open client connections. Beyond it, the longest idle one is closed for each new one.
    pub connections: usize,
    /// Limit of bytes that are buffered for all clients together.
    pub buffered_bytes: usize,
    /// Time limit for a request's head, from the connection's first byte or the end of its last request.
    pub head_timeout: Duration,
    /// Time limit for a TCP connection to the upstream, and again for the TLS handshake on it.
    pub connect_timeout: Duration,
    /// Pause between two probes of an upstream that answers.
    pub probe_interval: Duration,
    /// Time limit for in-flight requests when the process is asked to stop.
    pub drain_timeout: Duration,
    /// Settings of the audit log; `None` turns it off.
    pub audit: Option<AuditSettings>,
    /// Time for which a call that needs approval is held before its client is asked to retry it.
    pub approval_hold: Duration,
    /// Interval between keep-alive events to a client whose call is held as a stream.
    pub approval_keep_alive: Duration,
}

/// File descriptors that belong to no counted client: files, the store, Slack and probes, admin
/// connections, those beyond `limits.connections`, and evicted ones that are not closed yet.
const DESCRIPTORS_BESIDE: usize = 64 + ADMIN_MAX + SPARE_MAX + LEAVING_MAX;
/// File descriptors of a worker's runtime, for its timers and events.
const DESCRIPTORS_PER_WORKER: usize = 4;

impl Settings {
    /// Upper bound of the file descriptors in use under these settings: each client connection may need
    /// a second one to the upstream, and each call that continues, or result that waits, without its client
    /// needs one.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        let beside = DESCRIPTORS_BESIDE + DESCRIPTORS_PER_WORKER * self.workers;
        beside
            .saturating_add(self.connections.saturating_mul(2))
            .saturating_add(abandoned::calls_max(self.connections))
            .saturating_add(PARKED_MAX + RUNNING_MAX)
    }

    /// Lowers `connections` until `available` file descriptors suffice; returns whether it was lowered.
    pub fn fit(&mut self, available: usize) -> bool {
        if self.descriptors() <= available {
            return false;
        }
        let configured = self.connections;
        // `descriptors` grows with `connections`, so a binary search finds the largest that fits.
        let (mut fits, mut exceeds) = (1, configured);
        // 1 counts as fitting, whatever `available` is: without a place no client could be served at all.
        while exceeds - fits > 1 {
            self.connections = fits + (exceeds - fits) / 2;
            if self.descriptors() <= available {
                fits = self.connections;
            } else {
                exceeds = self.connections;
            }
        }
        self.connections = fits;
        fits < configured
    }
}

/// Settings that a reload may change. It also replaces the policies, which are not part of this.
#[derive(Debug)]
pub struct Rules {
    /// Whether decisions are only observed, and everything decided is forwarded.
    pub observe: bool,
    /// Source of the calling agent's id.
    pub identity: Identity,
    /// URL under which clients reach the MCP endpoint; without it, it is made from each request's `Host`.
    pub public_url: Option<PublicUrl>,
    /// The proxy as an OAuth protected resource with metadata of its own, if it is one.
    pub protected: Option<Protected>,
    /// Accepted `Host` and `Origin` values.
    pub guard: Guard,
    /// Limits of one request.
    pub limits: Limits,
    /// Form of the answer to a refused `tools/call`.
    pub refusals: Refusals,
    /// Time limit from a request's head to the last byte of its body.
    pub body_timeout: Duration,
    /// Time limit from forwarding a request to the upstream's response head, and for a list or an event
    /// that is held to be filtered. Streams are never ended by their total length.
    pub response_timeout: Duration,
}

/// Form of the answer to a refused `tools/call`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusals {
    /// A tool result with `isError`, which frameworks show to the model.
    Result,
    /// A JSON-RPC error, on which many frameworks end the run.
    Error,
}

/// Limits of one request.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest request body, in bytes; a larger one is answered with 413.
    pub body_bytes: usize,
    /// Deepest JSON nesting of a request; deeper ones are refused.
    pub depth: usize,
    /// Largest `tools/list` answer or SSE event that is held to be filtered, in bytes.
    pub list_bytes: usize,
}
