//! What can go wrong, one variant per thing that a caller can act on.

use std::path::PathBuf;

/// Approvals could not be opened; the proxy must not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A setting makes no sense.
    #[error("approvals are misconfigured: {0}")]
    Settings(String),
    /// The store's file cannot be created, read or given mode 0600.
    #[error("failed to open the approval store `{path}`")]
    Io {
        /// The store's file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Another process holds the store.
    #[error(
        "the approval store `{path}` is in use by another process; give every proxy a file of its own"
    )]
    Locked {
        /// The store's file.
        path: PathBuf,
    },
    /// The store is of a later version of this program.
    #[error(
        "the approval store `{path}` has format {found}, this program knows up to {known}; use the newer program again, or move the file away (open approvals are then lost)"
    )]
    Newer {
        /// The store's file.
        path: PathBuf,
        /// The format found.
        found: u64,
        /// The highest format known.
        known: u64,
    },
    /// The file is damaged, or is no approval store.
    #[error(
        "the approval store `{path}` is damaged or no approval store ({detail}); move it away to start with an empty one (open approvals are then lost)"
    )]
    Corrupted {
        /// The store's file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The system's random source failed.
    #[error("the system's random source failed")]
    Random,
    /// TLS was asked for and could not be set up.
    #[error("failed to set up TLS for `{host}`: {detail}")]
    Tls {
        /// The host that needs it.
        host: String,
        /// What is missing.
        detail: String,
    },
}

/// No approval could be asked for; the call must be refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Too many approvals are open, for everyone or for this principal.
    #[error("too many approvals are open ({open} of {limit}); wait for some to be decided")]
    Busy {
        /// How many are open.
        open: usize,
        /// How many may be.
        limit: usize,
    },
    /// Open approvals would take too many bytes, of everyone or of this principal.
    #[error(
        "no room for this approval: open ones would hold {bytes} bytes of at most {limit}; wait for some to be decided, or send less"
    )]
    Full {
        /// How many bytes open ones would hold.
        bytes: usize,
        /// How many they may.
        limit: usize,
    },
    /// A name is longer than approvers could read and than is kept.
    #[error(
        "the {what} has {bytes} bytes; a call that needs approval may have one of at most {limit}"
    )]
    NameTooLong {
        /// Which name.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The longest that is kept.
        limit: usize,
    },
    /// The arguments say two things at once, so an approver could not know what would run.
    #[error("the arguments hold the key `{0}` twice")]
    DuplicateKey(String),
    /// The arguments hold what readers make different things of.
    #[error("the arguments hold a number or an escape that cannot be read")]
    Unreadable,
    /// The body is larger than what is kept for a later answer.
    #[error("the request has {bytes} bytes, more than the {limit} kept for a later answer")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest that is kept.
        limit: usize,
    },
    /// The approval could not be made durable.
    #[error("the approval could not be stored: {0}")]
    Store(String),
    /// The proxy is stopping.
    #[error("the proxy is stopping")]
    Closed,
}

/// The call may not run on this approval.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// No such approval, or it is another principal's: the two look the same on purpose.
    #[error("no such approval")]
    Unknown,
    /// The approval covers another call.
    #[error("the approval covers other arguments or another tool")]
    DigestMismatch,
    /// Nobody has decided yet.
    #[error("the approval is still pending")]
    Pending,
    /// Somebody said no, or the policy did after the decision.
    #[error("the approval was rejected")]
    Rejected,
    /// It was decided too late, or claimed too late.
    #[error("the approval has expired")]
    Expired,
    /// The agent took it back.
    #[error("the approval was cancelled")]
    Cancelled,
    /// No approver could be asked.
    #[error("no approver could be asked")]
    Unavailable,
    /// It was claimed before; an approval is good for one call.
    #[error("the approval has been used already")]
    AlreadyExecuted,
    /// Whether the approval still holds could not be read; it stays, and may be claimed later.
    #[error("whether the approval still holds cannot be read ({0}); try again")]
    Unconfirmed(String),
    /// The claim could not be made durable, so the call must not run.
    #[error("the claim could not be stored: {0}")]
    Store(String),
}

/// Sealed request state that cannot be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// It does not claim to be ours; it is the server's.
    #[error("the request state is not ours")]
    Foreign,
    /// Altered, invented, sealed by another proxy, or sealed for another principal.
    #[error("the request state is not ours or was altered; send the call again without it")]
    Invalid,
    /// Genuine, and too old.
    #[error("the request state has expired; send the call again without it")]
    Expired,
}
