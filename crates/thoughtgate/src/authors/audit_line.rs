//! A line of the audit log as the source of a call: agent, method, subject and time, and the arguments that
//! `audit.arguments` chose for it.
//!
//! Reads one line and no more of the log.

use std::io::{BufRead as _, BufReader, Read as _};
use std::time::SystemTime;

use anyhow::{Context, anyhow, bail};
use serde::Deserialize;

use super::shown::Shown;
use crate::call::{self, Asked};

/// Longer than any line that the proxy writes.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// A decided request, as the audit log has it.
#[derive(Debug)]
pub struct Line {
    /// Id of the agent.
    pub agent: String,
    /// The method, or the action of a request without a message.
    pub method: String,
    /// The request.
    pub asked: Asked,
    /// The arguments that the line has.
    pub shown: Shown,
    /// Its time.
    pub at: SystemTime,
    /// The decision that was made then, in the words of the audit.
    pub decision: String,
    /// Whether it was not carried out, and the request forwarded.
    pub observed: bool,
}

/// The line that `given` is, or where it is found: `-` for standard input, or `FILE:LINE`.
pub fn read(given: &str) -> anyhow::Result<Line> {
    let text = if given.trim_start().starts_with('{') {
        given.to_owned()
    } else if given == "-" {
        nth(std::io::stdin().lock(), 1)
            .context("failed to read the audit line from standard input")?
    } else {
        let (file, number) = given
            .rsplit_once(':')
            .and_then(|(file, number)| Some((file, number.parse::<usize>().ok()?)))
            .filter(|(_, number)| *number > 0)
            .context(
                "`--audit` is not a JSON object, `-`, or FILE:LINE, such as `audit.jsonl:17` for the 17th line",
            )?;
        let failed = || format!("failed to read line {number} of `{file}`");
        let opened = std::fs::File::open(file).with_context(failed)?;
        nth(BufReader::new(opened), number).with_context(failed)?
    };
    parse(&text)
}

fn nth(reader: impl std::io::BufRead, number: usize) -> anyhow::Result<String> {
    let mut reader = reader;
    let mut line = Vec::new();
    for _ in 0..number {
        line.clear();
        // Of a longer line, the rest would be taken for the next one: it is no audit log.
        let read = (&mut reader)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)?;
        if read == 0 {
            bail!("no such line");
        }
    }
    String::from_utf8(line).map_err(|_| anyhow!("not UTF-8"))
}

/// The keys of a line that matter; there are others.
#[derive(Deserialize)]
struct Keys {
    time: Option<String>,
    agent: Option<String>,
    method: Option<String>,
    subject: Option<String>,
    #[serde(default)]
    arguments: Option<Shown>,
    decision: Option<String>,
    #[serde(default)]
    observed: bool,
}

fn parse(text: &str) -> anyhow::Result<Line> {
    // serde's error is dropped: it quotes the line.
    let keys: Keys = serde_json::from_str(text)
        .map_err(|_| anyhow!("the audit line is not a JSON object of the audit log"))?;
    let (Some(agent), Some(method)) = (keys.agent, keys.method) else {
        bail!(
            "the audit line has no `agent` and `method`: it is of a request that was refused before a decision"
        );
    };
    let action = match method.as_str() {
        "stream" => "GET",
        "session/delete" => "DELETE",
        method => method,
    };
    let subject = keys.subject.as_deref();
    // What has no name or URI for policies may have one in the audit.
    let asked = Asked::of(action, subject)
        .or_else(|_| Asked::of(action, None))
        .map_err(|problem| anyhow!("the audit line has no `subject`: {problem}"))?;
    let time = keys.time.context("the audit line has no `time`")?;
    let at = call::time(&time).map_err(|problem| anyhow!("`time` of the audit line: {problem}"))?;
    let decision = keys.decision.context("the audit line has no `decision`")?;
    Ok(Line {
        agent,
        method,
        asked,
        shown: keys.arguments.unwrap_or_default(),
        at,
        decision,
        observed: keys.observed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_gives_the_call_without_its_arguments() {
        let text = r#"{"time":"2026-01-05T23:00:00.123Z","agent":"a","method":"tools/call","subject":"deploy","arguments_sha256":"00","decision":"approve","policies":["deploy"]}"#;
        let line = parse(text).unwrap();
        assert_eq!(line.asked, Asked::Tool("deploy".to_owned()));
        assert_eq!(
            (line.agent.as_str(), line.decision.as_str()),
            ("a", "approve")
        );
        let stream = parse(&text.replace("tools/call", "stream")).unwrap();
        assert_eq!(stream.asked, Asked::Method("GET".to_owned()));
        for (from, to) in [
            ("\"agent\"", "\"agnt\""),
            ("\"time\"", "\"tme\""),
            ("T23", " soon"),
            ("\"subject\"", "\"sbject\""),
            ("{", "["),
        ] {
            assert!(parse(&text.replace(from, to)).is_err(), "{to}");
        }
    }
}
