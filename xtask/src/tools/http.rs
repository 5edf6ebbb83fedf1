//! The HTTP client for servers of the loopback: doubles, the measured proxy, a temporary registry.
//!
//! Not for other servers: see `github`.

use std::time::Duration;

use ureq::config::ConfigBuilder;
use ureq::typestate::AgentScope;

/// The settings of a client that gives each request this time.
pub fn loopback(limit: Duration) -> ConfigBuilder<AgentScope> {
    let config = ureq::Agent::config_builder().timeout_global(Some(limit));
    // Proxy variables of the environment are not meant for the loopback.
    config.proxy(None)
}
