//! The HTTP data path: listener, upstream client, streaming, limits.
//!
//! It asks `thoughtgate-policy` what to do with each message and does it. It decides nothing
//! itself, reads no file and no environment, and knows no configuration format: [`Settings`] is
//! plain data. Nothing here logs per request.
//!
//! ```text
//! accept ─ server ─ route ─┬─ admin                      /health /ready /metrics
//!                          ├─ endpoint ─┬─ forward ─ upstream
//!                          │            ├─ listing       tools/list, cut by the same decision
//!                          │            └─ answer        refusals
//!                          └─ well_known ─ forward
//! ```

mod abandoned;
mod accept;
mod admin;
mod answer;
mod approve;
mod audit;
mod body;
mod budget;
mod contained;
mod drain;
mod endpoint;
mod forward;
mod guard;
mod head_timer;
mod headers;
mod identity;
mod inbound;
mod listing;
mod metrics;
mod probe;
mod process;
mod server;
mod settings;
mod slots;
#[cfg(feature = "slowdown")]
pub mod slowdown;
mod sockets;
mod state;
mod upstream;
mod well_known;

pub use audit::{Audit, AuditSettings, Sink, WhenFull};
pub use guard::Guard;
pub use identity::{BadKey, Expected, Identity, Jwt};
pub use server::{Drained, Server};
pub use settings::{Limits, Rules, Settings};
pub use state::{Part, Reachability, Shared, Snapshot};
pub use upstream::{BadTarget, Target};
