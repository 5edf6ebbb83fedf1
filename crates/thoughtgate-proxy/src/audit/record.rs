//! What waits for the writer: decisions whose answers are known, states of approvals, refusals.
//!
//! Everything here is of bounded size: names are cut, and a body is kept only while there is room
//! to spare for it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use thoughtgate_approval::{Id, State, View};
use thoughtgate_mcp::{Limits, canonical, parse};
use thoughtgate_panic::contain;
use thoughtgate_policy::{Decision, Outcome};

use super::Audit;
use super::line::{NAME_BYTES, TEXT_BYTES, cut};
use super::room::LINE_BYTES;

/// Larger bodies are digested before their line is queued, by the worker that has just read them.
const LATER_BYTES: usize = 64 * 1024;

/// What the data path knows of one decision.
pub struct Record {
    /// When the request was read.
    pub time: SystemTime,
    /// The agent that asked.
    pub principal: String,
    /// What it asked for.
    pub asked: Asked,
    /// What was decided.
    pub decision: Decision,
    /// The policy set that decided.
    pub generation: u64,
}

/// What a request asked for.
pub enum Asked {
    /// Read from its body by the writer.
    Message(Bytes),
    /// Read already.
    Known(Subject),
}

/// What a line says of a request's body.
#[derive(Debug, Default)]
pub struct Subject {
    /// The JSON-RPC method; empty for a response.
    pub method: String,
    /// The tool, prompt or resource.
    pub name: Option<String>,
    /// SHA-256 of the canonical arguments, for what has a name.
    pub digest: Option<[u8; 32]>,
}

/// Room for one line, given back when dropped.
pub struct Place<'a> {
    audit: &'a Audit,
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

/// For the writer.
pub enum Message {
    /// A decision, with its line's place.
    Decision(Line),
    /// A state of an approval.
    Approval {
        /// The state.
        step: Box<Step>,
        /// Whether room was taken for its line.
        has_room: bool,
    },
    /// A refusal before any decision, with its line's place.
    Refused(Box<Refused>),
    /// Refusals without a line are to be counted in one.
    Tally,
    /// The file may have been moved away.
    Reopen,
    /// Nothing more comes.
    Close {
        /// When what is left is given up.
        by: Instant,
    },
}

/// A record with what its end added.
pub struct Line {
    /// What was decided.
    pub record: Box<Record>,
    /// The approval that the request waited for.
    pub approval: Option<Id>,
    /// The HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// From the request to its answer.
    pub latency: Duration,
    /// Room that was taken for the line and its body.
    pub held: usize,
}

/// An approval that entered a state.
pub struct Step {
    /// When.
    pub time: SystemTime,
    /// Whose it is.
    pub principal: String,
    /// Its id.
    pub id: Id,
    /// The tool of its call.
    pub tool: String,
    /// The state.
    pub state: State,
    /// Who decided.
    pub decided_by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The policies that asked for it.
    pub policies: Vec<String>,
    /// Their generation.
    pub generation: u64,
    /// From its begin to this state.
    pub lasted: Duration,
}

/// A refusal before any decision.
pub struct Refused {
    /// When.
    pub time: SystemTime,
    /// The HTTP status.
    pub status: u16,
    /// Why.
    pub reason: String,
    /// What was asked for, where that could be read.
    pub subject: Option<Subject>,
}

impl<'a> Place<'a> {
    /// The room must have been taken.
    pub(super) fn new(audit: &'a Audit) -> Place<'a> {
        Place { audit }
    }

    /// Begins the trail of one decision; `started` is when its request was read.
    pub fn trail(self, mut record: Record, started: Instant) -> Trail<'a> {
        let audit = self.audit;
        // The trail has the room from here on.
        std::mem::forget(self);
        shorten(&mut record.principal, NAME_BYTES);
        if let Some(error) = &mut record.decision.error
            && error.len() > TEXT_BYTES
        {
            *error = Arc::from(cut(error, TEXT_BYTES));
        }
        Trail {
            audit,
            started,
            record: Some(Box::new(record)),
            approval: None,
            status: None,
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.audit.room.give_back(LINE_BYTES);
    }
}

impl Trail<'_> {
    /// The approval that the request waits for.
    pub fn approval(&mut self, id: Id) {
        self.approval = Some(id);
    }

    /// The request is refused after all, though it was decided otherwise.
    pub fn refused(&mut self, reason: &str) {
        if let Some(record) = &mut self.record {
            record.decision.outcome = Outcome::Reject;
            record.decision.error = Some(Arc::from(reason));
        }
    }

    /// Ends with the HTTP status of the answer.
    pub fn answered(mut self, status: u16) {
        self.status = Some(status);
    }
}

impl Drop for Trail<'_> {
    fn drop(&mut self) {
        let Some(mut record) = self.record.take() else {
            return;
        };
        let mut held = LINE_BYTES;
        if let Asked::Message(body) = &record.asked {
            if body.len() <= LATER_BYTES && self.audit.room.take_body(body.len()) {
                held += body.len();
            } else {
                // The queue keeps no body that nobody has time for.
                record.asked = Asked::Known(Subject::of(body));
            }
        }
        self.audit.send(Message::Decision(Line {
            record,
            approval: self.approval,
            status: self.status,
            latency: self.started.elapsed(),
            held,
        }));
    }
}

impl Subject {
    /// A request without a body.
    pub fn bodiless(action: &str) -> Subject {
        Subject {
            method: action.to_owned(),
            ..Subject::default()
        }
    }

    /// Read from a body that was understood before; linear in its size.
    pub fn of(message: &[u8]) -> Subject {
        // A body that breaks this still has its line; the writer is everybody's, and a trail may be
        // dropped by a panic over the same body.
        contain(|| Subject::read(message, true)).unwrap_or_default()
    }

    fn read(message: &[u8], digests: bool) -> Subject {
        let Ok(envelope) = parse(message, &Limits { depth: usize::MAX }) else {
            return Subject::default();
        };
        let params = &envelope.params;
        let name = params.name.as_deref().or(params.uri.as_deref());
        Subject {
            method: cut(&envelope.method, NAME_BYTES).into_owned(),
            name: name.map(|name| cut(name, NAME_BYTES).into_owned()),
            digest: (digests && params.name.is_some())
                .then(|| sha256(&canonical(params.arguments))),
        }
    }
}

impl Step {
    /// The state that an approval of `principal` is in.
    pub fn new(view: &View, principal: &str) -> Step {
        let owned = |text: &str, bytes_max| cut(text, bytes_max).into_owned();
        Step {
            time: SystemTime::now(),
            principal: owned(principal, NAME_BYTES),
            id: view.id,
            tool: owned(&view.tool, NAME_BYTES),
            state: view.state,
            decided_by: view.decided_by.as_deref().map(|by| owned(by, NAME_BYTES)),
            reason: view.reason.as_deref().map(|why| owned(why, TEXT_BYTES)),
            policies: view.policies.clone(),
            generation: view.generation,
            lasted: Duration::from_millis(view.updated_ms.saturating_sub(view.created_ms)),
        }
    }
}

impl Refused {
    /// A refusal of `message`, as far as it is known.
    pub fn new(status: u16, reason: &str, message: &[u8]) -> Refused {
        let subject = Some(message)
            .filter(|message| (1..=LATER_BYTES).contains(&message.len()))
            .map(|message| Subject::read(message, false));
        Refused {
            time: SystemTime::now(),
            status,
            reason: cut(reason, TEXT_BYTES).into_owned(),
            subject: subject.filter(|subject| !subject.method.is_empty()),
        }
    }
}

fn shorten(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        *text = cut(text, bytes_max).into_owned();
    }
}

fn sha256(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::super::file::Sink;
    use super::super::{AuditSettings, Figures, WhenFull};
    use super::*;

    /// What is queued of a call with `arguments`, and the room that it holds.
    async fn queued(arguments: &str, is_crowded: bool) -> (Asked, usize) {
        let settings = AuditSettings {
            sink: Sink::Stdout,
            wait: Duration::ZERO,
            when_full: WhenFull::Refuse,
        };
        let figures = Figures::registered(&mut Registry::default());
        let (audit, messages, _ending) = Audit::new(&settings, 1024 * 1024, figures);
        let place = audit.place().await.unwrap().unwrap();
        while is_crowded && audit.room.take_line() {}
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"x","arguments":{arguments}}}}}"#
        );
        let record = Record {
            time: SystemTime::now(),
            principal: "a".repeat(4096),
            asked: Asked::Message(body.into()),
            decision: Decision::error(&"e".repeat(4096)),
            generation: 1,
        };
        drop(place.trail(record, Instant::now()));
        let Ok(Message::Decision(line)) = messages.try_recv() else {
            panic!("nothing was queued");
        };
        assert!(line.record.principal.len() < 300);
        assert!(line.record.decision.error.unwrap().len() < 600);
        (line.record.asked, line.held)
    }

    #[tokio::test]
    async fn a_body_waits_only_while_it_is_small_and_there_is_room_to_spare() {
        let (asked, held) = queued("{}", false).await;
        let Asked::Message(body) = asked else {
            panic!("digested at once");
        };
        assert_eq!(held, LINE_BYTES + body.len());
        let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(LATER_BYTES));
        for (arguments, is_crowded) in [(large.as_str(), false), ("{}", true)] {
            let (asked, held) = queued(arguments, is_crowded).await;
            let Asked::Known(subject) = asked else {
                panic!("a body of {} bytes waits", arguments.len());
            };
            assert!(subject.digest.is_some() && subject.method == "tools/call");
            assert_eq!(held, LINE_BYTES);
        }
    }
}
