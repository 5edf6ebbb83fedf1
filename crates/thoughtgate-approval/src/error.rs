//! Errors of this crate, with one variant per case that a caller can act on. The texts of
//! [`RequestError`], [`ClaimError`] and [`UnsealError`] reach agents, with their causes: each error
//! prints its own level alone, and [`crate::chain`] prints all.

use std::path::PathBuf;

use tokio::task::JoinError;

use crate::cause::Cause;
use crate::slack::{ConfirmError, SettingsError};

/// Approvals cannot be opened; the proxy must not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A setting is missing or invalid.
    #[error("approvals are misconfigured")]
    Settings(#[from] SettingsError),
    /// The store's file cannot be created, read or given mode 0600.
    #[error("failed to open the approval store `{path}`")]
    Io {
        /// Path of the store's file.
        path: PathBuf,
        /// Error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// Another process holds the store.
    #[error(
        "the approval store `{path}` is in use by another process; give each proxy a file of its own"
    )]
    Locked {
        /// Path of the store's file.
        path: PathBuf,
    },
    /// The store was written by a newer version of this program.
    #[error(
        "the approval store `{path}` has format {found}, but this version reads formats up to {known}; run the newer version, or move the file away to start with an empty store (open approvals are then lost)"
    )]
    Newer {
        /// Path of the store's file.
        path: PathBuf,
        /// Format of the file.
        found: u64,
        /// Highest format that this version reads.
        known: u64,
    },
    /// The file is damaged, or is not an approval store.
    #[error(
        "`{path}` is damaged or not an approval store; move it away to start with an empty store (open approvals are then lost)"
    )]
    Corrupted {
        /// Path of the store's file.
        path: PathBuf,
        /// The fault that was found.
        source: Cause,
    },
    /// The thread that opens the store panicked, or the runtime is stopping.
    #[error("the approval store was not opened")]
    Aborted(#[source] JoinError),
    /// The system's random source failed.
    #[error("the system's random source failed")]
    Random,
    /// The channel's API has an `https://` URL, and TLS cannot be set up.
    #[error("failed to set up TLS for `{host}`")]
    Tls {
        /// Host of the address.
        host: String,
        /// Reason, and what to do.
        source: Cause,
    },
}

/// A change of approvals is not on disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store was closed before the change was written.
    #[error("the approval store is closed")]
    Closed,
    /// The disk did not take the change; it is written once it does.
    #[error(transparent)]
    Write(Cause),
}

/// No approval can be requested; the call must be refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Too many approvals are open, for everyone or for this principal.
    #[error("too many approvals are open ({open} of {limit}); wait for some to be decided")]
    Busy {
        /// Number of open approvals.
        open: usize,
        /// Most that may be open.
        limit: usize,
    },
    /// Open approvals would take too many bytes, of everyone or of this principal.
    #[error(
        "no room for this approval: open approvals would take {bytes} bytes, and the limit is {limit}; wait for some to be decided, or send a smaller request"
    )]
    Full {
        /// Bytes of the open approvals with this one.
        bytes: usize,
        /// Most bytes that open approvals may take.
        limit: usize,
    },
    /// A name is too long to be shown to approvers and to be kept.
    #[error("the {what} has {bytes} bytes; approval requests allow at most {limit}")]
    NameTooLong {
        /// The name that is too long, for example `tool name`.
        what: &'static str,
        /// Size of the name.
        bytes: usize,
        /// Largest size that is kept.
        limit: usize,
    },
    /// The arguments have a key twice, so an approver could not know which value the tool would use.
    #[error("duplicate key `{0}` in the arguments")]
    DuplicateKey(String),
    /// The arguments contain a number or an escape that parsers read in different ways.
    #[error(
        "the arguments contain a number or an escape sequence that not every JSON parser can read"
    )]
    Unreadable,
    /// The body is larger than what is kept for a call that is answered later.
    #[error("the request has {bytes} bytes; the limit for a call answered later is {limit}")]
    TooLarge {
        /// Size of the body.
        bytes: usize,
        /// Largest size that is kept.
        limit: usize,
    },
    /// The approval could not be written to disk.
    #[error("failed to store the approval request")]
    Store(#[source] StoreError),
    /// The system's random source failed.
    #[error("failed to make an approval id: the system's random source failed")]
    Random,
    /// The proxy is stopping.
    #[error("the proxy is stopping")]
    Closed,
}

/// The call must not be made on this approval.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// No such approval, or it is another principal's: the two look the same on purpose.
    #[error("no such approval")]
    Unknown,
    /// The approval covers another call.
    #[error("the approval covers other arguments or another tool")]
    DigestMismatch,
    /// Not decided yet.
    #[error("the approval is still pending")]
    Pending,
    /// Denied or withdrawn by an approver, or refused by the policies after the decision.
    #[error("the approval request was rejected")]
    Rejected,
    /// Not decided in time, or not claimed in time.
    #[error("the approval has expired")]
    Expired,
    /// Cancelled by the agent.
    #[error("the approval request was cancelled")]
    Cancelled,
    /// Approvers could not be asked, or their message was deleted.
    #[error("no approver could be asked")]
    Unavailable,
    /// Claimed before.
    #[error("the approval has already been used; an approval is good for one call")]
    AlreadyExecuted,
    /// The votes could not be read again; the approval remains, and may be claimed later.
    #[error("failed to check whether the approval still holds")]
    Unconfirmed(#[source] Box<ConfirmError>),
    /// The claim could not be written to disk, so the call must not be made.
    #[error("failed to record the approval as used")]
    Store(#[source] StoreError),
}

/// Sealed request state that cannot be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// Altered, invented, sealed by another proxy, sealed for another principal, or of the server
    /// behind the proxy.
    #[error(
        "invalid requestState: modified, or not issued by this proxy to this agent; send the call again without it"
    )]
    Invalid,
    /// Genuine, but too old.
    #[error("requestState has expired; send the call again without it")]
    Expired,
}
