//! Settings of approvals, already parsed: reads no file and no environment.

use std::path::PathBuf;
use std::time::Duration;

use crate::redact::Redaction;

/// Settings of approvals that do not depend on the channel.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Location of the store.
    pub store: StoreLocation,
    /// Time to decide, from the request.
    pub timeout: Duration,
    /// Time to claim an approved call, from the decision.
    pub approved_for: Duration,
    /// Time for which a pending approval stays open after all callers that cancel by going away did so;
    /// 0 withdraws it at once.
    pub grace: Duration,
    /// Longest outage of the channel, during which approvers cannot be asked or their votes not be read, that
    /// a pending approval survives. Noticed by the next call that fails.
    pub outage: Duration,
    /// Time for which an ended approval and its result are kept.
    pub retention: Duration,
    /// Most approvals open (pending, approved or executing) at once.
    pub open_max: usize,
    /// Most approvals that one principal may have open at once.
    pub open_per_principal_max: usize,
    /// Most approvals kept, ended ones included; the oldest ended ones are dropped first.
    pub kept_max: usize,
    /// Most bytes of all approvals kept, bodies and results included. Open approvals may take half of
    /// it, those of one principal an eighth. The oldest ended ones are dropped first, those of
    /// principals with more than an eighth before all others.
    pub kept_bytes_max: usize,
    /// Largest request body kept for a call that is answered later, in bytes.
    pub body_bytes_max: usize,
    /// Largest result kept for a call that is answered later, in bytes.
    pub result_bytes_max: usize,
    /// Arguments that approvers do not see.
    pub redaction: Redaction,
}

impl Settings {
    /// Defaults for everything but the store: ten minutes to decide, five to claim, two of grace, three of
    /// an outage, an hour of retention, 256 open approvals (32 per principal), 16 MiB kept.
    #[must_use]
    pub fn new(store: StoreLocation) -> Self {
        Self {
            store,
            timeout: Duration::from_secs(10 * 60),
            approved_for: Duration::from_secs(5 * 60),
            grace: Duration::from_secs(2 * 60),
            outage: Duration::from_secs(3 * 60),
            retention: Duration::from_secs(3600),
            open_max: 256,
            open_per_principal_max: 32,
            kept_max: 4096,
            kept_bytes_max: 16 << 20,
            // Below an agent's share, an eighth of `kept_bytes_max`, or a large call would never find room.
            body_bytes_max: 1 << 20,
            result_bytes_max: 1 << 20,
            redaction: Redaction::default(),
        }
    }
}

/// Location of the approval store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// In this file, created with mode 0600 when missing; survives a restart.
    File(PathBuf),
    /// In memory alone: a restart forgets every approval.
    Memory,
}
