//! Support for tests and measurements of `ThoughtGate`: doubles of an MCP upstream and of Slack, an
//! HTTP client that can misbehave, a load driver, mixed clients, child processes.
//!
//! Depends on no other `thoughtgate` crate, so that a double cannot share a misunderstanding with
//! the product. Does not validate the protocol: a double answers every request and reports what it
//! received.

mod body;
pub mod client;
pub mod clients;
mod knobs;
pub mod listening;
pub mod load;
pub mod mock_mcp;
pub mod mock_slack;
pub mod process;
mod server;
pub mod timer;
