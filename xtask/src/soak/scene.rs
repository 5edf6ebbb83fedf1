//! The processes of a soak: the clients, the proxy, and the doubles of the upstream and of Slack.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::growth::Sample;
use super::records::{Life, Records};
use super::schedule::{Event, Upstream as Manner, Word};
use crate::interrupt;
use crate::tools::process::{Child, Launch};
use crate::tools::procfs;
use crate::tools::subject::{self, Proxy, SLACK_TOKEN, Setup, Slack, Upstream};

/// Time limit for the clients to finish their calls: an approval alone may take its timeout of 6 s.
const CLIENTS_END: Duration = Duration::from_secs(30);
/// Time limit for the proxy to exit after SIGTERM.
const PROXY_END: Duration = Duration::from_secs(20);
/// Time between a kill of the upstream and its restart.
const DOWN: Duration = Duration::from_millis(400);
/// Time limit for calls in flight to finish once the clients have ended.
const SETTLE: Duration = Duration::from_secs(20);

const POLICIES: &str = r#"@id("harmless") permit (principal, action == Action::"tools/call", resource == Tool::"echo");
@id("risky") @approve permit (principal, action == Action::"tools/call", resource == Tool::"deploy")
when { context.arguments has mark && context.arguments.mark like "*-*" };
"#;

pub struct Surroundings {
    /// Folder of the executables.
    pub programs: PathBuf,
    /// Folder for everything that the processes write.
    pub folder: PathBuf,
}

pub struct Scene {
    surroundings: Surroundings,
    setup: Setup,
    address: SocketAddr,
    upstream_address: SocketAddr,
    upstream: Option<Upstream>,
    slack: Slack,
    proxy: Option<Proxy>,
    clients: Option<Child>,
    lives: Vec<Life>,
    reloads: u64,
}

impl Scene {
    pub fn start(surroundings: Surroundings) -> anyhow::Result<Scene> {
        let folder = surroundings.folder.clone();
        let upstream_address = subject::free_address()?;
        let upstream =
            Upstream::with_ledger(&surroundings.programs, upstream_address, &ledger(&folder))?;
        let setup = Setup {
            binary: surroundings.programs.join("thoughtgate"),
            config: folder.join("thoughtgate.yaml"),
            policy: folder.join("policies.cedar"),
            upstream: upstream.url(),
            slowdown: String::new(),
        };
        let slack = Slack::start(&surroundings.programs)?;
        let mut scene = Scene {
            surroundings,
            setup,
            // One address for all processes of the proxy, so that the clients reach the next one.
            address: subject::free_address()?,
            upstream_address,
            upstream: Some(upstream),
            slack,
            proxy: None,
            clients: None,
            lives: Vec::new(),
            reloads: 0,
        };
        scene.write("policies.cedar", POLICIES)?;
        scene.happen(Event::Approvers(Word::Yes))?;
        // Before the clients, whose calls would be lost until the proxy is ready.
        scene.begin_life()?;
        let clients = Launch::bare(scene.surroundings.programs.join("clients"))
            .args([
                "--url",
                &format!("http://{}/mcp", scene.address),
                "--journal",
            ])
            .arg(journal(&folder));
        scene.clients = Some(clients.start()?);
        Ok(scene)
    }

    pub fn happen(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Reload { broken } => self.reload(broken),
            Event::Approvers(word) => self.slack.turn(&approvers(word)),
            Event::SlackFails => self.slack.turn(&json!({
                "next_server_errors": 2, "next_ratelimited": 1, "next_lost": 1,
            })),
            Event::Upstream(manner) => self.upstream()?.turn(&knobs(manner)),
            Event::UpstreamDies => {
                // Dropping it kills it and frees its port, which the next process has to listen on.
                self.upstream = None;
                interrupt::rest(DOWN)?;
                let folder = &self.surroundings.folder;
                let programs = &self.surroundings.programs;
                let started =
                    Upstream::with_ledger(programs, self.upstream_address, &ledger(folder));
                self.upstream = Some(started?);
                Ok(())
            }
            Event::Kill => {
                // The next process becomes ready only with a reachable upstream.
                self.upstream()?.turn(&knobs(Manner::Well))?;
                self.end_life(true);
                self.begin_life()
            }
        }
    }

    /// Reads memory and descriptors of the proxy, and updates the counts of its process.
    pub fn sample(&mut self) -> anyhow::Result<Sample> {
        let clients = self.clients.as_mut().context("the clients have ended")?;
        clients.check_running()?;
        let proxy = self.proxy.as_mut().context("the proxy has ended")?;
        proxy.check_running()?;
        let text = proxy.metrics()?;
        let pid = proxy.pid();
        if let Some(life) = self.lives.last_mut() {
            life.take(&text)?;
        }
        Ok(Sample {
            rss_bytes: procfs::rss_bytes(pid)?,
            descriptors: procfs::descriptors(pid)?,
        })
    }

    /// Progress so far, for a message.
    pub fn progress(&self) -> String {
        let decisions: u64 = self.lives.iter().map(|life| life.decisions).sum();
        let kills = self.lives.len().saturating_sub(1);
        format!(
            "{decisions} decisions, {kills} kills, {} reloads",
            self.reloads
        )
    }

    /// Stops the clients, then the proxy, and reads the records of all.
    pub fn finish(mut self) -> anyhow::Result<Records> {
        self.upstream()?.turn(&knobs(Manner::Well))?;
        // The clients end before the proxy, or else their last calls would fail.
        let clients = self.clients.take().context("the clients have ended")?;
        let ended = clients.stop(CLIENTS_END);
        ensure!(
            ended.is_some_and(|status| status.success()),
            "the clients did not exit cleanly within {CLIENTS_END:?}: {ended:?}"
        );
        self.settle()?;
        self.end_life(false);
        // Read after the proxy has ended, so that no message can follow.
        let messages = self.slack.messages()?;
        let folder = &self.surroundings.folder;
        Records::read(
            &ledger(folder),
            &journal(folder),
            &messages,
            std::mem::take(&mut self.lives),
            self.reloads,
        )
    }

    /// Waits until no decision has been counted for two seconds: tasks go on after their clients have
    /// left. It is no error when [`SETTLE`] passes first; the records are judged all the same.
    fn settle(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + SETTLE;
        let mut calm = 0;
        while calm < 4 && Instant::now() < until {
            interrupt::rest(Duration::from_millis(500))?;
            let proxy = self.proxy.as_mut().context("the proxy has ended")?;
            let text = proxy.metrics()?;
            let life = self.lives.last_mut().context("the proxy never started")?;
            let before = life.decisions;
            life.take(&text)?;
            calm = if life.decisions == before {
                calm + 1
            } else {
                0
            };
        }
        Ok(())
    }

    fn upstream(&mut self) -> anyhow::Result<&mut Upstream> {
        self.upstream.as_mut().context("the upstream has ended")
    }

    fn reload(&mut self, broken: bool) -> anyhow::Result<()> {
        self.reloads += 1;
        let addition = if broken {
            "permit (principal".to_owned()
        } else {
            let number = self.reloads;
            format!(
                "@id(\"extra {number}\") forbid (principal, action == Action::\"tools/call\", resource == Tool::\"none-{number}\");\n"
            )
        };
        self.write("policies.cedar", &format!("{POLICIES}{addition}"))
    }

    /// Writes a file under another name and renames it, so that the proxy never reads half of it.
    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.surroundings.folder.join(name);
        let new = path.with_extension("new");
        let written = fs::write(&new, text).and_then(|()| fs::rename(&new, &path));
        written.with_context(|| format!("failed to write `{}`", path.display()))
    }

    fn begin_life(&mut self) -> anyhow::Result<()> {
        // Each process has its own audit file, whose lines are compared with that process's counts.
        let number = self.lives.len() + 1;
        let audit = self
            .surroundings
            .folder
            .join(format!("audit-{number}.jsonl"));
        let approval = json!({
            "store": "approvals.redb", "timeout": "6s", "hold": "1s", "keep_alive": "1s",
            "slack": {
                "token": SLACK_TOKEN, "base_url": self.slack.url(), "channel": "C0APPROVALS",
                "approvers": ["U0APPROVER"], "poll_interval": "100ms", "post_interval": "5ms",
                "timeout": "2s",
            },
        });
        let config = json!({
            "agent": { "header": "x-agent" }, "audit": audit.display().to_string(),
            "approval": approval,
        });
        // The last reload may have left broken policies, with which a new process does not start.
        self.write("policies.cedar", POLICIES)?;
        // JSON is valid YAML.
        self.write("thoughtgate.yaml", &config.to_string())?;
        self.proxy = Some(Proxy::start_at(&self.setup, &self.address.to_string())?);
        self.lives.push(Life::new(audit));
        Ok(())
    }

    fn end_life(&mut self, killed: bool) {
        let Some(proxy) = self.proxy.take() else {
            return;
        };
        let Some(life) = self.lives.last_mut() else {
            return;
        };
        life.killed = killed;
        life.stderr = proxy.stderr();
        if killed {
            // A drop kills at once (SIGKILL): a stop would let the proxy write its queue.
            drop(proxy);
        } else {
            life.ended_well = proxy.stop(PROXY_END).is_some_and(|status| status.success());
        }
    }
}

fn ledger(folder: &std::path::Path) -> PathBuf {
    folder.join("ledger.jsonl")
}

fn journal(folder: &std::path::Path) -> PathBuf {
    folder.join("journal.jsonl")
}

fn approvers(word: Word) -> serde_json::Value {
    let decision = |reaction| json!({"after_ms": 30, "user": "U0APPROVER", "reaction": reaction});
    let decision = match word {
        Word::Yes => decision("white_check_mark"),
        Word::No => decision("x"),
        Word::Nothing => serde_json::Value::Null,
    };
    json!({ "decision": decision })
}

fn knobs(manner: Manner) -> serde_json::Value {
    // All knobs are set each time, so that the previous behaviour ends.
    let mut knobs = json!({
        "service_time_us": 0, "error_rate": 0.0, "error_status": 503, "fault": "none",
        "sse": false, "sse_events": 2, "sse_gap_ms": 5,
    });
    match manner {
        Manner::Well => {}
        Manner::Slowly => knobs["service_time_us"] = json!(300_000),
        Manner::WithErrors => knobs["error_rate"] = json!(0.5),
        Manner::NotAtAll => knobs["fault"] = json!("close_before_answer"),
        Manner::InHalf => knobs["fault"] = json!("close_mid_answer"),
        Manner::InEvents => knobs["sse"] = json!(true),
    }
    knobs
}
