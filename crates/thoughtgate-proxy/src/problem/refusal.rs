//! The refusal of a `tools/call` as a tool result: a text that a model can act on, and the same facts for
//! programs.
//!
//! Agent frameworks show tool results to the model, but end the run on JSON-RPC errors. Quotes nothing of
//! the call's arguments. Which problems are answered in this form is in [`super::Problem::row`].

use std::fmt::Write as _;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use thoughtgate_approval::{Id, RequestError, State, chain};
use thoughtgate_mcp::{Era, cut, reply, visible};
use thoughtgate_policy::{Decision, Engine, Principal};

use super::retry::Retry;
use crate::approve::{Denial, Kept, Repeated};
use crate::message::Message;
use crate::settings::Refusals;
use crate::state::Snapshot;

/// Longest name of a tool that is shown, in bytes: an agent can invent names of any length.
const TOOL_BYTES_MAX: usize = 256;

/// A `tools/call` whose refusal has the facts about it.
pub struct Call<'c> {
    tool: &'c str,
    asker: Principal<'c>,
    era: Era,
    engine: Option<&'c Engine>,
    takes: Takes,
}

/// Form of the refusal of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// A tool result.
    Result,
    /// A JSON-RPC error with the text for the model.
    ModelError,
    /// A JSON-RPC error with the text of the problem.
    Error,
}

impl<'c> Call<'c> {
    /// The call of `tool` in `message`.
    pub fn of(
        snapshot: &'c Snapshot,
        message: &'c Message,
        tool: &'c str,
        asks_for_task: bool,
    ) -> Call<'c> {
        // A request for a task of 2025-11-25 is answered by a task or an error: its clients accept no
        // tool result there. No task may begin as failed, and of one that fails later TypeScript's SDK does
        // not fetch the reason.
        let takes_task = asks_for_task && message.era == Era::Legacy;
        let takes = match snapshot.rules.refusals {
            // Without an id no answer is expected, and its status is that of an error.
            _ if message.id().is_none() => Takes::Error,
            Refusals::Error => Takes::Error,
            Refusals::Result if takes_task => Takes::ModelError,
            Refusals::Result => Takes::Result,
        };
        Call {
            takes,
            ..Call::made(snapshot, message.asker(), tool, message.era)
        }
    }

    /// A call that was decided before. The claims with which it was asked for are not needed any more.
    pub fn decided(
        snapshot: &'c Snapshot,
        tool: &'c str,
        principal: &'c str,
        era: Era,
    ) -> Call<'c> {
        let takes = match snapshot.rules.refusals {
            Refusals::Error => Takes::Error,
            Refusals::Result => Takes::Result,
        };
        Call {
            takes,
            ..Call::made(snapshot, principal.into(), tool, era)
        }
    }

    /// Whether its refusal is a tool result.
    pub fn takes_result(&self) -> bool {
        self.takes == Takes::Result
    }

    fn made(snapshot: &'c Snapshot, asker: Principal<'c>, tool: &'c str, era: Era) -> Call<'c> {
        Call {
            tool,
            asker,
            era,
            engine: snapshot.engine.as_ref(),
            takes: Takes::Result,
        }
    }
}

/// A refusal and its reasons.
pub struct Refused<'r> {
    /// One of [`thoughtgate_mcp::codes`].
    code: i64,
    /// Outcome of the call, for `The call of tool … was …`.
    outcome: &'static str,
    /// Reason, which follows the outcome in that sentence.
    why: String,
    policies: Vec<&'r str>,
    /// The reason why the policies could not be evaluated, and the argument that is it.
    error: Option<&'r str>,
    argument: Option<&'r str>,
    retry: Retry,
    /// Facts about the approval.
    approval: Option<Value>,
}

impl<'r> Refused<'r> {
    /// Refused for a reason that the same call meets again.
    pub fn always(code: i64, why: &str) -> Refused<'r> {
        Refused {
            code,
            outcome: "refused",
            why: format!(": {why}"),
            policies: Vec::new(),
            error: None,
            argument: None,
            retry: Retry::Never,
            approval: None,
        }
    }

    /// Refused by the policies, or because they could not be evaluated.
    pub fn by_policies(code: i64, decision: &'r Decision, call: &Call<'_>) -> Refused<'r> {
        let policies: Vec<&str> = decision.policies.iter().map(AsRef::as_ref).collect();
        let why = match &decision.error {
            Some(error) => format!(": {error}"),
            None if policies.is_empty() => ": no policy permits it".to_owned(),
            None => format!(" by {}", named(&policies)),
        };
        Refused {
            code,
            outcome: "refused",
            why,
            retry: after_rejection(decision, &policies, call),
            policies,
            error: decision.error.as_deref(),
            argument: decision.argument.as_deref(),
            approval: None,
        }
    }

    /// No approval could be requested.
    pub fn unrequested(code: i64, error: &RequestError) -> Refused<'r> {
        let (why, retry) = match error {
            // Its text quotes the key.
            RequestError::DuplicateKey(_) => (
                "an object in its arguments has a duplicate key".to_owned(),
                Retry::Changed,
            ),
            RequestError::Unreadable
            | RequestError::TooLarge { .. }
            | RequestError::NameTooLong { .. } => (chain(error), Retry::Changed),
            _ => (chain(error), Retry::Later),
        };
        Refused {
            retry,
            ..Refused::always(code, &why)
        }
    }

    /// The request state of the call is too old.
    pub fn outdated(code: i64) -> Refused<'r> {
        Refused {
            retry: Retry::Anew,
            ..Refused::always(code, "its request for approval has expired")
        }
    }

    /// Not refused: the call was made, and its result waits.
    pub fn kept(code: i64, kept: &Kept) -> Refused<'r> {
        Refused {
            outcome: "executed",
            retry: Retry::Fetch,
            approval: Some(kept.data()),
            ..Refused::always(code, &kept.to_string())
        }
    }

    /// Not refused: the call is being made, or was made for another request.
    pub fn repeated(code: i64, repeated: &Repeated) -> Refused<'r> {
        let (outcome, why, retry) = match repeated {
            Repeated::Running(_) => (
                "approved",
                "it is running, but not finished yet",
                Retry::Fetch,
            ),
            Repeated::Collected(_) => (
                "executed",
                "another request of the same call has got its result",
                Retry::Again,
            ),
            Repeated::OtherEra(_) => (
                "not executed again",
                "it was approved for a client of another version of MCP, which has not got its result yet",
                Retry::Later,
            ),
        };
        Refused {
            outcome,
            retry,
            approval: Some(repeated.data()),
            ..Refused::always(code, why)
        }
    }

    /// The approval does not permit the call.
    pub fn denied(id: Id, denial: &'r Denial) -> Refused<'r> {
        use thoughtgate_mcp::codes;
        let policies: Vec<&str> = denial.policies.iter().map(AsRef::as_ref).collect();
        let remains = denial.code == codes::APPROVAL_CANCELLED && denial.state.is_none();
        let mut why = match (denial.code, &denial.fault) {
            // The texts of these have the advice as well.
            (codes::APPROVAL_PENDING, Some(fault)) => format!(": approval is pending, but {fault}"),
            (codes::APPROVAL_PENDING, None) => ": approval is pending".to_owned(),
            _ if remains => ": it was cancelled, and its approval remains open".to_owned(),
            _ => format!(": {}", denial.text),
        };
        if !policies.is_empty() {
            let verb = if denial.by_policy {
                "it is refused by"
            } else {
                "approval is required by"
            };
            let _ = write!(why, "; {verb} {}", named(&policies));
        }
        let retry = match denial.code {
            codes::APPROVAL_REJECTED if denial.by_policy => Retry::Never,
            codes::APPROVAL_REJECTED => Retry::Denied,
            codes::APPROVAL_PENDING => Retry::Collect,
            codes::APPROVAL_CANCELLED if remains => Retry::Collect,
            codes::APPROVAL_USED if denial.state == Some(State::Done) => Retry::Once,
            codes::APPROVAL_USED => Retry::Made,
            codes::APPROVAL_UNAVAILABLE => Retry::Later,
            _ => Retry::Anew,
        };
        Refused {
            code: denial.code,
            // A pending approval refuses nothing.
            outcome: match retry {
                Retry::Collect => "not executed",
                _ => "refused",
            },
            why,
            policies,
            error: None,
            argument: None,
            retry,
            approval: Some(denial.data(id)),
        }
    }

    /// The body of the answer to `call`, whose request has `id`. `problem` is the text of a plain error.
    pub fn answer(&self, id: Option<&RawValue>, call: &Call<'_>, problem: &str) -> Vec<u8> {
        if call.takes_result() {
            return reply::result(id, &self.result(call));
        }
        let (text, facts) = self.text_and_facts(call);
        let text = match call.takes {
            Takes::Error => problem,
            _ => &text,
        };
        reply::error(id, self.code, text, Some(&facts))
    }

    /// The tool result that answers `call`.
    pub fn result(&self, call: &Call<'_>) -> Value {
        let (text, facts) = self.text_and_facts(call);
        let mut result = json!({
            "content": [{ "type": "text", "text": text }],
            "isError": true,
            "_meta": { "thoughtgate/refusal": facts },
        });
        if call.era == Era::Modern {
            result["resultType"] = json!("complete");
        }
        result
    }

    /// The facts for programs.
    pub fn facts(&self, call: &Call<'_>) -> Value {
        self.text_and_facts(call).1
    }

    /// The text for the model, and the same facts for programs.
    fn text_and_facts(&self, call: &Call<'_>) -> (String, Value) {
        let tool = visible(cut(call.tool, TOOL_BYTES_MAX)).replace('`', "ˋ");
        let about = |id: &&str| call.engine?.about(id)?.reason;
        // A policy that failed has not refused the call for its reason.
        let refusing = self.policies.iter().filter(|_| self.error.is_none());
        let reasons: Vec<&str> = refusing.filter_map(about).collect();
        let advice = self.retry.advice();
        let outcome = self.outcome;
        let mut text = format!("The call of tool `{tool}` was {outcome}{}.", self.why);
        // The name of the tool may be in the reason as well, as the agent sent it.
        text = visible(&text).into_owned();
        for reason in &reasons {
            let _ = write!(text, " Reason: {}.", reason.trim_end_matches('.'));
        }
        // Writing to a String cannot fail.
        let _ = write!(text, " {advice}");
        let mut facts = json!({
            "code": self.code,
            "tool": tool,
            "policies": self.policies,
            "reasons": reasons,
            "retry": self.retry.helps(),
            "advice": advice,
        });
        for (name, fact) in [("error", self.error), ("argument", self.argument)] {
            if let Some(fact) = fact {
                facts[name] = json!(fact);
            }
        }
        if let (Value::Object(facts), Some(Value::Object(about))) = (&mut facts, &self.approval) {
            facts.extend(about.clone());
        }
        (text, facts)
    }
}

/// Whether the call can be accepted after the policies have refused it.
fn after_rejection(decision: &Decision, policies: &[&str], call: &Call<'_>) -> Retry {
    let Some(engine) = call.engine else {
        return Retry::Never;
    };
    if policies.is_empty() || decision.error.is_some() {
        // An error is most often about an argument; without a permit, other arguments may have one.
        let passes = decision.error.is_some() || engine.may_call(call.asker, call.tool);
        return if passes { Retry::Changed } else { Retry::Never };
    }
    let about = || policies.iter().filter_map(|id| engine.about(id));
    // Each of these forbids: the call stays refused unless all of them depend on something.
    if !about().all(|policy| policy.reads_arguments || policy.reads_time) {
        Retry::Never
    } else if about().any(|policy| policy.reads_arguments) {
        Retry::Changed
    } else {
        Retry::Later
    }
}

/// `policy a`, or `policies a, b`, each in backticks.
fn named(policies: &[&str]) -> String {
    let noun = if policies.len() == 1 {
        "policy"
    } else {
        "policies"
    };
    format!("{noun} `{}`", policies.join("`, `"))
}
