//! Audit records as text: one JSON object per line, in which no name can mislead a reader.
//!
//! Control characters, invisible ones and those that change the direction of text are escaped; long
//! names are cut.

use std::borrow::Cow;
use std::io;
use std::time::{Duration, SystemTime};

use data_encoding::HEXLOWER;
use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;
use thoughtgate_mcp::is_misleading;
use thoughtgate_policy::{Outcome, rfc3339};

use super::chosen::Values;
use super::context::Context;
use super::cut::{NAME_BYTES, cut};
use super::record::{Asked, Line, Refused, Step, Subject};

/// Largest number of policies named in a line.
const POLICIES_MAX: usize = 16;

/// Appends the line of a decision to `text`.
pub fn decision(line: &Line, context: &Context, text: &mut Vec<u8>) {
    let record = &line.record;
    let read;
    let subject = match &record.asked {
        Asked::Known(subject) => subject,
        Asked::Message(body) => {
            read = Subject::of(body, &context.chosen);
            &read
        }
    };
    let outcome = match record.decision.outcome {
        Outcome::Forward => "forward",
        Outcome::Approve { .. } => "approve",
        Outcome::Reject if record.decision.error.is_some() => "error",
        Outcome::Reject => "reject",
    };
    let client = subject.client.clone().or_else(|| record.caller.program());
    let policies = record.decision.policies.iter().map(AsRef::as_ref);
    push(
        text,
        &Decided {
            time: Time(record.time),
            agent: &record.principal,
            client,
            session_sha256: record.caller.session_sha256(),
            upstream: &context.upstream,
            method: &subject.method,
            subject: subject.name.as_deref(),
            arguments_sha256: subject
                .digest
                .as_ref()
                .map(|digest| HEXLOWER.encode(digest)),
            arguments: subject.arguments.as_ref(),
            decision: outcome,
            observed: record.observed,
            approval: line.approval.map(|id| id.to_string()),
            collected: line.collected,
            error: record.decision.error.as_deref(),
            policies: named(policies),
            policies_sha256: record.policies_sha256.as_deref(),
            generation: record.generation,
            status: line.status,
            latency_us: microseconds(line.latency),
        },
    );
}

/// Appends the line of a state of an approval to `text`.
pub fn approval(step: &Step, context: &Context, text: &mut Vec<u8>) {
    push(
        text,
        &Stepped {
            time: Time(step.time),
            agent: &step.principal,
            upstream: &context.upstream,
            method: "tools/call",
            subject: &step.tool,
            arguments_sha256: step.arguments.map(|digest| digest.to_string()),
            approval: step.id.to_string(),
            decision: step.state.name(),
            decided_by: step.decided_by.as_deref(),
            reason: step.reason.as_deref(),
            policies: named(step.policies.iter().map(String::as_str)),
            generation: step.generation,
            latency_us: microseconds(step.lasted),
        },
    );
}

/// Appends the line of a refusal before any decision to `text`.
pub fn refused(refused: &Refused, context: &Context, text: &mut Vec<u8>) {
    let subject = refused.subject.as_ref();
    let client = subject.and_then(|subject| subject.client.clone());
    push(
        text,
        &Turned {
            time: Time(refused.time),
            client: client.or_else(|| refused.caller.program()),
            session_sha256: refused.caller.session_sha256(),
            upstream: &context.upstream,
            method: subject.map(|subject| subject.method.as_str()),
            subject: subject.and_then(|subject| subject.name.as_deref()),
            decision: "refused",
            error: &refused.reason,
            status: refused.status,
        },
    );
}

/// Appends to `text` a line with the number of refusals that got no line of their own.
pub fn tally(suppressed: u64, text: &mut Vec<u8>) {
    push(
        text,
        &Tally {
            time: Time(SystemTime::now()),
            decision: "refused",
            suppressed,
        },
    );
}

#[derive(Serialize)]
struct Decided<'a> {
    time: Time,
    agent: &'a str,
    client: Option<String>,
    session_sha256: Option<String>,
    upstream: &'a str,
    method: &'a str,
    subject: Option<&'a str>,
    arguments_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a Values>,
    decision: &'a str,
    /// Present only if it is true.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    observed: bool,
    approval: Option<String>,
    /// Present only if it is true.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    collected: bool,
    error: Option<&'a str>,
    policies: Vec<Cow<'a, str>>,
    policies_sha256: Option<&'a str>,
    generation: u64,
    status: Option<u16>,
    latency_us: u64,
}

#[derive(Serialize)]
struct Stepped<'a> {
    time: Time,
    agent: &'a str,
    upstream: &'a str,
    method: &'a str,
    subject: &'a str,
    arguments_sha256: Option<String>,
    approval: String,
    decision: &'a str,
    decided_by: Option<&'a str>,
    reason: Option<&'a str>,
    policies: Vec<Cow<'a, str>>,
    generation: u64,
    latency_us: u64,
}

#[derive(Serialize)]
struct Turned<'a> {
    time: Time,
    client: Option<String>,
    session_sha256: Option<String>,
    upstream: &'a str,
    method: Option<&'a str>,
    subject: Option<&'a str>,
    decision: &'a str,
    error: &'a str,
    status: u16,
}

#[derive(Serialize)]
struct Tally<'a> {
    time: Time,
    decision: &'a str,
    suppressed: u64,
}

struct Time(SystemTime);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match rfc3339(self.0) {
            Some(text) => serializer.serialize_str(&text),
            // A clock that is set beyond the range of RFC 3339 costs the time, not the line.
            None => serializer.serialize_none(),
        }
    }
}

fn push(text: &mut Vec<u8>, line: &impl Serialize) {
    let before = text.len();
    let mut serializer = serde_json::Serializer::with_formatter(&mut *text, Harmless);
    if line.serialize(&mut serializer).is_err() {
        // Not expected, because the text is in memory; but half a line would spoil the next one.
        text.truncate(before);
        return;
    }
    text.push(b'\n');
}

/// Formats JSON in one line and escapes the characters that terminals and log viewers act on.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // Most text is printable ASCII, in which no character is misleading.
        if fragment.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut plain = 0;
        for (at, character) in fragment.char_indices().filter(|(_, c)| is_misleading(*c)) {
            writer.write_all(&fragment.as_bytes()[plain..at])?;
            // JSON escapes UTF-16 units, so that a character above U+FFFF takes two (RFC 8259 §7).
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            plain = at + character.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[plain..])
    }
}

fn named<'a>(policies: impl ExactSizeIterator<Item = &'a str>) -> Vec<Cow<'a, str>> {
    let more = policies.len().saturating_sub(POLICIES_MAX);
    let mut named: Vec<Cow<'_, str>> = policies
        .take(POLICIES_MAX)
        .map(|policy| cut(policy, NAME_BYTES))
        .collect();
    if more > 0 {
        named.push(format!("… ({more} more)").into());
    }
    named
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_text() {
        let mut text = Vec::new();
        let name = "a\u{1b}[2J\u{9b}2J\n\u{2028}\u{202e}\u{2066}\u{7f}\u{e0041}\u{3164}\u{fe0f}é";
        push(&mut text, &name);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(
            text,
            "\"a\\u001b[2J\\u009b2J\\n\\u2028\\u202e\\u2066\\u007f\\udb40\\udc41\\u3164\\ufe0fé\"\n"
        );
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), name);
    }

    #[test]
    fn long_lists_of_policies_are_cut_and_marked() {
        let ids = vec!["p"; 18];
        let policies = named(ids.into_iter());
        assert_eq!((policies.len(), policies[16].as_ref()), (17, "… (2 more)"));
    }
}
