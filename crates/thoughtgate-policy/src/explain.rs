//! Explanations: the policies that made a decision, and those that nearly applied, with what kept them
//! from it.
//!
//! Decides nothing: the decision comes from [`Engine::decide`], and its parts are evaluated here again,
//! by the same code, only to describe them. Not for the path of requests.

use std::sync::Arc;

use cedar_policy::{Context, ResourceConstraint};

use crate::annotations;
use crate::arguments;
use crate::clauses::obstacle;
use crate::decision::{Decision, Outcome};
use crate::engine::Engine;
use crate::place;
use crate::policy::{BASELINE_FILE, LoadedPolicy};
use crate::query::Query;
use crate::reads::Reads;
use crate::scope::Scope;
use crate::types::paths;

/// A decision, and what the policies had to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The decision, or `None` if it depends on arguments or claims that are not known.
    pub decision: Option<Decision>,
    /// The policies whose scope matches, or nearly does, in the order of the files.
    pub policies: Vec<Considered>,
}

/// The parts of a query that are known; the others are not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its arguments.
    pub arguments: bool,
    /// The claims of its agent.
    pub claims: bool,
}

/// A policy that applied or nearly did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Considered {
    /// The `@id`, or `policyN@file`.
    pub id: Arc<str>,
    /// `file:line:column`.
    pub place: Arc<str>,
    /// Its effect where it applies.
    pub effect: Effect,
    /// Whether it is built in.
    pub built_in: bool,
    /// The text of `@reason`.
    pub reason: Option<String>,
    /// The arguments that it reads, as paths below `context.arguments`.
    pub arguments: Vec<String>,
    /// The declared claims of the agent that it may read.
    pub claims: Vec<String>,
    /// Whether it reads the time.
    pub time: bool,
    /// Whether it applies.
    pub finding: Finding,
}

/// Effect of a policy where it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It permits.
    Permit,
    /// It permits after approval: a permit with `@approve`.
    Approve,
    /// It forbids.
    Forbid,
}

/// Whether a policy applies, and what kept it from that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Its scope matches and its condition holds.
    Applies,
    /// Its scope matches, and a part of its condition is false.
    False {
        /// The part as the file has it, if it is known.
        part: Option<String>,
        /// `file:line:column` of the part.
        place: Option<String>,
    },
    /// Its scope matches, and its condition cannot be evaluated.
    Failed {
        /// The reason, without values of the call.
        reason: String,
        /// The part that failed, if it is known.
        part: Option<String>,
    },
    /// It depends on arguments or claims that are not known.
    Unknown,
    /// It names the resource, but another agent.
    OtherAgent,
    /// It names the resource, but another action.
    OtherAction,
}

impl Engine {
    /// The decision on `query` and the policies behind it. What depends on parts that are not `known` is
    /// unknown, too; an agent with unknown claims has some without values in `query`.
    #[must_use]
    pub fn explain(&self, query: &Query<'_>, known: Known) -> Explanation {
        let scope = match self.scope(query.principal, &query.target) {
            Ok(scope) => scope,
            Err(error) => {
                return Explanation {
                    decision: Some(Decision::error(&error.to_string())),
                    policies: Vec::new(),
                };
            }
        };
        let policies: Vec<Considered> = self
            .policies()
            .iter()
            .filter_map(|policy| consider(policy, &scope, query, known))
            .collect();
        let is_unknown = |policy: &Considered| policy.finding == Finding::Unknown;
        let holds_anyway = |policy: &Considered| {
            policy.effect == Effect::Forbid && policy.finding == Finding::Applies
        };
        let decision = if policies.iter().any(is_unknown) {
            // Nothing outweighs a forbid; everything else could turn out otherwise.
            let forbids = policies.iter().filter(|policy| holds_anyway(policy));
            let ids: Vec<_> = forbids.map(|policy| Arc::clone(&policy.id)).collect();
            (!ids.is_empty()).then(|| Decision {
                outcome: Outcome::Reject,
                policies: ids.into(),
                error: None,
                argument: None,
            })
        } else {
            Some(self.decide(query))
        };
        Explanation { decision, policies }
    }

    /// Whether a policy that may apply reads the time, so that the decision depends on it.
    #[must_use]
    pub fn reads_time(&self, query: &Query<'_>) -> bool {
        let known = Known {
            arguments: true,
            claims: true,
        };
        let explanation = self.explain(query, known);
        let mut policies = explanation.policies.iter();
        policies.any(|policy| {
            policy.time && !matches!(policy.finding, Finding::OtherAgent | Finding::OtherAction)
        })
    }
}

/// The part of `policy` in the decision; `None` if it has nothing to do with the request.
fn consider(
    policy: &Arc<LoadedPolicy>,
    scope: &Scope,
    query: &Query<'_>,
    known: Known,
) -> Option<Considered> {
    let built_in = &*policy.file == BASELINE_FILE;
    let request = scope.request(Context::empty());
    let [action, principal, resource] = policy.rule.matches(&request, &scope.entities).ok()?;
    // A policy for any resource is not near only because its agent or action could be another one.
    let named = !matches!(
        policy.policy.resource_constraint(),
        ResourceConstraint::Any | ResourceConstraint::Is(_)
    );
    let finding = match (action, principal, resource) {
        (true, true, true) => found(policy, scope, query, known),
        (true, false, true) if named && !built_in => Finding::OtherAgent,
        (false, true, true) if named && !built_in => Finding::OtherAction,
        _ => return None,
    };
    Some(Considered {
        id: Arc::clone(&policy.id),
        place: Arc::clone(&policy.place),
        effect: match policy.effect() {
            cedar_policy::Effect::Forbid => Effect::Forbid,
            cedar_policy::Effect::Permit if policy.approve.is_some() => Effect::Approve,
            cedar_policy::Effect::Permit => Effect::Permit,
        },
        built_in,
        reason: annotations::value(&policy.policy, "reason")
            .filter(|text| !text.is_empty())
            .map(str::to_owned),
        arguments: paths(&policy.reads.arguments),
        claims: policy.claims.iter().cloned().collect(),
        time: policy.reads.now,
        finding,
    })
}

/// The finding on a policy whose scope matches.
fn found(policy: &LoadedPolicy, scope: &Scope, query: &Query<'_>, known: Known) -> Finding {
    let reads: &Reads = &policy.reads;
    let is_unknown = !known.arguments && !reads.arguments.is_empty();
    if is_unknown || !known.claims && !policy.claims.is_empty() {
        return Finding::Unknown;
    }
    let context = match arguments::context(reads, query.arguments, query.now) {
        Ok(context) => context,
        Err(error) => {
            return Finding::Failed {
                reason: error.to_string(),
                part: None,
            };
        }
    };
    let request = scope.request(context);
    match policy.rule.holds(&request, &scope.entities) {
        Ok(true) => Finding::Applies,
        result => {
            let obstacle = obstacle(&policy.policy, &request, &scope.entities);
            let (part, offset) = match obstacle {
                Some(found) => (found.text, found.offset),
                None => (None, None),
            };
            match result {
                Err(fault) => Finding::Failed {
                    reason: fault.to_string(),
                    part,
                },
                Ok(_) => Finding::False {
                    part,
                    place: offset
                        .and_then(|offset| place::in_policy(&policy.policy, &policy.file, offset)),
                },
            }
        }
    }
}
