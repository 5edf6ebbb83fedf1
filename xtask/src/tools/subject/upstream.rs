//! The upstream double `mock-mcp`: answers after a given service time, and counts what reaches it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::server::Server;
use crate::tools::process::{Launch, Stream};

/// A running upstream double; dropping it kills it.
#[derive(Debug)]
pub struct Upstream {
    server: Server,
}

/// Requests that have reached the double since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Counts {
    /// Requests of any kind, those that only check whether it is reachable included.
    pub requests: u64,
    /// `tools/call` requests.
    pub tool_calls: u64,
}

impl Upstream {
    /// Starts `mock-mcp` from the directory of the helper binaries.
    pub fn start(release_dir: &Path, service_time: Duration) -> anyhow::Result<Upstream> {
        let launch = Launch::bare(release_dir.join("mock-mcp")).args(["--listen", "127.0.0.1:0"]);
        let server = Server::start("the upstream double", launch, Stream::Stdout, announced)?;
        let mut upstream = Upstream { server };
        upstream.set_service_time(service_time)?;
        Ok(upstream)
    }

    /// Starts it on `address`, with a line for each call that arrives appended to `ledger`.
    pub fn with_ledger(
        release_dir: &Path,
        address: SocketAddr,
        ledger: &Path,
    ) -> anyhow::Result<Upstream> {
        let launch = Launch::bare(release_dir.join("mock-mcp"))
            .args(["--listen", &address.to_string(), "--ledger"])
            .arg(ledger);
        let server = Server::start("the upstream double", launch, Stream::Stdout, announced)?;
        Ok(Upstream { server })
    }

    /// Changes how it answers requests from now on.
    pub fn turn(&mut self, knobs: &Value) -> anyhow::Result<()> {
        self.server.turn(knobs)
    }

    /// URL of its MCP endpoint.
    pub fn url(&self) -> String {
        self.server.url("/mcp")
    }

    /// Changes the time that it takes to answer each request from now on.
    pub fn set_service_time(&mut self, service_time: Duration) -> anyhow::Result<()> {
        self.turn(&json!({ "service_time_us": u64::try_from(service_time.as_micros())? }))
    }

    pub fn counts(&mut self) -> anyhow::Result<Counts> {
        let text = self.server.get_ok("/control/stats")?;
        serde_json::from_str(&text)
            .with_context(|| format!("failed to read the counts of the upstream double: {text:?}"))
    }

    /// An error with its exit status and last lines of stderr when it has died.
    pub fn check_running(&mut self) -> anyhow::Result<()> {
        self.server.check_running()
    }
}

/// The address in a double's first line of standard output, once that line is complete.
pub(super) fn announced(stdout: &str) -> Option<SocketAddr> {
    #[derive(Deserialize)]
    struct Announcement {
        listening: SocketAddr,
    }
    let (line, _) = stdout.split_once('\n')?;
    let announcement: Announcement = serde_json::from_str(line).ok()?;
    Some(announcement.listening)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_a_whole_line() {
        assert_eq!(announced("{\"listening\":\"127.0.0.1:47"), None);
        let address = announced("{\"listening\":\"127.0.0.1:4711\"}\n").unwrap();
        assert_eq!(address.port(), 4711);
    }
}
