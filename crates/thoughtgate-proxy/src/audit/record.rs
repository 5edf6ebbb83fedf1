//! Records that wait for the writer: decisions whose answers are known, states of approvals, refusals.
//!
//! Every record has a bounded size: names are cut, and a body is kept only while there is room to spare.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use thoughtgate_approval::{Digest, Id, State, View};
use thoughtgate_mcp::{Limits, canonical, parse};
use thoughtgate_panic::contain;
use thoughtgate_policy::Decision;

use super::caller::Caller;
use super::chosen::{Chosen, Values};
use super::cut::{NAME_BYTES, TEXT_BYTES, cut};

/// Largest body that is queued for the writer to digest, in bytes. A larger one is digested by the
/// worker that has just read it.
pub const LATER_BYTES: usize = 64 * 1024;

/// Longest name, and longest version, of a client, in bytes.
const CLIENT_BYTES: usize = 64;

/// One decision, as the data path knows it.
pub struct Record {
    /// Time of the decision.
    pub time: SystemTime,
    pub principal: String,
    pub caller: Caller,
    pub asked: Asked,
    pub decision: Decision,
    /// Whether the decision was not carried out, and the request forwarded.
    pub observed: bool,
    /// Generation of the policies that decided.
    pub generation: u64,
    /// SHA-256 of these policies; `None` when there were none.
    pub policies_sha256: Option<Arc<str>>,
}

/// Subject of a request, or the body to read it from.
pub enum Asked {
    /// The request's body, which the writer parses.
    Message(Bytes),
    /// A subject that was parsed already.
    Known(Subject),
}

/// The facts about a request's body that its line has.
#[derive(Debug, Default)]
pub struct Subject {
    /// The JSON-RPC method; empty for a response.
    pub method: String,
    /// Name of the tool or prompt, or URI of the resource.
    pub name: Option<String>,
    /// SHA-256 of the canonical arguments, if `params.name` is present.
    pub digest: Option<[u8; 32]>,
    /// The arguments that are shown; `None` when none are chosen.
    pub arguments: Option<Values>,
    /// Name and version of the client, as it describes itself in the message.
    pub client: Option<String>,
}

/// Message to the writer thread.
pub enum Message {
    /// A decision; room is reserved for its line.
    Decision(Line),
    /// An approval that entered a state.
    Approval {
        step: Box<Step>,
        /// Whether room is reserved for its line.
        has_room: bool,
    },
    /// A refusal before any decision; room is reserved for its line.
    Refused(Box<Refused>),
    /// Some refusals have no line of their own: their count is to be written.
    Tally,
    /// The file may have been moved away and is to be reopened.
    Reopen,
    /// No further message follows.
    Close {
        /// Deadline after which lines that are not written are given up.
        by: Instant,
    },
}

/// A record, completed at the end of its request.
pub struct Line {
    pub record: Box<Record>,
    /// The approval that the request waited for.
    pub approval: Option<Id>,
    /// Whether the answer was the result of an earlier call with that approval.
    pub collected: bool,
    /// HTTP status of the answer; `None` if there was no answer.
    pub status: Option<u16>,
    /// Time from the request to its answer.
    pub latency: Duration,
    /// Bytes of room that are reserved for the line and its body.
    pub held: usize,
}

/// An approval that entered a state.
pub struct Step {
    pub time: SystemTime,
    pub principal: String,
    pub id: Id,
    /// The tool of its call.
    pub tool: String,
    /// SHA-256 of the canonical arguments of its call; `None` if an earlier version made it.
    pub arguments: Option<Digest>,
    pub state: State,
    pub decided_by: Option<String>,
    pub reason: Option<String>,
    /// The policies that required the approval.
    pub policies: Vec<String>,
    /// Generation of those policies.
    pub generation: u64,
    /// Time from the approval's creation to this state.
    pub lasted: Duration,
}

/// A refusal before any decision.
pub struct Refused {
    pub time: SystemTime,
    /// HTTP status of the answer.
    pub status: u16,
    pub reason: String,
    pub caller: Caller,
    /// Subject of the request, if that could be parsed.
    pub subject: Option<Subject>,
}

impl Subject {
    /// Subject of a request without a body.
    pub fn bodiless(action: &str) -> Subject {
        Subject {
            method: action.to_owned(),
            ..Subject::default()
        }
    }

    /// Parses the subject from a body that was parsed before; linear in its size. Most bodies are parsed
    /// here a second time, but on the writer's thread: no call waits for the digest of its arguments.
    pub fn of(message: &[u8], chosen: &Chosen) -> Subject {
        // A body that makes this panic still has its line: the writer serves all requests, and a trail
        // may be dropped while a panic over the same body unwinds.
        contain(|| Subject::read(message, Some(chosen))).unwrap_or_default()
    }

    /// With `chosen`, the arguments are digested, and those are shown.
    fn read(message: &[u8], chosen: Option<&Chosen>) -> Subject {
        // Without the limit of nesting: a body that was refused for its depth has a subject too.
        let Ok(envelope) = parse(message, &Limits { depth: usize::MAX }) else {
            return Subject::default();
        };
        let params = &envelope.params;
        let name = params.name.as_deref().or(params.uri.as_deref());
        Subject {
            method: cut(&envelope.method, NAME_BYTES).into_owned(),
            name: name.map(|name| cut(name, NAME_BYTES).into_owned()),
            // Canonical, so that neither white space nor the order of keys changes the digest.
            digest: (chosen.is_some() && params.name.is_some())
                .then(|| sha256(&canonical(params.arguments))),
            arguments: chosen.and_then(|chosen| chosen.of(params.arguments)),
            client: params.client().map(|(name, version)| {
                let version = cut(&version, CLIENT_BYTES);
                format!("{}/{version}", cut(&name, CLIENT_BYTES))
            }),
        }
    }
}

impl Step {
    /// Records the current state of an approval of `principal`.
    pub fn new(view: &View, principal: &str) -> Step {
        let owned = |text: &str, bytes_max| cut(text, bytes_max).into_owned();
        Step {
            time: SystemTime::now(),
            principal: owned(principal, NAME_BYTES),
            id: view.id,
            tool: owned(&view.tool, NAME_BYTES),
            arguments: view.arguments,
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
    /// `message` is the request's body as far as it is known. Parses it again, if that was done before,
    /// because few refusals get a line.
    pub fn new(status: u16, reason: &str, message: &[u8], headers: Option<&HeaderMap>) -> Refused {
        let subject = Some(message)
            // It is parsed by the thread that serves requests, so the line of a large body has no subject.
            .filter(|message| (1..=LATER_BYTES).contains(&message.len()))
            .map(|message| Subject::read(message, None));
        Refused {
            time: SystemTime::now(),
            status,
            reason: cut(reason, TEXT_BYTES).into_owned(),
            caller: headers.map(Caller::of).unwrap_or_default(),
            subject: subject.filter(|subject| !subject.method.is_empty()),
        }
    }
}

fn sha256(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    bytes.copy_from_slice(digest.as_ref());
    bytes
}
