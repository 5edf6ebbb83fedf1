//! Human approval of calls: the state machine, its store, and Slack.
//!
//! An approval is bound to a digest of principal, tool and arguments, expires, is decided once, and
//! lets one call through, once, restarts included. [`Approvals`] is the handle; `store.rs` says what
//! is kept and when it is flushed; `slack.rs` alone names Slack. Evaluates no policy, forwards no
//! call, and speaks no MCP: the proxy re-checks its policy before [`Approvals::claim`], and says
//! [`Approvals::revoke`] when that refuses.

mod approvals;
mod backoff;
mod book;
mod claim;
mod core;
mod counters;
mod error;
mod ids;
mod record;
mod redact;
mod seal;
mod settings;
mod slack;
mod store;
mod text;

pub use approvals::{Approvals, Call};
pub use claim::Claim;
pub use counters::{Counters, Health};
pub use error::{ClaimError, OpenError, RequestError, UnsealError};
pub use ids::{Digest, Id, digest};
pub use record::{State, View};
pub use redact::Redaction;
pub use seal::Sealed;
pub use settings::{Secret, Settings, StoreLocation};
pub use slack::{
    Interaction, InteractionError, InteractionOutcome, SlackSettings, verify_and_parse,
};
