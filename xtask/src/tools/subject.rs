//! The processes of a measurement: the proxy, its upstream double, and the Slack double that it asks
//! for approvals.
//!
//! Starts them on free ports of the loopback, queries them over HTTP, and reports the last lines of one
//! that dies. Measures nothing and sends no load.

mod call;
mod exposition;
mod proxy;
mod server;
mod slack;
mod startup;
mod upstream;

pub use exposition::sum;
pub use proxy::{Proxy, Setup};
pub use slack::{Posted, Slack, TOKEN as SLACK_TOKEN};
pub use startup::{LOAD_SECONDS, Startup, free_address, is_ready, startup};
pub use upstream::Upstream;

#[cfg(test)]
mod tests;
