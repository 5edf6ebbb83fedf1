//! The measured `thoughtgate`: starts it with a configuration, waits until it is ready, and reads its
//! counters.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::call::OpenCall;
use super::exposition;
use super::server::Server;
use crate::interrupt;
use crate::tools::process::{Launch, Stream};
use crate::tools::procfs;

/// JSON-RPC error code of a call that policy refused.
const POLICY_DENIED: i64 = 40301;
const READY_DEADLINE: Duration = Duration::from_secs(15);
/// Time between two requests of `/ready`.
const POLL: Duration = Duration::from_millis(1);

/// Settings that a proxy is started with.
#[derive(Clone, Debug)]
pub struct Setup {
    pub binary: PathBuf,
    /// Path of the configuration file.
    pub config: PathBuf,
    /// Path of the Cedar policies, a file or a directory.
    pub policy: PathBuf,
    /// URL of the MCP endpoint behind it.
    pub upstream: String,
    /// Slowdown of a build for calibration; empty for all others.
    pub slowdown: String,
}

impl Setup {
    /// The command that serves on `listen`, such as `127.0.0.1:0`.
    pub fn launch(&self, listen: &str) -> Launch {
        let mut launch = Launch::bare(&self.binary);
        if !self.slowdown.is_empty() {
            launch = launch.env("INJECTED_SLOWDOWN", &self.slowdown);
        }
        launch
            .arg("--config")
            .arg(&self.config)
            .arg("--policy")
            .arg(&self.policy)
            .args(["--upstream", &self.upstream, "--listen", listen])
    }
}

/// A running proxy; dropping it kills it.
#[derive(Debug)]
pub struct Proxy {
    server: Server,
}

impl Proxy {
    /// Starts it on a free port and waits until it is ready.
    pub fn start(setup: &Setup) -> anyhow::Result<Proxy> {
        Proxy::start_at(setup, "127.0.0.1:0")
    }

    /// Starts it on `listen` and waits until it is ready.
    pub fn start_at(setup: &Setup, listen: &str) -> anyhow::Result<Proxy> {
        let launch = setup.launch(listen);
        let server = Server::start("the proxy", launch, Stream::Stderr, announced)?;
        procfs::check_program(server.pid(), &setup.binary, server.address)?;
        let mut proxy = Proxy { server };
        proxy.wait_ready()?;
        Ok(proxy)
    }

    /// URL of its MCP endpoint.
    pub fn url(&self) -> String {
        self.server.url("/mcp")
    }

    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Requests that the policies forwarded since its start.
    pub fn forwarded(&mut self) -> anyhow::Result<u64> {
        let forwarded = self.counter("thoughtgate_decisions_total{outcome=\"forward\"}")?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count"
        )]
        Ok(forwarded as u64)
    }

    /// Whether a call of `tool` is answered with a result, and not refused by policy.
    pub fn permits(&mut self, tool: &str) -> anyhow::Result<bool> {
        let call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": tool, "arguments": {}},
        });
        let (status, body) = self.server.post("/mcp", &call)?;
        let answer: Value = serde_json::from_str(&body)
            .with_context(|| format!("the proxy's answer (status {status}) is not JSON: {body}"))?;
        // A denial by policy is an answer; any other error is a fault of the set-up.
        if refusal(&answer) == Some(POLICY_DENIED) {
            return Ok(false);
        }
        ensure!(
            answer["result"].is_object() && answer["result"]["isError"] != true,
            "the proxy's answer (status {status}) is neither a result nor a denial: {body}"
        );
        Ok(true)
    }

    /// Its answers to some requests, as text: name of the request, and answer. Two programs that do the
    /// same work give the same answers.
    pub fn answers(&mut self) -> anyhow::Result<Vec<(&'static str, String)>> {
        let call = |tool: &str| {
            json!({
                "jsonrpc": "2.0", "id": 1, "method": "tools/call",
                "params": {"name": tool, "arguments": {}},
            })
        };
        let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
        let mut answers = Vec::new();
        for (name, message) in [
            ("a permitted call", call("tool_0")),
            ("a refused call", call("drop_table")),
            ("a request for the list of tools", list),
        ] {
            let (status, body) = self.server.post("/mcp", &message)?;
            let answer: Value = serde_json::from_str(&body).unwrap_or(Value::String(body));
            // Only the code of a refusal: its text and its form may change between two versions.
            let answer = match refusal(&answer) {
                Some(code) => format!("status {status}, error {code}"),
                None => format!("status {status}, {}", answer["result"]),
            };
            answers.push((name, answer));
        }
        Ok(answers)
    }

    /// A call of `tool` on a connection of its own, to be sent and not waited for.
    pub fn call(&self, tool: &str, arguments: &Value) -> anyhow::Result<OpenCall> {
        OpenCall::new(self.server.address, tool, arguments)
    }

    /// The value of a sample of `/metrics`, named with its labels.
    pub fn counter(&mut self, name: &str) -> anyhow::Result<f64> {
        let text = self.server.get_ok("/metrics")?;
        exposition::value(&text, name)
            .with_context(|| format!("failed to find `{name}` in the text of `/metrics`"))
    }

    /// Its standard error so far.
    pub fn stderr(&self) -> String {
        self.server.child.said_on_stderr()
    }

    /// The text of `/metrics`, to be read with [`super::sum`].
    pub fn metrics(&mut self) -> anyhow::Result<String> {
        self.server.get_ok("/metrics")
    }

    /// Asks it to finish what is in flight and exit. Returns the exit status, or none when it had to be
    /// killed.
    pub fn stop(self, grace: Duration) -> Option<ExitStatus> {
        self.server.child.stop(grace)
    }

    /// An error with its exit status and last lines of stderr when it has died.
    pub fn check_running(&mut self) -> anyhow::Result<()> {
        self.server.check_running()
    }

    fn wait_ready(&mut self) -> anyhow::Result<()> {
        let mut last = String::new();
        let ready = interrupt::until(READY_DEADLINE, POLL, || {
            let (status, body) = self.server.get("/ready")?;
            last = body;
            Ok((status == 200).then_some(()))
        })?;
        ready.with_context(|| {
            format!("the proxy was not ready within {READY_DEADLINE:?} (`/ready`: {last})")
        })
    }
}

/// The code of a refusal: a tool result, or in older versions and for other methods a JSON-RPC error.
fn refusal(answer: &Value) -> Option<i64> {
    let code = answer.pointer("/result/_meta/thoughtgate~1refusal/code");
    code.or(answer.pointer("/error/code"))?.as_i64()
}

/// The address in `… listening on 127.0.0.1:4711 …`, once something follows it.
fn announced(stderr: &str) -> Option<SocketAddr> {
    let (_, rest) = stderr.split_once("listening on ")?;
    let end = rest.find(|letter: char| letter.is_whitespace() || letter == ',')?;
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stderr: &str, expected: Option<&str>) {
        assert_eq!(
            announced(stderr)
                .map(|address| address.to_string())
                .as_deref(),
            expected
        );
    }

    #[test]
    fn a_refusal_is_recognised_in_either_form() {
        let told = json!({"result": {
            "isError": true, "_meta": {"thoughtgate/refusal": {"code": POLICY_DENIED}},
        }});
        let error = json!({"error": {"code": POLICY_DENIED, "message": "refused by policy"}});
        for refused in [told, error] {
            assert_eq!(refusal(&refused), Some(POLICY_DENIED), "{refused}");
        }
        assert_eq!(refusal(&json!({"result": {"isError": true}})), None);
    }

    #[test]
    fn the_address_is_read_once_it_is_whole() {
        check("warning: x\nthoughtgate: listening on 127.0.0.1:47", None);
        check(
            "thoughtgate: listening on 127.0.0.1:4711 (1 workers)\n",
            Some("127.0.0.1:4711"),
        );
        check(
            "thoughtgate: listening on 127.0.0.1:4711, admin on x\n",
            Some("127.0.0.1:4711"),
        );
        check("thoughtgate: listening on [::1]:4711\n", Some("[::1]:4711"));
    }
}
