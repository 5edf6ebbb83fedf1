//! A process that listens on an address of the loopback, and the requests to it. A request that fails because
//! the process died reports its exit status and last lines.
//!
//! Knows nothing of what the process does.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::tools::http;
use crate::tools::process::{Child, Launch, Stream};

/// Time limit from the start of a process to the line with its address.
const LISTEN_DEADLINE: Duration = Duration::from_secs(15);
/// Time limit of one request.
pub(super) const ANSWER_DEADLINE: Duration = Duration::from_secs(10);
/// Time limit for a process to end after SIGTERM.
pub(super) const STOP_GRACE: Duration = Duration::from_secs(5);
/// Time to wait for the exit status of a process whose connections broke: they close a moment before it
/// can be waited for.
const DEATH_GRACE: Duration = Duration::from_millis(300);

/// A process that listens on an address of the loopback.
#[derive(Debug)]
pub(super) struct Server {
    /// Name in messages, such as `the proxy`.
    name: &'static str,
    pub(super) child: Child,
    pub(super) address: SocketAddr,
    agent: ureq::Agent,
}

impl Server {
    /// Starts a process and waits until `address` finds the address that it listens on in `stream`.
    pub(super) fn start(
        name: &'static str,
        launch: Launch,
        stream: Stream,
        address: impl Fn(&str) -> Option<SocketAddr>,
    ) -> anyhow::Result<Server> {
        let mut child = launch.start()?;
        let address = child
            .wait_for(stream, LISTEN_DEADLINE, address)
            .with_context(|| format!("failed to start {name}"))?;
        // Each status is an answer to be read, such as 503 of `/ready`, and not an error.
        let config = http::loopback(ANSWER_DEADLINE).http_status_as_error(false);
        Ok(Server {
            name,
            child,
            address,
            agent: config.build().new_agent(),
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.pid()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// An error with its exit status and last lines of stderr when it has died.
    pub(super) fn check_running(&mut self) -> anyhow::Result<()> {
        let name = self.name;
        self.child
            .check_running()
            .with_context(|| format!("{name} died"))
    }

    /// Status and body of a GET.
    pub(super) fn get(&mut self, path: &str) -> anyhow::Result<(u16, String)> {
        let url = self.url(path);
        let answer = self.agent.get(&url).call().and_then(read);
        self.answered(&url, answer)
    }

    /// Status and body of a POST of JSON.
    pub(super) fn post(
        &mut self,
        path: &str,
        body: &serde_json::Value,
    ) -> anyhow::Result<(u16, String)> {
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
            // The exit status of a dead process explains the failure better than a broken connection.
            self.child.ended_within(DEATH_GRACE)?;
            self.check_running()?;
        }
        answer.with_context(|| format!("failed to query {} at `{url}`", self.name))
    }

    /// Changes the behaviour of a double by its knobs, those settings that can change while it runs.
    pub(super) fn turn(&mut self, knobs: &serde_json::Value) -> anyhow::Result<()> {
        let (status, body) = self.post("/control/knobs", knobs)?;
        ensure!(
            status == 200,
            "{} refused the knobs {knobs}: {body}",
            self.name
        );
        Ok(())
    }

    /// The body of a GET that must be answered with 200.
    pub(super) fn get_ok(&mut self, path: &str) -> anyhow::Result<String> {
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
