//! The configuration: its structure and its defaults.
//!
//! Knows the form of a value and not its use; `settings.rs` turns values into the proxy's types and
//! checks that they are consistent. Reads nothing: `load.rs` does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

mod approval;
mod audit;
mod duration;
pub mod yaml;

pub use approval::{Approval, MEMORY, Slack};
pub use audit::{Audit, STDOUT, WhenFull};

/// All settings, as the configuration file has them.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address of the MCP endpoint.
    pub listen: SocketAddr,
    /// Address of `/health`, `/ready` and `/metrics`; when absent they are on `listen`.
    pub admin_listen: Option<SocketAddr>,
    /// Threads that serve requests; derived from the CPU quota when absent.
    pub workers: Option<usize>,
    pub upstream: Upstream,
    /// A Cedar file, or a directory of them.
    pub policy: Option<PathBuf>,
    /// Annotations that policies may use besides the built-in ones.
    pub policy_annotations: Vec<String>,
    pub agent: Agent,
    /// Groups that policies can name instead of single tools: group to tools.
    pub tool_groups: BTreeMap<String, Vec<String>>,
    /// `Host` names accepted besides the loopback ones.
    pub allowed_hosts: Vec<String>,
    /// `Origin`s accepted besides the loopback ones.
    pub allowed_origins: Vec<String>,
    pub limits: Limits,
    pub timeouts: Timeouts,
    #[serde(deserialize_with = "audit::text_or_mapping")]
    pub audit: Audit,
    pub approval: Approval,
}

/// The MCP server behind the proxy.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Upstream {
    /// URL of the MCP endpoint, with the path.
    pub url: Option<String>,
    /// Name in policies: `Upstream::"name"`.
    pub name: String,
}

/// Source of the agent's identity: one of `id`, `header` and `jwt`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Agent {
    /// Id for all requests.
    pub id: Option<String>,
    /// Request header with the agent's id; a trusted proxy in front must set or remove it.
    pub header: Option<String>,
    pub jwt: Jwt,
    /// Groups that policies can name instead of single agents: group to agents.
    pub groups: BTreeMap<String, Vec<String>>,
}

/// Verification of bearer tokens. No field has a default: a token is required as soon as any of them
/// is configured.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Jwt {
    /// Claim that holds the agent's id.
    pub claim: Option<String>,
    /// PEM file with the public key.
    pub key_file: Option<PathBuf>,
    /// Required `aud`.
    pub audience: Option<String>,
    /// Required `iss`.
    pub issuer: Option<String>,
    /// Clock difference tolerated at `exp` and `nbf`.
    #[serde(with = "humantime_serde::option")]
    pub leeway: Option<Duration>,
}

/// Limits on what clients can make the proxy hold.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest request body.
    pub body_bytes: usize,
    /// Deepest nesting of a request's JSON.
    pub depth: usize,
    /// Largest tool list, or event of a stream, that is filtered.
    pub list_bytes: usize,
    /// Client connections open at once.
    pub connections: usize,
    /// Bytes buffered at once, for all clients together.
    pub buffered_bytes: usize,
}

/// Time limits, written as `10s`, `250ms`, `5m`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// To receive a request's head; also ends idle connections.
    #[serde(with = "duration")]
    pub head: Duration,
    /// To receive a request's body.
    #[serde(with = "duration")]
    pub body: Duration,
    /// To connect to the upstream.
    #[serde(with = "duration")]
    pub connect: Duration,
    /// To receive the upstream's response head, and a list or event that is buffered for filtering.
    #[serde(with = "duration")]
    pub response: Duration,
    /// Between two probes of the upstream.
    #[serde(with = "duration")]
    pub probe_interval: Duration,
    /// For in-flight requests to finish at shutdown.
    #[serde(with = "duration")]
    pub drain: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            admin_listen: None,
            workers: None,
            upstream: Upstream::default(),
            policy: None,
            policy_annotations: Vec::new(),
            agent: Agent::default(),
            tool_groups: BTreeMap::new(),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            audit: Audit::default(),
            approval: Approval::default(),
        }
    }
}

impl Default for Upstream {
    fn default() -> Upstream {
        Upstream {
            url: None,
            name: "upstream".to_owned(),
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes: 4 * 1024 * 1024,
            depth: 64,
            list_bytes: 8 * 1024 * 1024,
            connections: 1024,
            buffered_bytes: 32 * 1024 * 1024,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            head: Duration::from_secs(60),
            body: Duration::from_secs(30),
            connect: Duration::from_secs(5),
            response: Duration::from_secs(300),
            probe_interval: Duration::from_secs(1),
            drain: Duration::from_secs(10),
        }
    }
}
