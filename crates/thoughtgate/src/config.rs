//! The configuration: each setting with its help, type and default, and whether it takes a restart.
//!
//! A setting is written here, or in the file of its section, and nowhere else: the keys of the file, the
//! environment variables, `--help`, texts of errors, and what a reload refuses are derived from it. Knows
//! the form of a value and not its use; `settings.rs` turns values into the proxy's types and checks that
//! they are consistent. Reads nothing: `load.rs` does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use thoughtgate_policy::Declared;

mod approval;
mod audit;
mod duration;
pub mod every;
mod log;
mod mode;
pub mod outline;
mod refusals;
mod setting;
mod syntax;
pub mod yaml;

pub use approval::{Approval, MEMORY, Slack};
pub use audit::{Audit, STDOUT, WhenFull};
pub use log::Log;
pub use mode::Mode;
pub use refusals::Refusals;
pub use setting::{Form, Setting, Typed};

use setting::section;

section! {
    /// All settings, as the configuration file has them.
    #[derive(Debug)]
    pub struct Config {
        /// address to listen on, IP:PORT (default: 127.0.0.1:8080, in a container 0.0.0.0:8080)
        restart listen: Option<SocketAddr> = None,
        /// separate address for /health, /ready and /metrics, IP:PORT
        restart admin_listen: Option<SocketAddr> = None,
        // It also limits who may say so: a client could invent any address.
        /// addresses or networks (10.0.0.0/8) of proxies in front, from which the upstream also gets
        /// X-Real-IP, Forwarded and all of X-Forwarded-*; from others they are dropped
        restart trusted_proxies: Vec<String> = Vec::new(),
        /// number of threads that serve requests
        restart workers: Option<usize> = None,
        section upstream: Upstream,
        // Behind something that ends TLS or changes the path, it cannot be known from a request.
        /// URL under which clients reach the MCP endpoint, which OAuth metadata and challenges name
        /// (default: http://, the request's Host, and /mcp)
        reload public_url: Option<String> = None,
        /// Cedar policy file, or directory of *.cedar files
        reload policy: Option<PathBuf> = None,
        /// enforce (carry decisions out) or observe (forward also what would be refused or held; count and
        /// log it)
        reload mode: Mode = Mode::Enforce,
        /// annotations that policies may use besides @id, @approve, @reason, @description, @owner, @author
        /// and @ticket
        reload policy_annotations: Vec<String> = Vec::new(),
        section agent: Agent,
        /// groups of tools, {group: [tool, …]}
        reload tool_groups: BTreeMap<String, Vec<String>> = BTreeMap::new(),
        /// values of the Host header accepted besides loopback ones, such as tools.example (any port),
        /// tools.example:8080 and *.example.com
        reload allowed_hosts: Vec<String> = Vec::new(),
        /// values of the Origin header accepted besides loopback ones: SCHEME://HOST or SCHEME://HOST:PORT,
        /// with * for any port (SCHEME://HOST:*) or any name below a domain (SCHEME://*.DOMAIN)
        reload allowed_origins: Vec<String> = Vec::new(),
        /// answer to a refused tools/call: result (a tool result with isError, which the model sees) or
        /// error (a JSON-RPC error)
        reload refusals: Refusals = Refusals::Result,
        section limits: Limits,
        section timeouts: Timeouts,
        #[serde(deserialize_with = "audit::text_or_mapping")]
        section audit: Audit,
        section approval: Approval,
        section log: Log,
    }
}

section! {
    /// The MCP server behind the proxy.
    #[derive(Debug)]
    pub struct Upstream {
        /// URL of the upstream MCP server's endpoint, with its path
        restart url: Option<String> = None,
        /// name of the upstream in policies, Upstream::"name"
        reload name: String = "upstream".to_owned(),
    }
}

section! {
    /// Source of the agent's identity: one of `id`, `header` and `jwt`.
    #[derive(Debug)]
    pub struct Agent {
        /// agent id that all requests are attributed to
        reload id: Option<String> = None,
        // A trusted proxy in front must set or remove the header.
        /// request header that holds the agent's id
        reload header: Option<String> = None,
        section jwt: Jwt,
        /// groups of agents, {group: [agent, …]}
        reload groups: BTreeMap<String, Vec<String>> = BTreeMap::new(),
    }
}

section! {
    /// Verification of bearer tokens. No field is set by default: a token is required as soon as any of
    /// them is configured.
    #[derive(Debug)]
    pub struct Jwt {
        /// claim of the bearer token that holds the agent's id (default: sub)
        reload claim: Option<String> = None,
        /// PEM file with the public key that verifies bearer tokens
        reload key_file: Option<PathBuf> = None,
        // Not followed from `issuer` by discovery: every issuer documents this URL.
        /// https URL of the issuer's JWK Set, whose keys verify bearer tokens, instead of key_file; needs issuer
        reload jwks_url: Option<String> = None,
        /// audience that bearer tokens must name (claim aud) (default with authorization_servers: public_url)
        reload audience: Option<String> = None,
        /// issuer that bearer tokens must have (claim iss)
        reload issuer: Option<String> = None,
        /// issuers (https URLs) of the authorization servers at which clients log in, published in OAuth metadata
        /// of the proxy's own, in place of the upstream's; needs public_url
        reload authorization_servers: Vec<String> = Vec::new(),
        /// scopes that clients should ask the authorization servers for, published there as well
        reload scopes: Vec<String> = Vec::new(),
        /// claims of the bearer token that policies can read, {claim: set | text | bool | number}, a nested one
        /// by its path: {name: {path: [key, …], type: set}}
        reload claims: Declared,
        /// clock difference tolerated at a token's exp and nbf, at most 10m (default: 60s)
        #[serde(with = "humantime_serde::option")]
        reload leeway: Option<Duration> = None,
    }
}

section! {
    /// Limits on what clients can make the proxy hold.
    #[derive(Debug)]
    pub struct Limits {
        /// largest request body, in bytes
        reload body_bytes: usize = 4 * 1024 * 1024,
        /// deepest nesting of a request's JSON, at most 128
        reload depth: usize = 64,
        // Also the largest event of a stream that is filtered.
        /// largest tool list accepted from the upstream, in bytes; a larger one is refused
        reload list_bytes: usize = 8 * 1024 * 1024,
        // The default of `buffered_bytes` keeps 6 KiB for each of these.
        /// largest number of open client connections
        restart connections: usize = 1024,
        // At least twice the larger of `body_bytes` and `list_bytes`, which `settings.rs` checks.
        /// largest number of bytes buffered at once, for all clients together
        restart buffered_bytes: usize = 32 * 1024 * 1024,
    }
}

section! {
    /// Time limits, written as `10s`, `250ms`, `5m`.
    #[derive(Debug)]
    pub struct Timeouts {
        /// time limit to receive a request's head; also closes idle connections
        #[serde(with = "duration")]
        restart head: Duration = Duration::from_secs(60),
        /// time limit to receive a request's body
        #[serde(with = "duration")]
        reload body: Duration = Duration::from_secs(30),
        /// time limit to connect to the upstream
        #[serde(with = "duration")]
        restart connect: Duration = Duration::from_secs(5),
        /// time limit for the upstream's response headers, and again for a tool list or SSE event that is
        /// buffered for filtering
        #[serde(with = "duration")]
        reload response: Duration = Duration::from_secs(300),
        // Each probe is a request in the log of the upstream, and may count against a rate limit.
        /// interval between probes of an upstream that answers; others are probed each second
        #[serde(with = "duration")]
        restart probe_interval: Duration = Duration::from_secs(10),
        /// time limit for in-flight requests at shutdown
        #[serde(with = "duration")]
        restart drain: Duration = Duration::from_secs(10),
    }
}
