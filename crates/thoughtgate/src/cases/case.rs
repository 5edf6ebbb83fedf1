//! A case: a call, the decision that its author expects, and the difference from the one that is made.
//!
//! Decides nothing itself: the engine of the proxy does.

use std::fmt;

use thoughtgate_policy::{Decision, Engine, Outcome};

use crate::call::Call;

/// A call, and the decision that its author expects.
#[derive(Debug)]
pub struct Case {
    /// Line of the case in its file, from 1.
    pub line: u64,
    /// The call.
    pub call: Call,
    /// The expected decision.
    pub expect: Expect,
    /// Ids of all policies that determine the decision, sorted; `None` if any may.
    pub by: Option<Vec<String>>,
    /// Name of the case.
    pub why: Option<String>,
}

/// An expected decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// The call is forwarded.
    Permit,
    /// The call is refused, by a policy, for want of one, or because it cannot be decided.
    Refuse,
    /// An approver is asked.
    Approve,
}

impl Case {
    /// The mistake of a case without a time whose decision may depend on the time.
    #[must_use]
    pub fn missing_time(&self, engine: &Engine) -> Option<String> {
        let misses = self.call.at.is_none() && engine.reads_time(&self.call.query());
        misses.then(|| {
            format!(
                "{}policies that read the time may apply; give the case a time, such as \
                 `at: 2026-01-05T23:00:00Z`",
                self.prefix()
            )
        })
    }

    /// Decides the call; the difference from what is expected, if there is one.
    #[must_use]
    pub fn difference(&self, engine: &Engine) -> Option<String> {
        let decision = engine.decide(&self.call.query());
        let by = |expected: &Vec<String>| {
            let found = decision.policies.iter().map(|id| &**id);
            found.eq(expected.iter().map(String::as_str))
        };
        if Expect::of(&decision) == self.expect && self.by.as_ref().is_none_or(by) {
            return None;
        }
        let expected = match &self.by {
            Some(ids) => format!("{} by {}", self.expect, listed(ids)),
            None => self.expect.to_string(),
        };
        Some(format!(
            "{}expected {expected}, decided {}{}",
            self.prefix(),
            in_words(&decision),
            self.unknown(engine)
        ))
    }

    /// A note on expected policies that do not exist, which no decision can have.
    fn unknown(&self, engine: &Engine) -> String {
        let expected = self.by.iter().flatten();
        let unknown: Vec<&String> = expected.filter(|id| engine.about(id).is_none()).collect();
        if unknown.is_empty() {
            return String::new();
        }
        format!("; no policy has the id {}", listed(&unknown))
    }

    /// The name of the case, if it has one, and the call.
    fn prefix(&self) -> String {
        let Call { agent, asked, .. } = &self.call;
        let why = self.why.iter().map(|why| format!("{why}: "));
        format!(
            "{}{} by `{agent}`: ",
            why.collect::<String>(),
            asked.in_words()
        )
    }
}

impl Expect {
    /// All of them, with their words in the file.
    pub(crate) const ALL: [(&'static str, Expect); 3] = [
        ("permit", Expect::Permit),
        ("refuse", Expect::Refuse),
        ("approve", Expect::Approve),
    ];

    /// The kind of `decision`.
    #[must_use]
    pub fn of(decision: &Decision) -> Expect {
        match decision.outcome {
            Outcome::Forward => Expect::Permit,
            Outcome::Reject => Expect::Refuse,
            Outcome::Approve { .. } => Expect::Approve,
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Expect::ALL.iter().find(|(_, known)| known == self);
        formatter.write_str(word.map_or("", |(word, _)| word))
    }
}

/// The decision and its reason, such as "refuse by `quiet hours`".
pub(crate) fn in_words(decision: &Decision) -> String {
    let word = Expect::of(decision);
    match &decision.error {
        Some(error) => format!("{word} because of an error: {error}"),
        None if decision.policies.is_empty() => format!("{word}, since no policy permits it"),
        None => format!("{word} by {}", listed(&decision.policies)),
    }
}

/// Ids of policies, in quotes.
fn listed(ids: &[impl AsRef<str>]) -> String {
    let quoted: Vec<String> = ids.iter().map(|id| format!("`{}`", id.as_ref())).collect();
    if quoted.is_empty() {
        "no policy".to_owned()
    } else {
        quoted.join(", ")
    }
}
