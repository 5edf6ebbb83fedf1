//! Human approval of calls: the state machine, its store, and Slack.
//!
//! An approval is bound to a digest of principal, tool and arguments, expires, is decided once, and
//! lets one call through, once, restarts included. [`Approvals`] is the handle; `store.rs` says what
//! is kept and when it is flushed; `slack.rs` alone names Slack. Evaluates no policy, forwards no
//! call, and speaks no MCP: the proxy re-checks its policy before [`Approvals::claim`], and says
//! [`Approvals::revoke`] when that refuses.
//!
//! How a proxy serves the four ways of answering, all of which begin with [`Approvals::request`]:
//!
//! - Held: [`Approvals::wait`] in steps of the keep-alive interval, re-check, claim, forward.
//! - As a task, of either era: the request's body goes along as [`Call::body`] and the approval's
//!   [`Id`] is the task's. [`Approvals::ready`] says when to re-check, claim and forward what
//!   [`Approvals::kept`] holds; [`Approvals::find`], [`Approvals::wait_end`],
//!   [`Approvals::result`], [`Approvals::list`] and [`Approvals::cancel`] answer the client.
//! - By retry: [`Approvals::seal`] is the request state. The retry brings it back to
//!   [`Approvals::unseal`], and must have the digest that is sealed in it.
//!
//! [`View::explain`] is the sentence for the agent whenever the call does not run, and
//! [`Observer`] hears of every state that an approval enters.

mod approvals;
mod backoff;
mod book;
mod claim;
mod core;
mod counters;
#[cfg(test)]
mod durability;
mod error;
mod ids;
mod record;
mod redact;
mod request;
mod room;
mod seal;
mod settings;
mod slack;
mod store;
mod text;
mod vote;

pub use approvals::{Approvals, Observer};
pub use claim::Claim;
pub use counters::{Counters, Health};
pub use error::{ClaimError, OpenError, RequestError, UnsealError};
pub use ids::{Digest, Id, digest};
pub use record::{State, View};
pub use redact::Redaction;
pub use request::{Call, Kept};
pub use seal::{Sealed, Sealer, is_ours};
pub use settings::{Secret, Settings, StoreLocation};
pub use slack::{Interaction, InteractionError, InteractionOutcome, SlackSettings};
