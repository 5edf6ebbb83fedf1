//! What the operator decides about approvals, already parsed: reads no file and no environment.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::redact::Redaction;
use crate::slack::SlackSettings;

/// Everything that [`crate::Approvals::open`] needs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where approvals live.
    pub store: StoreLocation,
    /// How long an approval waits for a decision.
    pub timeout: Duration,
    /// How long an approved call may still be claimed, counted from the decision.
    pub approved_for: Duration,
    /// How long a finished approval can still be asked about.
    pub retention: Duration,
    /// Most approvals open (pending, approved or executing) at once.
    pub open_max: usize,
    /// Most approvals that one principal may have open at once.
    pub open_per_principal_max: usize,
    /// Most approvals kept, finished ones included; the oldest finished ones go first.
    pub kept_max: usize,
    /// Most bytes of all that is kept, bodies and results included: half of it for open approvals, an
    /// eighth for the open ones of one principal. The oldest finished ones go first, those of
    /// principals with more than an eighth before others'.
    pub kept_bytes_max: usize,
    /// Largest request body kept for a call that is answered later, in bytes.
    pub body_bytes_max: usize,
    /// Largest result kept for a call that is answered later, in bytes.
    pub result_bytes_max: usize,
    /// What approvers do not get to see.
    pub redaction: Redaction,
    /// Where approvers are asked.
    pub slack: SlackSettings,
}

impl Settings {
    /// Defaults for everything but the store and the place where approvers are asked: ten minutes
    /// to decide, five to use the decision, an hour of retention, 256 open (32 per principal).
    #[must_use]
    pub fn new(store: StoreLocation, slack: SlackSettings) -> Self {
        Self {
            store,
            timeout: Duration::from_secs(10 * 60),
            approved_for: Duration::from_secs(5 * 60),
            retention: Duration::from_secs(3600),
            open_max: 256,
            open_per_principal_max: 32,
            kept_max: 4096,
            kept_bytes_max: 16 << 20,
            body_bytes_max: 1 << 20,
            result_bytes_max: 1 << 20,
            redaction: Redaction::default(),
            slack,
        }
    }
}

/// Where approvals live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// In this file, created with mode 0600 when missing; survives a restart.
    File(PathBuf),
    /// Nowhere: a restart forgets every approval.
    Memory,
}

/// Text that must not reach a log: `Debug` hides it, and it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends or compares it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_never_shows_a_secret() {
        let mut slack = SlackSettings::new(Secret::new("xoxb-do-not-print"), "C0123456789");
        slack.signing_secret = Some(Secret::new("do-not-print"));
        slack.base_url = "https://user:do-not-print@slack.example/api".to_owned();
        let settings = Settings::new(StoreLocation::Memory, slack);
        assert!(!format!("{settings:?}").contains("do-not-print"));
    }
}
