//! One JSON line per decision: who asked for what, what was decided and why, how long it took.
//!
//! The data path hands over a record and goes on; a thread of its own parses, digests and writes.
//! The queue is bounded: what does not fit, or cannot be written, is counted, never waited for.
//! Arguments are digested, not stored.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use serde_json::json;
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
    /// `tools/call`, or the method or stream that was asked for.
    pub method: String,
    /// The request's body, from which tool and arguments are read.
    pub message: Bytes,
    /// What was decided.
    pub decision: Decision,
    /// The approval's id and how it ended, where a human was asked.
    pub approval: Option<(String, String)>,
    /// The policy set that decided.
    pub generation: u64,
    /// HTTP status of the answer.
    pub status: u16,
    /// From the request's head to the answer's.
    pub latency: Duration,
}

enum Message {
    Record(Box<Record>),
    Close,
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
                let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
                Box::new(opened.map_err(|error| {
                    std::io::Error::new(error.kind(), format!("failed to open audit file `{}`: {error}", path.display()))
                })?)
            }
        };
        let (queue, records) = sync_channel(QUEUE_RECORDS);
        let lost = dropped.clone();
        let writer = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || write_all(&records, BufWriter::new(out), &lost))?;
        Ok(Audit { queue, dropped, writer: std::sync::Mutex::new(Some(writer)) })
    }

    /// Hands one record over; never waits.
    pub fn record(&self, record: Record) {
        if self.queue.try_send(Message::Record(Box::new(record))).is_err() {
            self.dropped.inc();
        }
    }

    /// Writes what is queued and ends the writer. Blocks; for an orderly exit.
    pub fn close(&self) {
        let writer = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
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
                eprintln!("thoughtgate: warning: audit lines cannot be written and are counted as dropped: {error}");
            }
        }
    };
    while let Ok(Message::Record(record)) = records.recv() {
        written(writeln!(out, "{}", line(&record)));
        // Everything that is waiting goes out with one write, and nothing stays behind in memory.
        while let Ok(next) = records.try_recv() {
            match next {
                Message::Record(record) => written(writeln!(out, "{}", line(&record))),
                Message::Close => {
                    written(out.flush());
                    return;
                }
            }
        }
        written(out.flush());
    }
}

fn line(record: &Record) -> serde_json::Value {
    let limits = thoughtgate_mcp::Limits { depth: 128 };
    let envelope = thoughtgate_mcp::parse(&record.message, &limits).ok();
    let params = envelope.as_ref().map(|envelope| &envelope.params);
    let subject = params.and_then(|params| params.name.as_deref().or(params.uri.as_deref()));
    let digest = params.and_then(|params| {
        let name = params.name.as_deref()?;
        Some(thoughtgate_approval::digest(&record.principal, name, params.arguments).to_string())
    });
    let decision = match record.decision.outcome {
        Outcome::Forward => "forward",
        Outcome::Approve { .. } => "approve",
        Outcome::Reject if record.decision.error.is_some() => "error",
        Outcome::Reject => "reject",
    };
    json!({
        "time": humantime::format_rfc3339_millis(record.time).to_string(),
        "agent": record.principal,
        "method": record.method,
        "subject": subject,
        "call_sha256": digest,
        "decision": decision,
        "error": record.decision.error.as_deref(),
        "policies": record.decision.policies.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
        "generation": record.generation,
        "approval": record.approval.as_ref().map(|(id, state)| json!({"id": id, "state": state})),
        "status": record.status,
        "latency_us": u64::try_from(record.latency.as_micros()).unwrap_or(u64::MAX),
    })
}
