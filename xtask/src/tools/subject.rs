//! The processes that are measured, or measured against: the proxy, its upstream double, and the
//! Slack double that it asks for approvals.
//!
//! Starts them on free ports of the loopback, asks them over HTTP, notices when one dies and
//! says what it said last. Measures nothing and sends no load.

mod call;
mod exposition;
mod proxy;
mod slack;
mod startup;
mod upstream;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::process::{Child, Launch, Stream};

pub use exposition::sum;
pub use proxy::{Proxy, Setup};
pub use slack::{Posted, Slack, TOKEN as SLACK_TOKEN};
pub use startup::{LOAD_SECONDS, Startup, free_address, is_ready, startup};
pub use upstream::Upstream;

/// How long a process may take from its start to its address.
const LISTEN_DEADLINE: Duration = Duration::from_secs(15);
/// How long an answer to a question of ours may take.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);
/// How long a process may take to end when it was asked to.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// How long after its connections broke a process may be found dead.
const DEATH_GRACE: Duration = Duration::from_millis(300);

/// A process that listens on an address of the loopback.
#[derive(Debug)]
struct Server {
    /// What messages call it.
    name: &'static str,
    child: Child,
    address: SocketAddr,
    agent: ureq::Agent,
}

impl Server {
    /// Starts a process and waits until `address` finds in `stream` where it listens.
    fn start(
        name: &'static str,
        launch: Launch,
        stream: Stream,
        address: impl Fn(&str) -> Option<SocketAddr>,
    ) -> anyhow::Result<Server> {
        let mut child = launch.start()?;
        let address = child
            .wait_for(stream, LISTEN_DEADLINE, address)
            .with_context(|| format!("failed to start {name}"))?;
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER_DEADLINE))
            .http_status_as_error(false)
            // What the environment says of proxies is not meant for the loopback.
            .proxy(None)
            .build();
        Ok(Server {
            name,
            child,
            address,
            agent: config.into(),
        })
    }

    fn pid(&self) -> u32 {
        self.child.pid()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// An error with its exit status and last words when it has died.
    fn check_running(&mut self) -> anyhow::Result<()> {
        let name = self.name;
        self.child
            .check_running()
            .with_context(|| format!("{name} died"))
    }

    /// Status and body of a GET.
    fn get(&mut self, path: &str) -> anyhow::Result<(u16, String)> {
        let url = self.url(path);
        let answer = self.agent.get(&url).call().and_then(read);
        self.answered(&url, answer)
    }

    /// Status and body of a POST of JSON.
    fn post(&mut self, path: &str, body: &serde_json::Value) -> anyhow::Result<(u16, String)> {
        let url = self.url(path);
        let request = self
            .agent
            .post(&url)
            .header("content-type", "application/json");
        let answer = request.send(body.to_string()).and_then(read);
        self.answered(&url, answer)
    }

    fn answered(
        &mut self,
        url: &str,
        answer: Result<(u16, String), ureq::Error>,
    ) -> anyhow::Result<(u16, String)> {
        if answer.is_err() {
            // A death explains a failed question better than the question does, and its
            // connections close a moment before it can be waited for.
            self.child.ended_within(DEATH_GRACE)?;
            self.check_running()?;
        }
        answer.with_context(|| format!("failed to ask {} at `{url}`", self.name))
    }

    /// Changes the knobs of a double.
    fn turn(&mut self, knobs: &serde_json::Value) -> anyhow::Result<()> {
        let (status, body) = self.post("/control/knobs", knobs)?;
        ensure!(
            status == 200,
            "{} refused the knobs {knobs}: {body}",
            self.name
        );
        Ok(())
    }

    /// The body of a GET that must be answered with 200.
    fn get_ok(&mut self, path: &str) -> anyhow::Result<String> {
        let (status, body) = self.get(path)?;
        ensure!(
            status == 200,
            "{} answered `{path}` with status {status}: {body}",
            self.name
        );
        Ok(body)
    }
}

fn read(mut response: ureq::http::Response<ureq::Body>) -> Result<(u16, String), ureq::Error> {
    let status = response.status().as_u16();
    Ok((status, response.body_mut().read_to_string()?))
}

#[cfg(test)]
mod tests;
