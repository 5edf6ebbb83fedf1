//! One JSON line per decision: who asked for what, what was decided and why, how long it took; and
//! one for each state that an approval enters.
//!
//! The data path hands over a record and goes on; a thread of its own parses, digests and writes.
//! The queue is bounded: what does not fit, or cannot be written, is counted, never waited for.
//! Arguments are digested, not stored.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use serde_json::json;
use thoughtgate_approval::{Id, View};
use thoughtgate_mcp::{Limits, canonical, parse};
use thoughtgate_policy::{Decision, Outcome};

/// Records that may wait for the writer; a burst of some tenths of a second at full load.
const QUEUE_RECORDS: usize = 8192;

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// Standard output.
    Stdout,
    /// Appended to a file that only its owner may read.
    File(PathBuf),
}

/// What the data path knows of one decision.
pub struct Record {
    /// When the request was read.
    pub time: SystemTime,
    /// The agent that asked.
    pub principal: String,
    /// The request's body, from which method, tool and arguments are read; empty for a GET or DELETE.
    pub message: Bytes,
    /// What a request without a message asked for.
    pub action: &'static str,
    /// What was decided.
    pub decision: Decision,
    /// The policy set that decided.
    pub generation: u64,
}

/// A decision whose answer is on its way. Written when dropped, so that a client which goes away
/// leaves its line too.
pub struct Trail<'a> {
    audit: &'a Audit,
    started: Instant,
    record: Option<Box<Record>>,
    approval: Option<Id>,
    status: Option<u16>,
}

impl Trail<'_> {
    /// The approval that the request waits for.
    pub fn approval(&mut self, id: Id) {
        self.approval = Some(id);
    }

    /// Ends with the HTTP status of the answer.
    pub fn answered(mut self, status: u16) {
        self.status = Some(status);
    }
}

impl Drop for Trail<'_> {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            let line = Line {
                record,
                approval: self.approval,
                status: self.status,
                latency: self.started.elapsed(),
            };
            self.audit.send(Message::Decision(line));
        }
    }
}

/// A record with what its end added.
struct Line {
    record: Box<Record>,
    approval: Option<Id>,
    status: Option<u16>,
    latency: Duration,
}

enum Message {
    Decision(Line),
    Approval(Box<Step>),
    Close,
}

/// An approval that entered a state.
struct Step {
    time: SystemTime,
    principal: String,
    view: View,
}

/// The way to the writer.
pub struct Audit {
    queue: SyncSender<Message>,
    dropped: Counter,
    writer: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Audit {
    /// Opens the sink and starts the writer. `dropped` counts what was not written.
    pub fn start(sink: &Sink, dropped: Counter) -> std::io::Result<Audit> {
        let out: Box<dyn Write + Send> = match sink {
            Sink::Stdout => Box::new(std::io::stdout()),
            Sink::File(path) => {
                let opened = OpenOptions::new()
                    .create(true)
                    .append(true)
                    .mode(0o600)
                    .open(path);
                Box::new(opened.map_err(|error| {
                    std::io::Error::new(
                        error.kind(),
                        format!("failed to open audit file `{}`: {error}", path.display()),
                    )
                })?)
            }
        };
        let (queue, records) = sync_channel(QUEUE_RECORDS);
        let lost = dropped.clone();
        let writer = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || write_all(&records, BufWriter::new(out), &lost))?;
        Ok(Audit {
            queue,
            dropped,
            writer: std::sync::Mutex::new(Some(writer)),
        })
    }

    /// Begins the trail of one decision; `started` is when its request was read.
    pub fn trail(&self, record: Record, started: Instant) -> Trail<'_> {
        Trail {
            audit: self,
            started,
            record: Some(Box::new(record)),
            approval: None,
            status: None,
        }
    }

    /// Takes down the state that an approval of `principal` just entered; never waits.
    pub fn approval(&self, view: &View, principal: &str) {
        self.send(Message::Approval(Box::new(Step {
            time: SystemTime::now(),
            principal: principal.to_owned(),
            view: view.clone(),
        })));
    }

    /// Hands one line over; never waits.
    fn send(&self, message: Message) {
        if self.queue.try_send(message).is_err() {
            self.dropped.inc();
        }
    }

    /// Writes what is queued and ends the writer. Blocks; for an orderly exit.
    pub fn close(&self) {
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        if let Some(writer) = writer
            && self.queue.send(Message::Close).is_ok()
        {
            let _ = writer.join();
        }
    }
}

fn write_all(records: &Receiver<Message>, mut out: impl Write, dropped: &Counter) {
    let mut broken = false;
    let mut written = |result: std::io::Result<()>| match result {
        Ok(()) => broken = false,
        Err(error) => {
            dropped.inc();
            if !std::mem::replace(&mut broken, true) {
                eprintln!(
                    "thoughtgate: warning: audit lines cannot be written and are counted as dropped: {error}"
                );
            }
        }
    };
    while let Ok(first) = records.recv() {
        // Everything that is waiting goes out with one write, and nothing stays behind in memory.
        for message in std::iter::once(first).chain(records.try_iter()) {
            let line = match message {
                Message::Decision(line) => decision(&line),
                Message::Approval(step) => approval(&step),
                Message::Close => {
                    written(out.flush());
                    return;
                }
            };
            written(writeln!(out, "{line}"));
        }
        written(out.flush());
    }
}

fn approval(step: &Step) -> serde_json::Value {
    let view = &step.view;
    let lasted = Duration::from_millis(view.updated_ms.saturating_sub(view.created_ms));
    json!({
        "time": humantime::format_rfc3339_millis(step.time).to_string(),
        "agent": step.principal,
        "method": "tools/call",
        "subject": view.tool,
        "approval": view.id.to_string(),
        "decision": view.state.name(),
        "decided_by": view.decided_by,
        "reason": view.reason,
        "policies": view.policies,
        "generation": view.generation,
        "latency_us": u64::try_from(lasted.as_micros()).unwrap_or(u64::MAX),
    })
}

fn decision(line: &Line) -> serde_json::Value {
    let record = &line.record;
    let envelope = parse(&record.message, &Limits { depth: usize::MAX }).ok();
    let params = envelope.as_ref().map(|envelope| &envelope.params);
    let subject = params.and_then(|params| params.name.as_deref().or(params.uri.as_deref()));
    let digest = params
        .filter(|params| params.name.is_some())
        .map(|params| sha256(&canonical(params.arguments)));
    let outcome = match record.decision.outcome {
        Outcome::Forward => "forward",
        Outcome::Approve { .. } => "approve",
        Outcome::Reject if record.decision.error.is_some() => "error",
        Outcome::Reject => "reject",
    };
    json!({
        "time": humantime::format_rfc3339_millis(record.time).to_string(),
        "agent": record.principal,
        "method": envelope.as_ref().map_or(record.action, |envelope| envelope.method.as_ref()),
        "subject": subject,
        "arguments_sha256": digest,
        "decision": outcome,
        "approval": line.approval.map(|id| id.to_string()),
        "error": record.decision.error.as_deref(),
        "policies": record.decision.policies.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
        "generation": record.generation,
        "status": line.status,
        "latency_us": u64::try_from(line.latency.as_micros()).unwrap_or(u64::MAX),
    })
}

/// In hexadecimal, as `sha256sum` prints it.
fn sha256(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest
        .as_ref()
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a String takes any text");
            text
        })
}
