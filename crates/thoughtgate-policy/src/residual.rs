//! The partly evaluated policies for one principal, action and resource: the part that depends on the
//! call, or the decision if no part does.
//!
//! When a residual is made, scopes are matched and policies that read nothing of the call are
//! evaluated. If one of them forbids, or no other policy applies, every call gets the same decision.
//! Otherwise each call only evaluates the conditions of the remaining policies. Caches nothing:
//! `cache.rs` does.

use std::sync::Arc;
use std::time::SystemTime;

use cedar_policy::{Context, Effect, Entities, Request};
use thoughtgate_mcp::JsonText;

use crate::arguments;
use crate::decision::{Decision, Outcome};
use crate::fault::{EvaluationFault, ResidualError};
use crate::policy::LoadedPolicy;
use crate::reads::Reads;
use crate::scope::Scope;
use crate::types::paths;

/// The partly evaluated policies for one principal, action and resource.
#[derive(Debug)]
pub struct Residual {
    /// `None` if the decision is made: the scope is then not needed any more.
    scope: Option<Scope>,
    /// Shared by all residuals to which the same policies apply.
    pub shared: Arc<SharedResidual>,
}

/// The remaining policies, or the decision.
#[derive(Debug)]
pub struct SharedResidual {
    /// Identifies this value: numbers of the policies that it was made from.
    pub numbers: Arc<[u32]>,
    /// Estimated memory of this value.
    pub bytes: usize,
    left: Left,
}

#[derive(Debug)]
enum Left {
    /// Holds for every call.
    Decided(Decision),
    /// Depends on the call.
    Undecided(Undecided),
}

/// The policies whose result depends on the call, and the permits that hold regardless.
#[derive(Debug)]
struct Undecided {
    /// Policies whose scope matches and that read the call.
    reading: Vec<Arc<LoadedPolicy>>,
    /// Union of the reads of `reading`.
    reads: Reads,
    /// Permits that hold for every call.
    permits: Vec<Arc<LoadedPolicy>>,
}

impl Residual {
    /// Evaluates everything that does not depend on the call. `candidates` are the policies whose scope
    /// may match; `cached` finds a shared part that was made from the policies with these numbers.
    pub fn new<'a>(
        scope: Scope,
        candidates: impl Iterator<Item = &'a Arc<LoadedPolicy>>,
        cached: impl FnOnce(&[u32]) -> Option<Arc<SharedResidual>>,
    ) -> Result<Residual, ResidualError> {
        // Empty, since no argument is read here: only scopes, and conditions that read nothing of the call.
        let request = scope.request(Context::empty());
        let (mut tally, mut reading) = (Tally::default(), Vec::new());
        for policy in candidates {
            let applies = policy.rule.applies(&request, &scope.entities);
            if !applies.map_err(ResidualError::Scope)? {
                continue;
            }
            if policy.reads.is_nothing() {
                tally.add(policy, &request, &scope.entities);
            } else {
                reading.push(policy);
            }
        }
        let is_decided = reading.is_empty() || tally.failed.is_some() || !tally.forbids.is_empty();
        if is_decided {
            // A refusal cannot be outweighed, so the other policies would only make residuals differ.
            reading.clear();
        }
        let numbers = numbers(&reading, &tally);
        let shared = match cached(&numbers) {
            Some(shared) => shared,
            None => Arc::new(SharedResidual::new(numbers, &reading, tally)?),
        };
        Ok(Residual {
            scope: (!is_decided).then_some(scope),
            shared,
        })
    }

    /// Decides one call.
    pub fn decide(&self, arguments: Option<JsonText<'_>>, now: SystemTime) -> Decision {
        match (&self.shared.left, &self.scope) {
            (Left::Decided(decision), _) => decision.clone(),
            (Left::Undecided(undecided), Some(scope)) => undecided.decide(scope, arguments, now),
            (Left::Undecided(_), None) => Decision::error("internal error: the request is missing"),
        }
    }

    /// Whether some call could be forwarded, perhaps after approval.
    pub fn may_pass(&self) -> bool {
        match &self.shared.left {
            Left::Decided(decision) => decision.outcome != Outcome::Reject,
            Left::Undecided(undecided) => {
                // A forbid that reads arguments is left out of account: it need not hold for every call.
                let mut some = undecided.permits.iter().chain(&undecided.reading);
                some.any(|policy| policy.effect() == Effect::Permit)
            }
        }
    }

    /// Estimated memory of this value without the `shared` part.
    pub fn own_bytes(&self) -> usize {
        size_of::<Residual>() + self.scope.as_ref().map_or(0, |scope| scope.bytes)
    }
}

/// The numbers that identify a shared part: those of the policies that read the call, after a separator
/// those of the policies that hold for every call, and after another one that of a policy with an error.
fn numbers(reading: &[&Arc<LoadedPolicy>], tally: &Tally<'_>) -> Vec<u32> {
    let numbers = |policies: &[&Arc<LoadedPolicy>]| {
        policies
            .iter()
            .map(|policy| policy.number)
            .collect::<Vec<_>>()
    };
    let holding = [&tally.permits, &tally.forbids].map(|policies| numbers(policies));
    // A policy with an error belongs to it too, apart and with its error: by the claims of another agent it
    // may hold instead.
    let failed = tally.failed.iter();
    let failed = failed.flat_map(|(policy, fault)| [u32::MAX, policy.number, *fault as u32]);
    [
        numbers(reading),
        vec![u32::MAX],
        holding.concat(),
        failed.collect(),
    ]
    .concat()
}

impl SharedResidual {
    fn new(
        numbers: Vec<u32>,
        reading: &[&Arc<LoadedPolicy>],
        tally: Tally<'_>,
    ) -> Result<SharedResidual, ResidualError> {
        /// Estimated memory of an argument in [`Reads`]: its name, its type, its node in a map.
        const READ_BYTES: usize = 160;
        /// Estimated memory of a policy: its number, a pointer in a list, and one in a decision.
        const POLICY_BYTES: usize = 32;
        let mut bytes = size_of::<SharedResidual>() + numbers.len() * POLICY_BYTES;
        let left = if reading.is_empty() {
            Left::Decided(tally.decision())
        } else {
            let mut reads = Reads::default();
            for policy in reading {
                // Cannot fail: `agreement.rs` has compared all policies that may apply to one tool.
                reads
                    .join(&policy.reads)
                    .map_err(|_| ResidualError::Types)?;
            }
            let names = paths(&reads.arguments);
            bytes += names
                .iter()
                .map(|name| READ_BYTES + name.len())
                .sum::<usize>();
            Left::Undecided(Undecided {
                reading: reading.iter().map(|policy| Arc::clone(policy)).collect(),
                reads,
                permits: tally.permits.into_iter().map(Arc::clone).collect(),
            })
        };
        Ok(SharedResidual {
            numbers: numbers.into(),
            bytes,
            left,
        })
    }
}

impl Undecided {
    fn decide(&self, scope: &Scope, arguments: Option<JsonText<'_>>, now: SystemTime) -> Decision {
        let context = match arguments::context(&self.reads, arguments, now) {
            Ok(context) => context,
            Err(error) => {
                return Decision {
                    argument: error.argument().map(Arc::from),
                    ..Decision::error(&error.to_string())
                };
            }
        };
        let request = scope.request(context);
        let mut tally = Tally {
            permits: self.permits.iter().collect(),
            ..Tally::default()
        };
        for policy in &self.reading {
            tally.add(policy, &request, &scope.entities);
        }
        tally.decision()
    }
}

/// The policies that apply, and the first error.
#[derive(Default)]
struct Tally<'a> {
    permits: Vec<&'a Arc<LoadedPolicy>>,
    forbids: Vec<&'a Arc<LoadedPolicy>>,
    failed: Option<(&'a Arc<LoadedPolicy>, EvaluationFault)>,
}

impl<'a> Tally<'a> {
    /// Evaluates the condition of a policy whose scope matches.
    fn add(&mut self, policy: &'a Arc<LoadedPolicy>, request: &Request, entities: &Entities) {
        match policy.rule.holds(request, entities) {
            Ok(true) if policy.effect() == Effect::Permit => self.permits.push(policy),
            Ok(true) => self.forbids.push(policy),
            Ok(false) => {}
            Err(fault) => {
                self.failed.get_or_insert((policy, fault));
            }
        }
    }

    /// One forbid outweighs all permits, and `@approve` outweighs plain permits. An error in any policy
    /// is a refusal: Cedar would skip that policy, even if it is a forbid.
    fn decision(self) -> Decision {
        if let Some((policy, fault)) = self.failed {
            return Decision {
                policies: Arc::new([Arc::clone(&policy.id)]),
                ..Decision::error(&policy.error(fault))
            };
        }
        let forbidden = !self.forbids.is_empty();
        let mut determining = if forbidden {
            self.forbids
        } else {
            self.permits
        };
        // By id, since the order so far is that of the index.
        determining.sort_by(|left, right| left.id.cmp(&right.id));
        let outcome = if forbidden || determining.is_empty() {
            Outcome::Reject
        } else {
            match permitted(&determining) {
                Ok(outcome) => outcome,
                Err(([first, second], conflict)) => {
                    return Decision {
                        policies: Arc::new([first, second]),
                        ..Decision::error(&conflict)
                    };
                }
            }
        };
        Decision {
            outcome,
            policies: determining
                .iter()
                .map(|policy| Arc::clone(&policy.id))
                .collect(),
            error: None,
            argument: None,
        }
    }
}

/// The outcome that `permits` have together. Those that ask for approval must name one channel: approvers
/// of the one would decide for those of the other. The error has the ids of two that do not.
fn permitted(permits: &[&Arc<LoadedPolicy>]) -> Result<Outcome, ([Arc<str>; 2], String)> {
    let mut asking = permits
        .iter()
        .filter_map(|policy| Some((&policy.id, &policy.approve.as_ref()?.channel)));
    let Some((first, channel)) = asking.next() else {
        return Ok(Outcome::Forward);
    };
    match asking.find(|(_, other)| *other != channel) {
        None => Ok(Outcome::Approve {
            channel: channel.clone(),
        }),
        Some((other, _)) => Err((
            [Arc::clone(first), Arc::clone(other)],
            format!(
                "policies `{first}` and `{other}` ask for approval in different channels; write the same @approve in both, or conditions that exclude each other"
            ),
        )),
    }
}
