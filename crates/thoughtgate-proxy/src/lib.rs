//! The HTTP data path: listener, upstream client, streaming, limits.
//!
//! It asks `thoughtgate-policy` for a decision on each message and carries it out. It makes no
//! decision itself, reads no configuration file and no environment variable ([`Settings`] is plain
//! data), and logs nothing per permitted request.
//!
//! ```text
//! server ─ accept ─ connection ─┬─ admin                    /health /ready /metrics
//!                               ├─ endpoint ─┬─ decide
//!                               │            ├─ forward ─ upstream
//!                               │            ├─ listing     tools/list, filtered by the same decision
//!                               │            ├─ approve     calls that a human must approve first
//!                               │            └─ answer      refusals, by the table in problem
//!                               └─ well_known ─ forward     metadata of the upstream, which names the proxy
//! ```

mod abandoned;
mod accept;
mod address;
mod admin;
mod answer;
mod approve;
mod audit;
mod body;
mod budget;
mod challenge;
mod connection;
mod contained;
mod cors;
mod decide;
mod drain;
mod endpoint;
mod exchanges;
mod failed;
mod forward;
mod guard;
mod half_closed;
mod head_timer;
mod headers;
mod held;
mod identity;
mod inbound;
mod jwks;
mod linger;
mod listeners;
mod listing;
mod logged;
mod message;
mod metadata_path;
mod metrics;
mod observe;
mod patience;
mod probe;
mod problem;
mod process;
mod protected;
mod provenance;
mod public_url;
mod relay;
mod reported;
mod routes;
mod seen;
mod server;
mod settings;
mod slots;
#[cfg(feature = "slowdown")]
pub mod slowdown;
mod sockets;
mod state;
mod trusted;
mod upstream;
mod well_known;
mod worker;

pub use audit::{Audit, AuditSettings, Chosen, Sink, WhenFull};
pub use guard::{BadEntry, Guard};
pub use identity::{BadKey, BadKeysUrl, Expected, Identity, Jwt, KeySet};
pub use jwks::check as check_keys;
pub use probe::check as check_upstream;
pub use protected::{BadMetadata, Protected};
pub use public_url::{BadPublicUrl, PublicUrl};
pub use server::{Drained, Server};
pub use settings::{Limits, Refusals, Rules, Settings};
pub use state::{Part, Reachability, Shared, Snapshot};
pub use trusted::{BadNetwork, TrustedProxies};
pub use upstream::{BadTarget, Target};
