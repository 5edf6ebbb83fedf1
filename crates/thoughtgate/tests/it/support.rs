//! Test support: starts the real binary on a free port, with policies given as text.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use serde_json::Value;
use tempfile::NamedTempFile;
use thoughtgate_test::client::{self, Response};
use thoughtgate_test::mock_mcp::{self, Hold, MockMcp};
use thoughtgate_test::process::{Output, Process};
use tokio::task::JoinHandle;

/// Deadline of waits: enough for a start on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running proxy; killed on drop.
pub struct Proxy {
    pub process: Process,
    address: String,
}

/// A child that is killed on drop.
pub struct Kill(pub Child);

impl Drop for Kill {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Proxy {
    /// Starts a proxy in front of `upstream`, with a policy file.
    pub fn start(upstream: &str, policy: &Path) -> Proxy {
        Proxy::with(&before(upstream, policy), &[])
    }

    /// Starts a proxy with these arguments and environment, on a free port.
    pub fn with(arguments: &[&str], environment: &[(&str, &str)]) -> Proxy {
        Proxy::run(env!("CARGO_BIN_EXE_thoughtgate"), arguments, environment)
    }

    /// Like [`Proxy::with`], started by a shell after `setup` (`ulimit -n 300`, say).
    pub fn after(setup: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Proxy {
        let script = format!("{setup} && exec \"$0\" \"$@\"");
        let binary = env!("CARGO_BIN_EXE_thoughtgate");
        let all = [&["-c", script.as_str(), binary], arguments].concat();
        Proxy::run("sh", &all, environment)
    }

    fn run(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Proxy {
        let all = [arguments, &["--listen", "127.0.0.1:0"]].concat();
        let process = Process::start(program, &all, environment).unwrap();
        let line = process
            .wait_line(Output::Stderr, "listening on ", PATIENCE)
            .unwrap();
        let (_, address) = line.split_once("listening on ").unwrap();
        let address = address.split([' ', ',']).next().unwrap().to_owned();
        Proxy { process, address }
    }

    /// URL of the MCP endpoint.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `host:port` of the separate admin address.
    pub fn admin_address(&self) -> String {
        let lines = self.process.output(Output::Stderr);
        let listening = lines.iter().find_map(|line| line.split_once("admin on "));
        let (_, address) = listening.expect("no line names the admin address");
        address.split(' ').next().unwrap().to_owned()
    }

    /// URL of this path.
    pub fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// POSTs one message of a legacy client.
    pub async fn post(&self, body: &str) -> Response {
        client::post_json(&self.url(), &[], body.to_owned())
            .await
            .unwrap()
    }

    /// GETs one path.
    pub async fn get(&self, path: &str) -> Response {
        client::get(&self.at(path), &[]).await.unwrap()
    }

    /// Waits until `/ready` has status 200.
    pub async fn ready(&self) {
        self.ready_is(200).await;
    }

    /// Waits until `/ready` has this status, and returns its body.
    pub async fn ready_is(&self, status: u16) -> Value {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let response = self.get("/ready").await;
            if response.status == status {
                return response.json();
            }
            assert!(
                tokio::time::Instant::now() < until,
                "/ready is {}: {}",
                response.status,
                response.text()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until one series of `/metrics` has this value.
    pub async fn metric_is(&self, series: &str, value: f64) {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let found = self.metric(series).await;
            if found == Some(value) {
                return;
            }
            assert!(
                tokio::time::Instant::now() < until,
                "{series} is {found:?}, not {value}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The value of one series of `/metrics`.
    pub async fn metric(&self, series: &str) -> Option<f64> {
        let text = self.get("/metrics").await.text();
        let line = text.lines().find(|line| {
            line.strip_prefix(series)
                .is_some_and(|rest| rest.starts_with(' '))
        })?;
        line.rsplit(' ').next()?.parse().ok()
    }
}

/// Waits until `count` reloads were refused, and returns the log line of the last one.
pub async fn refused_reloads(proxy: &Proxy, count: usize) -> String {
    let until = tokio::time::Instant::now() + PATIENCE;
    let series = "thoughtgate_policy_reloads_total{result=\"refused\"}";
    loop {
        let counted = proxy.metric(series).await.unwrap_or_default();
        let mut log = proxy.process.output(Output::Stderr);
        log.retain(|line| line.contains("reload refused"));
        if counted >= count as f64 && log.len() >= count {
            return log.pop().unwrap_or_default();
        }
        assert!(
            tokio::time::Instant::now() < until,
            "the reload was never refused"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Runs a command to its end; returns exit code, standard output and standard error.
pub fn outcome(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// Checks these policies with this environment (`--check`); returns exit code and standard error.
pub fn check(policies: &str, environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let file = policy(policies);
    let mut command = Command::new(env!("CARGO_BIN_EXE_thoughtgate"));
    command
        .args(before("http://127.0.0.1:1/mcp", file.path()))
        .arg("--check")
        .envs(environment.iter().copied());
    let (code, _, error) = outcome(&mut command);
    (code, error)
}

/// The arguments of a proxy in front of `upstream`, with a policy file.
pub fn before<'a>(upstream: &'a str, policy: &'a Path) -> [&'a str; 4] {
    ["--upstream", upstream, "--policy", policy.to_str().unwrap()]
}

/// A policy file with this text.
pub fn policy(text: &str) -> NamedTempFile {
    let mut file = tempfile::Builder::new()
        .suffix(".cedar")
        .tempfile()
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// An upstream, and a proxy in front of it with these policies.
pub fn pair(policies: &str) -> (MockMcp, Proxy) {
    let upstream = mock_mcp::spawn(mock_mcp::Config::default()).unwrap();
    let file = policy(policies);
    let proxy = Proxy::start(&upstream.url(), file.path());
    // The proxy has read it; reload has its own tests.
    drop(file);
    (upstream, proxy)
}

/// Sends a call that arrives at the upstream and is not answered before its release.
pub async fn unanswered(upstream: &MockMcp, proxy: &Proxy) -> JoinHandle<io::Result<Response>> {
    upstream.hold(Hold::Answer);
    let before = upstream.stats().tool_calls;
    let url = proxy.url();
    let asking = tokio::spawn(async move { client::post_json(&url, &[], call("echo")).await });
    upstream.wait_for(|stats| stats.tool_calls > before).await;
    asking
}

/// Permits everything.
pub const ALL: &str = "permit (principal, action, resource);";

/// A call of `tool` as a legacy client sends it.
pub fn call(tool: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{tool}","arguments":{{}}}}}}"#
    )
}

/// A call of `tool` as a modern client sends it, and its headers.
pub fn modern_call(tool: &str) -> (String, Vec<(&'static str, String)>) {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{tool}","arguments":{{}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    );
    let headers = vec![
        ("mcp-protocol-version", "2026-07-28".to_owned()),
        ("mcp-method", "tools/call".to_owned()),
        ("mcp-name", tool.to_owned()),
    ];
    (body, headers)
}

/// Whether a call was answered with a result that is no refusal, and no error of the tool.
pub fn is_permitted(answer: &Value) -> bool {
    answer["result"].is_object() && answer["result"]["isError"] != true
}

/// The facts in the refusal of a call, whose answer must be a tool result with a text for the model.
pub fn refusal(answer: &Value) -> &Value {
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    let text = told(answer);
    assert!(text.starts_with("The call of tool `"), "{answer}");
    let facts = &answer["result"]["_meta"]["thoughtgate/refusal"];
    assert!(
        text.ends_with(facts["advice"].as_str().unwrap()),
        "{answer}"
    );
    facts
}

/// The text of a tool result.
pub fn told(answer: &Value) -> &str {
    let text = answer["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("no text in {answer}"))
}

/// Borrows headers for the client.
pub fn borrowed<'a>(headers: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}

/// An upstream that answers the first request of each connection with these bytes, valid HTTP or not,
/// and then closes the connection or keeps it open. Ends with its runtime.
pub async fn raw_upstream(answer: impl Into<Vec<u8>>, stays_open: bool) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let answer = answer.into();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                // One read has the whole of a small request.
                if stream.read(&mut [0; 16 * 1024]).await.unwrap_or(0) > 0 {
                    let _ = stream.write_all(&answer).await;
                    if stays_open {
                        let _ = stream.read(&mut [0]).await;
                    }
                }
            });
        }
    });
    url
}
