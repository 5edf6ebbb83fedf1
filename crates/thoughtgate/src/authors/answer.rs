//! The answer of `thoughtgate explain`, as data; `words.rs` and `json.rs` print it.

use std::collections::BTreeSet;

use thoughtgate_policy::{Considered, Explanation, Finding, Known, Outcome};

use super::audit_line::Line;
use crate::call::Call;
use crate::config::{Config, Mode};

/// A decision and all that there is to say about it.
pub struct Answer<'a> {
    pub call: Call,
    /// The decision depends on the time, and that of the call is the present for want of another.
    pub is_present: bool,
    /// The parts of the call that are known.
    pub known: Known,
    /// Whether claims were stated; otherwise the call is that of a token without any.
    pub claims_stated: bool,
    pub explanation: Explanation,
    pub config: &'a Config,
    /// The line of the audit that the call is from.
    pub line: Option<&'a Line>,
}

impl Answer<'_> {
    /// Whether the proxy only observes decisions.
    pub fn observes(&self) -> bool {
        self.config.mode == Mode::Observe
    }

    /// Ids of the policies that made the decision.
    pub fn determining(&self) -> Vec<&str> {
        let decision = self.explanation.decision.iter();
        decision
            .flat_map(|decision| decision.policies.iter().map(|id| &**id))
            .collect()
    }

    /// Whether a policy that is unknown depends on the arguments, and whether one does on claims.
    pub fn missing(&self) -> [bool; 2] {
        let unknown = |reads: fn(&Considered) -> bool| {
            let mut policies = self.explanation.policies.iter();
            policies.any(|policy| policy.finding == Finding::Unknown && reads(policy))
        };
        [
            !self.known.arguments && unknown(|policy| !policy.arguments.is_empty()),
            !self.known.claims && unknown(|policy| !policy.claims.is_empty()),
        ]
    }

    /// Paths of the arguments that are missing, below `context.arguments`: those that policies read, without
    /// those that the audit line has whole.
    pub fn missing_arguments(&self) -> BTreeSet<&str> {
        let [arguments, _] = self.missing();
        let has = |path: &str| self.line.is_some_and(|line| line.shown.has(path));
        let read = unknown_arguments(&self.explanation);
        read.filter(|path| arguments && !has(path)).collect()
    }

    /// The channel in words, and the number of approvers, if an approval is needed.
    pub fn approval(&self) -> Option<(String, usize)> {
        let Outcome::Approve { channel } = &self.explanation.decision.as_ref()?.outcome else {
            return None;
        };
        let channel = match channel {
            Some(channel) => format!("the policy's channel {channel}"),
            None => "the channel of `approval.slack.channel`".to_owned(),
        };
        Some((channel, self.config.approval.slack.approvers.len()))
    }
}

/// Paths of the arguments on which the unknown policies of `explanation` depend.
pub fn unknown_arguments(explanation: &Explanation) -> impl Iterator<Item = &str> {
    let policies = explanation.policies.iter();
    let unknown = policies.filter(|policy| policy.finding == Finding::Unknown);
    unknown.flat_map(|policy| policy.arguments.iter().map(String::as_str))
}
