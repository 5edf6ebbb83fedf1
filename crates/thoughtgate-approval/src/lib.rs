//! Human approval of calls: the state machine, its store, and Slack.
//!
//! An approval is bound to a digest of principal, tool and arguments, and to its channel. It expires, is decided once,
//! and lets one call through, once, restarts included. [`Approvals`] is the handle; `ledger.rs` makes
//! every change; `store.rs` describes what is stored and when it is flushed; `channel.rs` lists the
//! ways to ask approvers. Only `slack.rs` and its submodules know Slack's API. This crate evaluates no
//! policy, forwards no call and parses no MCP message: the proxy checks its policies again before
//! [`Approvals::claim`], and calls [`Approvals::revoke`] if they refuse.
//!
//! A proxy can answer a call that needs approval in four ways. All begin with [`Approvals::request`]:
//!
//! - Held open: [`Approvals::wait`] in steps of the keep-alive interval, then check the policies
//!   again, claim, and forward the call.
//! - As a task, of either era: pass the request's body as [`Call::body`]; the approval's [`Id`] is the
//!   task's id. [`Approvals::ready`] yields the approved ids, whose call ([`Approvals::kept`]) is then
//!   checked again, claimed and forwarded. [`Approvals::find`], [`Approvals::wait_end`],
//!   [`Approvals::result`], [`Approvals::list`] and [`Approvals::cancel`] answer the client.
//! - By retry: [`Approvals::seal`] makes the request state. The client sends it with the retry, for
//!   [`Approvals::unseal`]; the digest of the retried call must equal the sealed one.
//! - By repetition: the client is told that the approval is pending, and the same call sent again joins
//!   it. [`Approvals::caller`] counts those who wait, and withdraws what nobody comes back for.
//!
//! [`View::explain`] is the sentence for the agent when a call does not run. The [`Observer`] is
//! called for every state that an approval enters.

mod approvals;
mod backoff;
mod caller;
mod cause;
mod channel;
mod claim;
mod clock;
mod counters;
#[cfg(test)]
mod durability;
mod error;
mod ids;
mod joinable;
mod lanes;
mod ledger;
mod record;
mod redact;
mod request;
mod room;
mod seal;
mod secret;
mod settings;
mod slack;
mod state;
mod store;
mod table;
mod text;
mod trouble;
mod user;
mod view;
mod vote;

pub use approvals::Approvals;
pub use caller::Caller;
pub use cause::{Cause, chain};
pub use channel::ChannelSettings;
pub use claim::Claim;
pub use counters::{Counters, Health};
pub use error::{ClaimError, OpenError, RequestError, StoreError, UnsealError};
pub use ids::{Digest, Id, NotADigest, NotAnId, digest};
pub use ledger::Observer;
pub use redact::Redaction;
pub use request::{Call, Kept};
pub use seal::{CARRIED_BYTES_MAX, Sealed, Sealer, is_sealed};
pub use secret::Secret;
pub use settings::{Settings, StoreLocation};
pub use slack::{
    ConfirmError, Finding, Interaction, InteractionError, InteractionOutcome, SLACK_SCOPES, Scope,
    SettingsError, SlackSettings,
};
pub use state::State;
pub use user::UserDigest;
pub use view::View;
