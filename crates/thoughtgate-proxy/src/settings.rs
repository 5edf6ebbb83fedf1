//! What the proxy is told: plain data, already validated, in two parts.
//!
//! [`Settings`] hold for the life of the process; [`Rules`] are replaced by a reload, together with
//! the policies, in one [`crate::Snapshot`]. Reading files, flags and the environment is the
//! binary's business.

use std::net::SocketAddr;
use std::time::Duration;

use crate::abandoned;
use crate::accept::{ADMIN_MAX, SPARE_MAX};
use crate::audit::AuditSettings;
use crate::guard::Guard;
use crate::identity::Identity;
use crate::slots::LEAVING_MAX;
use crate::upstream::Target;

/// Everything that is fixed for the life of the process.
#[derive(Debug)]
pub struct Settings {
    /// Address of the MCP endpoint, and of the admin routes unless they have their own.
    pub listen: SocketAddr,
    /// Own address for `/health`, `/ready` and `/metrics`; they leave the main port when set.
    pub admin_listen: Option<SocketAddr>,
    /// The one MCP server behind the proxy.
    pub upstream: Target,
    /// Threads that serve requests, each with a runtime and a connection pool of its own.
    pub workers: usize,
    /// Client connections open at once; for further ones the longest idle are closed.
    pub connections: usize,
    /// Bytes of everything that is buffered, all clients together.
    pub buffered_bytes: usize,
    /// From a connection's first byte, or the end of its last request, to the end of a request's head.
    pub head_timeout: Duration,
    /// For a TCP (and TLS) connection to the upstream.
    pub connect_timeout: Duration,
    /// Between two probes of the upstream.
    pub probe_interval: Duration,
    /// For requests in flight when the process is asked to stop.
    pub drain_timeout: Duration,
    /// How a line for each decision is kept, if at all.
    pub audit: Option<AuditSettings>,
    /// How long a call that needs approval is held before its client is asked to come back.
    pub approval_hold: Duration,
    /// Between two signs of life to a client whose call is held.
    pub approval_keep_alive: Duration,
}

/// Descriptors that serve no client of their own: files, the store, Slack, probes, each thread's timers
/// and events, and connections that are answered though all places are taken.
const DESCRIPTORS_BESIDE: usize = 64 + ADMIN_MAX + SPARE_MAX + LEAVING_MAX;
const DESCRIPTORS_PER_WORKER: usize = 4;

impl Settings {
    /// Descriptors that these settings may come to need: each client's connection may need one to the
    /// upstream, and so does each call that goes on without its client.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        let beside = DESCRIPTORS_BESIDE + DESCRIPTORS_PER_WORKER * self.workers;
        beside
            .saturating_add(self.connections.saturating_mul(2))
            .saturating_add(abandoned::calls_max(self.connections))
    }

    /// Lowers `connections` so that `available` descriptors are enough; whether it had to.
    pub fn fit(&mut self, available: usize) -> bool {
        if self.descriptors() <= available {
            return false;
        }
        let configured = self.connections;
        // Descriptors grow with connections, so the largest that fits is found by halving.
        let (mut fits, mut exceeds) = (1, configured);
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

/// What a reload may change beside the policies.
#[derive(Debug)]
pub struct Rules {
    /// How the calling agent is told.
    pub identity: Identity,
    /// Which `Host` and `Origin` values are accepted.
    pub guard: Guard,
    /// Ceilings on one request.
    pub limits: Limits,
    /// From a request's head to the last byte of its body.
    pub body_timeout: Duration,
    /// From a request forwarded to the upstream's response head, and for a list or an
    /// event that is held to be filtered; streams are never cut by their total length.
    pub response_timeout: Duration,
}

/// Ceilings on one request.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest request body, in bytes; beyond it the answer is 413.
    pub body_bytes: usize,
    /// Deepest JSON nesting of a request.
    pub depth: usize,
    /// Largest `tools/list` answer or SSE event that is held to be filtered, in bytes.
    pub list_bytes: usize,
}
